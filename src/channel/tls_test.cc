// Links over TLS, with real sockets: what goes through, and who is kept out.
#include "channel/tls.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "channel/tcp.h"
#include "channel/testing/certificates.h"
#include "channel/testing/raw_peer.h"
#include "channel/testing/recorder.h"
#include "support/temp_dir.h"

namespace aloft::channel {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

class TlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new aloft::testing::TempDir;
    std::filesystem::create_directories(folder->path() / "other");
    const Authority authority(folder->path());
    const Authority other(folder->path() / "other", "other");
    server_files = new TlsFiles(authority.issue("127.0.0.1", "server"));
    client_files = new TlsFiles(authority.issue("127.0.0.1", "client"));
    stranger_files = new TlsFiles(other.issue("127.0.0.1", "stranger"));
    elsewhere_files = new TlsFiles(authority.issue("10.1.2.3", "elsewhere"));
  }
  static void TearDownTestSuite() {
    for (TlsFiles* files : {server_files, client_files, stranger_files, elsewhere_files})
      delete files;
    delete folder;
  }

  static EndpointOptions options(std::shared_ptr<const TlsContext> tls, std::string_view hello) {
    EndpointOptions options = with_hello(hello);
    options.receive = CreditRule::not_required;
    options.tls = std::move(tls);
    return options;
  }
  static std::shared_ptr<const TlsContext> server(const TlsFiles& files) {
    auto context = TlsContext::server(files);
    EXPECT_TRUE(context) << context.error().message;
    return context ? *context : nullptr;
  }
  static std::shared_ptr<const TlsContext> client(const TlsFiles& files) {
    auto context = TlsContext::client(files);
    EXPECT_TRUE(context) << context.error().message;
    return context ? *context : nullptr;
  }
  // What a client with `tls` is told first by a server with `its`.
  Error refused(std::shared_ptr<const TlsContext> tls, std::shared_ptr<const TlsContext> its) {
    Server listening(io, options(std::move(its), "handler"));
    Recorder recorder;
    auto endpoint = connect_tcp(io, listening.address(), options(std::move(tls), "ue"), recorder);
    EXPECT_TRUE(recorder.wait([&] { return !recorder.downs.empty() || !recorder.ups.empty(); }));
    const auto lock = recorder.lock();
    EXPECT_TRUE(recorder.ups.empty());
    return recorder.downs.empty() ? Error{} : recorder.downs.front();
  }

  static inline aloft::testing::TempDir* folder = nullptr;
  static inline TlsFiles* server_files = nullptr;
  static inline TlsFiles* client_files = nullptr;
  static inline TlsFiles* stranger_files = nullptr;
  static inline TlsFiles* elsewhere_files = nullptr;
  IoThread io;
};

TEST_F(TlsTest, messages_of_every_size_arrive_as_they_were_in_both_directions) {
  Server listening(io, options(server(*server_files), "handler"));
  Recorder recorder;
  auto endpoint =
      connect_tcp(io, listening.address(), options(client(*client_files), "ue"), recorder);
  Server::Session* const session = listening.session(0);
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(recorder.wait([&] { return !recorder.ups.empty(); }));
  EXPECT_EQ(recorder.ups[0], "handler");
  std::size_t count = 0;
  for (const std::size_t size :
       {0UL, 1UL, 2047UL, 2049UL, 16'383UL, 16'385UL, 65'536UL, 300'001UL, 5'000'000UL}) {
    const auto body = pattern(size, unsigned(size));
    ASSERT_TRUE(send(*endpoint, 5, "there", body));
    ASSERT_TRUE(send(*session->endpoint, 6, "back", body));
    ++count;
    ASSERT_TRUE(session->recorder.wait([&] { return session->recorder.messages.size() == count; }));
    ASSERT_TRUE(recorder.wait([&] { return recorder.messages.size() == count; }));
    EXPECT_TRUE(session->recorder.messages.back().body == body) << size;
    EXPECT_TRUE(recorder.messages.back().body == body) << size;
    // The buffers are the caller's again once this is told.
    ASSERT_TRUE(recorder.wait([&] { return recorder.sent.size() == count; }));
    ASSERT_TRUE(session->recorder.wait([&] { return session->recorder.sent.size() == count; }));
  }
}

