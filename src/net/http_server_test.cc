#include "net/http_server.h"

#include <future>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

namespace aloft::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using http::verb;
using tcp = asio::ip::tcp;
using Response = http::response<http::string_body>;

// One connection. Whatever it waits for comes within a minute, or is an error.
class Client {
 public:
  Client() : socket_(io_, tcp::v4()) {
    const timeval limit{.tv_sec = 60, .tv_usec = 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  explicit Client(std::uint16_t port) : Client() { connect(port); }
  void connect(std::uint16_t port) { socket_.connect({asio::ip::address_v4::loopback(), port}); }

  void ask(verb how, const std::string& target, const std::string& upgrade_to = "") {
    method_ = how;
    http::request<http::empty_body> request{how, target, 11};
    if (!upgrade_to.empty()) {
      request.set(http::field::connection, "upgrade");
      request.set(http::field::upgrade, upgrade_to);
    }
    beast::error_code ignored;  // where it is closed already, answer() says so
    http::write(socket_, request, ignored);
  }
  // None: the connection was closed.
  std::optional<Response> answer() {
    http::response_parser<http::string_body> parser;
    parser.skip(method_ == verb::head);
    beast::error_code error;
    http::read(socket_, buffer_, parser, error);
    if (error) return std::nullopt;
    return parser.release();
  }
  std::optional<Response> get(const std::string& target) {
    ask(verb::get, target);
    return answer();
  }
  bool has_answer() {
    pollfd waiting{socket_.native_handle(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) != 0;
  }

 private:
  asio::io_context io_;
  tcp::socket socket_;
  beast::flat_buffer buffer_;
  verb method_ = verb::get;
};

class HttpServerTest : public ::testing::Test {
 protected:
  void serve(HttpServer::Answers answers = {.get = echo}) {
    auto made = HttpServer::listen({"127.0.0.1", 0});
    ASSERT_TRUE(made) << made.error().message;
    server_ = *std::move(made);
    server_->serve(std::move(answers));
  }
  void TearDown() override {
    if (server_) server_->stop();
    taken_.clear();
  }
  static HttpAnswer echo(const HttpRequest& request) {
    return {.type = "text/x-test", .body = "at " + std::string(request.target())};
  }

  std::unique_ptr<HttpServer> server_;
  std::vector<HttpServer::Taken> taken_;
};

TEST_F(HttpServerTest, what_is_asked_for_on_one_connection_is_answered_one_after_the_other) {
  serve({.get = echo, .headers = [](http::fields& all) { all.set("X-Ours", "yes"); }});
  Client client(server_->port());
  for (const std::string target : {"/a", "/b?c"}) {
    const auto answer = client.get(target);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->result(), http::status::ok);
    EXPECT_EQ(answer->body(), "at " + target);
    EXPECT_EQ((*answer)[http::field::content_type], "text/x-test");
    EXPECT_EQ((*answer)["X-Ours"], "yes");
  }
  client.ask(verb::head, "/a");
  const auto head = client.answer();
  ASSERT_TRUE(head);
  EXPECT_EQ((*head)[http::field::content_length], "5");
  client.ask(verb::post, "/a");
  const auto refused = client.answer();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->result(), http::status::method_not_allowed);
  EXPECT_EQ((*refused)[http::field::allow], "GET, HEAD");
  EXPECT_EQ((*refused)["X-Ours"], "yes");
}

TEST_F(HttpServerTest, what_cannot_be_listened_on_is_told) {
  serve();
  const auto taken = HttpServer::listen({"127.0.0.1", server_->port()});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::unreachable);
  EXPECT_EQ(taken.error().message, "cannot listen on 127.0.0.1:" + std::to_string(server_->port()) +
                                       ": Address already in use");
  const auto name = HttpServer::listen({"localhost", 0});
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().code, Errc::invalid_argument);
}

TEST_F(HttpServerTest, one_connection_too_many_is_closed_at_once) {
  serve();
  std::vector<std::unique_ptr<Client>> all;
  while (all.size() < HttpServer::kMostConnections) {
    all.push_back(std::make_unique<Client>(server_->port()));
    ASSERT_TRUE(all.back()->get("/"));
  }
  EXPECT_FALSE(Client(server_->port()).get("/"));
  EXPECT_TRUE(all.front()->get("/"));
}

TEST_F(HttpServerTest, a_connection_that_is_taken_over_counts_until_its_place_is_given_back) {
  serve({.get = echo,
         .upgrade = [this](const HttpRequest& request,
                           HttpServer::Taken& connection) -> std::optional<HttpAnswer> {
           if (request.target() != "/live")
             return HttpAnswer{.status = http::status::not_found, .body = "no\n"};
           taken_.push_back(std::move(connection));
           return std::nullopt;
         }});
  std::vector<std::unique_ptr<Client>> all;
  while (all.size() < HttpServer::kMostConnections) {
    all.push_back(std::make_unique<Client>(server_->port()));
    all.back()->ask(verb::get, "/other", "websocket");
    const auto refused = all.back()->answer();
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->result(), http::status::not_found);
    all.back()->ask(verb::get, "/live", "websocket");
  }
  EXPECT_FALSE(Client(server_->port()).get("/"));
  // Between two of its tasks: whatever was asked for is taken over by then, or will be.
  const auto on_its_thread = [&](auto task) {
    std::promise<void> done;
    asio::post(server_->executor(), [&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  };
  std::size_t count = 0;
  while (count < all.size()) on_its_thread([&] { count = taken_.size(); });
  on_its_thread([&] { taken_.clear(); });
  EXPECT_TRUE(Client(server_->port()).get("/"));
}

// As many descriptors as there are, for a while.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit now = before_;
    const int next = ::dup(STDERR_FILENO);
    ::close(next);
    now.rlim_cur = static_cast<rlim_t>(next);
    ::setrlimit(RLIMIT_NOFILE, &now);
  }
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;

 private:
  rlimit before_{};
};

// UBSan's check of dynamic types opens a pipe to see whether memory can be read, and takes it for a
// wrong object where there is no descriptor.
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
#define ALOFT_SANITIZER_TAKES_DESCRIPTORS
#endif
#endif

TEST_F(HttpServerTest, without_a_descriptor_left_those_inside_are_served_and_others_come_in_later) {
#if defined(ALOFT_SANITIZER_TAKES_DESCRIPTORS)
  GTEST_SKIP() << "the sanitizer itself takes descriptors";
#endif
  serve();
  Client inside(server_->port());
  ASSERT_TRUE(inside.get("/"));
  Client late;
  {
    const NoMoreDescriptors none;
    late.connect(server_->port());
    late.ask(verb::get, "/late");
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(inside.get("/"));
    EXPECT_FALSE(late.has_answer());
  }
  const auto answer = late.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body(), "at /late");
}

}  // namespace
}  // namespace aloft::net