TEST_F(TlsTest, many_messages_both_ways_at_once_keep_their_order) {
  Server listening(io, options(server(*server_files), "handler"));
  Recorder recorder;
  IoThread other;
  auto endpoint =
      connect_tcp(other, listening.address(), options(client(*client_files), "ue"), recorder);
  Server::Session* const session = listening.session(0);
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(recorder.wait([&] { return !recorder.ups.empty(); }));
  constexpr std::size_t kCount = 400;
  const auto body = pattern(40'000, 3);
  const auto send_all = [&](Endpoint& from) {
    for (std::size_t i = 0; i < kCount; ++i) ASSERT_TRUE(send(from, 5, std::to_string(i), body));
  };
  std::thread there([&] { send_all(*endpoint); });
  send_all(*session->endpoint);
  there.join();
  for (Recorder* end : {&recorder, &session->recorder}) {
    ASSERT_TRUE(end->wait([&] { return end->messages.size() == kCount; }));
    ASSERT_TRUE(end->wait([&] { return end->sent.size() == kCount; }));
    for (std::size_t i = 0; i < kCount; ++i) {
      EXPECT_EQ(end->messages[i].head, std::to_string(i));
      EXPECT_TRUE(end->messages[i].body == body);
    }
  }
}

TEST_F(TlsTest, an_end_says_why_it_closes) {
  Server listening(io, options(server(*server_files), "handler"));
  Recorder recorder;
  auto endpoint =
      connect_tcp(io, listening.address(), options(client(*client_files), "ue"), recorder);
  Server::Session* const session = listening.session(0);
  ASSERT_NE(session, nullptr);
  const auto body = pattern(2'000'000, 1);
  ASSERT_TRUE(recorder.wait([&] { return !recorder.ups.empty(); }));
  ASSERT_TRUE(send(*session->endpoint, 6, "last", body));
  session->endpoint->close({Errc::refused, "no more today"});
  ASSERT_TRUE(recorder.wait([&] { return !recorder.downs.empty(); }));
  EXPECT_EQ(recorder.downs[0].code, Errc::refused);
  EXPECT_EQ(recorder.downs[0].message, "no more today");
  ASSERT_EQ(recorder.messages.size(), 1U);
  EXPECT_TRUE(recorder.messages[0].body == body);
}

TEST_F(TlsTest, a_server_of_another_authority_is_not_trusted) {
  TlsFiles ours = *client_files;
  const Error why = refused(client(ours), server(*stranger_files));
  EXPECT_EQ(why.code, Errc::protocol);
  EXPECT_THAT(why.message, HasSubstr("the peer's certificate is not trusted"));
}

TEST_F(TlsTest, a_server_whose_certificate_is_for_another_host_is_not_trusted) {
  const Error why = refused(client(*client_files), server(*elsewhere_files));
  EXPECT_EQ(why.code, Errc::protocol);
  EXPECT_THAT(why.message, HasSubstr("IP address mismatch"));
}

TEST_F(TlsTest, a_client_of_another_authority_is_kept_out) {
  TlsFiles files = *stranger_files;
  files.authority = server_files->authority;
  const Error why = refused(client(files), server(*server_files));
  EXPECT_THAT(why.message, HasSubstr("TLS"));
}

TEST_F(TlsTest, a_client_without_a_certificate_is_kept_out_where_one_is_asked_for) {
  const Error why = refused(client({.authority = server_files->authority}), server(*server_files));
  EXPECT_THAT(why.message, HasSubstr("TLS"));
}

TEST_F(TlsTest, a_client_without_a_certificate_is_taken_where_none_is_asked_for) {
  TlsFiles files = *server_files;
  files.authority.clear();
  Server listening(io, options(server(files), "handler"));
  Recorder recorder;
  auto endpoint =
      connect_tcp(io, listening.address(),
                  options(client({.authority = server_files->authority}), "ue"), recorder);
  EXPECT_TRUE(recorder.wait([&] { return !recorder.ups.empty(); }));
}

TEST_F(TlsTest, a_client_in_clear_is_kept_out_and_told_why) {
  const Error why = refused(nullptr, server(*server_files));
  EXPECT_EQ(why.code, Errc::protocol);
  EXPECT_THAT(why.message, HasSubstr("the peer speaks TLS"));
}

TEST_F(TlsTest, a_server_in_clear_is_not_talked_to) {
  const Error why = refused(client(*client_files), nullptr);
  EXPECT_EQ(why.code, Errc::protocol);
  EXPECT_THAT(why.message, HasSubstr("does not speak it"));
}

// A relay in the middle that cuts the connection where it likes.
TEST_F(TlsTest, a_connection_that_is_cut_off_is_no_orderly_end) {
  Server listening(io, options(server(*server_files), "handler"));
  RawListener middle;
  Recorder recorder;
  auto endpoint =
      connect_tcp(io, {"127.0.0.1", middle.port()}, options(client(*client_files), "ue"), recorder);
  RawPeer ue = middle.accept();
  RawPeer handler = RawPeer::connect(listening.address().port);
  bool cut = false;
  const auto up = [&] {
    const auto lock = recorder.lock();
    return !recorder.ups.empty();
  };
  while (!up()) {
    pollfd ends[2] = {{ue.socket(), POLLIN, 0}, {handler.socket(), POLLIN, 0}};
    (void)::poll(ends, 2, 10);
    char bytes[4096];
    for (int i = 0; i < 2; ++i) {
      if ((ends[i].revents & POLLIN) == 0) continue;
      const ssize_t size = ::recv(ends[i].fd, bytes, sizeof bytes, 0);
      ASSERT_GT(size, 0);
      ASSERT_EQ(::send(ends[1 - i].fd, bytes, std::size_t(size), MSG_NOSIGNAL), size);
    }
  }
  ue.shut();  // a FIN without TLS's end
  cut = true;
  ASSERT_TRUE(cut && recorder.wait([&] { return !recorder.downs.empty(); }));
  EXPECT_EQ(recorder.downs[0].code, Errc::unreachable);
  EXPECT_THAT(recorder.downs[0].message, HasSubstr("cut off"));
}

TEST_F(TlsTest, a_side_that_asks_for_a_key_takes_any_tells_it_and_greets_its_owner) {
  TlsFiles alone = *server_files;
  alone.authority.clear();
  const auto asks = TlsContext::server(alone, TlsContext::Clients::with_a_key);
  ASSERT_TRUE(asks) << asks.error().message;
  EXPECT_THAT(refused(client({.authority = client_files->authority}), *asks).message,
              HasSubstr("certificate"));

  Server listening(io, options(*asks, "handler"));
  listening.own_hello = [] {
    const auto hello = bytes_of("for you");
    return std::vector(hello.begin(), hello.end());
  };
  TlsFiles stranger = *stranger_files;
  stranger.authority = client_files->authority;
  std::vector<Digest> keys;
  // A stranger's certificate, another one, and the first again.
  for (const TlsFiles& files : {stranger, *client_files, stranger}) {
    Recorder recorder;
    auto endpoint = connect_tcp(io, listening.address(), options(client(files), "ue"), recorder);
    ASSERT_TRUE(recorder.wait([&] { return !recorder.ups.empty(); }));
    EXPECT_EQ(recorder.ups[0], "for you");
    Server::Session* const session = listening.session(keys.size());
    ASSERT_TRUE(session != nullptr && session->key);
    keys.push_back(*session->key);
  }
  EXPECT_EQ(keys[0], keys[2]);
  EXPECT_NE(keys[0], keys[1]);
}

TEST_F(TlsTest, files_that_cannot_be_used_are_named) {
  TlsFiles files = *server_files;
  files.certificate = folder->path() / "none.pem";
  auto none = TlsContext::server(files);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_THAT(none.error().message, HasSubstr("none.pem"));

  const auto bad = folder->path() / "bad.pem";
  std::ofstream(bad) << "no certificate\n";
  files.certificate = bad;
  auto corrupt = TlsContext::server(files);
  ASSERT_FALSE(corrupt);
  EXPECT_EQ(corrupt.error().code, Errc::corrupt);

  files = *server_files;
  files.key = client_files->key;
  EXPECT_FALSE(TlsContext::server(files));
  EXPECT_FALSE(TlsContext::server({.authority = files.authority}));
  EXPECT_FALSE(TlsContext::client({}));
}

}  // namespace
}  // namespace aloft::channel
