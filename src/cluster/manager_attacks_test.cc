// What devices and the network may try against a manager, and what it has to keep doing for all
// others meanwhile: over gRPC and TLS, with hosts that are simulated but for their services.
#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cluster/fair_pool.h"
#include "cluster/manager.h"
#include "cluster/revocations.h"
#include "cluster/testing/cluster_fixture.h"
#include "identity/jwt.h"
#include "identity/key_file.h"
#include "rpc/status.h"

namespace aloft::cluster {
namespace {

using namespace std::chrono_literals;
using testing::call;
using testing::Cluster;
using testing::eventually;
using ::testing::HasSubstr;
using testing::kPatience;
using testing::open_request;
using Stub = v1::OffloadManager::Stub;
using Code = grpc::StatusCode;

const std::string kTenants = testing::roomy_tenant("good") + testing::roomy_tenant("evil");

struct Opened {
  grpc::Status status;
  v1::Session session;
};
Opened open(Stub& stub, const v1::OpenSessionRequest& request = open_request()) {
  Opened opened;
  opened.status = call(stub, &Stub::OpenSession, request, opened.session);
  return opened;
}
grpc::Status renew(Stub& stub, const std::string& id) {
  v1::RenewSessionRequest request;
  request.set_id(id);
  v1::Session response;
  return call(stub, &Stub::RenewSession, request, response);
}

// --- revocation ------------------------------------------------------------------------

// A tenant's certificate that the test knows.
struct Device {
  identity::IssuedCertificate issued;
  Cluster::Client client;
};
Device device_of(Cluster& cluster, const std::string& tenant) {
  auto issued = cluster.authority().issue(
      {.identity = {.cluster = "test", .role = identity::Role::tenant, .name = tenant},
       .hosts = {}});
  EXPECT_TRUE(issued) << issued.error().message;
  auto channel = grpc::CreateChannel(
      cluster.address(),
      grpc::SslCredentials({.pem_root_certs = cluster.authority().certificate_pem(),
                            .pem_private_key = issued->key_pem,
                            .pem_cert_chain = issued->certificate_pem}));
  return {*std::move(issued), v1::OffloadManager::NewStub(channel)};
}
v1::OpenSessionRequest request_for(const Digest& key) {
  auto request = open_request();
  request.set_client_key_sha256(key.bytes.data(), key.bytes.size());
  return request;
}

class Revoked : public ::testing::Test {
 protected:
  void expect_closed(const std::string& session) {
    EXPECT_TRUE(eventually([&] {
      const auto kept = cluster_.store().list("sessions/" + session);
      return kept && kept->entries.empty();
    })) << session;
  }
  void add(const Revocation& revocation) {
    const auto added = revoke(cluster_.folder(), revocation);
    ASSERT_TRUE(added) << added.error().message;
    ASSERT_TRUE(*added);
  }
  static Revocation by_key(const Device& device) {
    return {.key = identity::mark_of(device.issued.certificate_pem)->public_key,
            .serial = {},
            .token = {},
            .tenant = {},
            .reason = "a test"};
  }
  Cluster cluster_{kTenants};
  std::unique_ptr<testing::SimulatedHost> host_ = cluster_.host({.id = "h1"});
};

TEST_F(Revoked, a_certificate_is_refused_at_its_next_request_and_its_sessions_are_closed) {
  const Device stolen = device_of(cluster_, "good");
  const Device kept = device_of(cluster_, "good");
  // With a key of the thief's own: it is the certificate that opened it.
  const auto by_thief =
      open(*stolen.client, request_for(sha256(std::as_bytes(std::span("thief")))));
  ASSERT_TRUE(by_thief.status.ok()) << by_thief.status.error_message();
  // For the stolen key, though another certificate has opened it.
  const auto for_key = open(*kept.client, request_for(*by_key(stolen).key));
  const auto other = open(*kept.client);
  ASSERT_TRUE(for_key.status.ok() && other.status.ok());
  ASSERT_EQ(host_->sessions().size(), 3U);

  add(by_key(stolen));
  ASSERT_TRUE(eventually([&] {
    return renew(*stolen.client, other.session.id()).error_code() == Code::UNAUTHENTICATED;
  }));
  EXPECT_THAT(open(*stolen.client).status.error_message(), HasSubstr("revoked"));
  expect_closed(by_thief.session.id());
  expect_closed(for_key.session.id());
  EXPECT_TRUE(eventually([&] { return host_->sessions().size() == 1U; })) << "the host was told";
  EXPECT_TRUE(renew(*kept.client, other.session.id()).ok());
}

TEST_F(Revoked, a_serial_number_and_a_tenant_are_refused_as_well) {
  const Device first = device_of(cluster_, "good");
  const Device second = device_of(cluster_, "evil");
  const Device third = device_of(cluster_, "good");
  const auto of_first = open(*first.client);
  const auto of_second = open(*second.client);
  const auto of_third = open(*third.client);
  ASSERT_TRUE(of_first.status.ok() && of_second.status.ok() && of_third.status.ok());
  add({.key = {},
       .serial = identity::mark_of(first.issued.certificate_pem)->serial,
       .token = {},
       .tenant = {},
       .reason = {}});
  add({.key = {}, .serial = {}, .token = {}, .tenant = "evil", .reason = {}});
  expect_closed(of_first.session.id());
  expect_closed(of_second.session.id());
  EXPECT_EQ(open(*first.client).status.error_code(), Code::UNAUTHENTICATED);
  EXPECT_EQ(open(*second.client).status.error_code(), Code::UNAUTHENTICATED);
  EXPECT_TRUE(renew(*third.client, of_third.session.id()).ok());
}

TEST_F(Revoked, a_host_leaves_the_cluster) {
  add({.key = {}, .serial = {}, .token = {}, .tenant = "evil", .reason = {}});
  ASSERT_TRUE(open(*cluster_.tenant("good")).status.ok()) << "others are not concerned";
  add({.key = host_->key(), .serial = {}, .token = {}, .tenant = {}, .reason = {}});
  EXPECT_TRUE(eventually([&] {
    const auto hosts = cluster_.store().list("hosts/");
    return hosts && hosts->entries.empty();
  })) << "its lease ended";
}

TEST_F(Revoked, a_token_is_refused_and_the_next_one_is_not) {
  const auto issuer = identity::SigningKey::generate();
  ASSERT_TRUE(identity::write_key_file(cluster_.folder() / "issuer.pub",
                                       issuer.verifying().to_pem(), identity::Secrecy::open));
  ASSERT_TRUE(
      identity::write_key_file(cluster_.folder() / "tenants.toml",
                               kTenants + "[[issuers]]\nissuer = \"me\"\naudience = \"aloft\"\n" +
                                   "tenants = [\"good\"]\nkeys = { \"k\" = \"issuer.pub\" }\n",
                               identity::Secrecy::open, identity::Existing::replace));
  const auto token = [&](const std::string& id) {
    identity::JwtRequest request;
    request.claims.issuer = "me";
    request.claims.tenant = "good";
    request.claims.id = id;
    request.claims.issued =
        std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    request.claims.expires = request.claims.issued + 1h;
    request.audience = "aloft";
    request.key_id = "k";
    return identity::sign_jwt(request, issuer);
  };
  const auto client = cluster_.nobody();
  const auto open_with = [&](const std::string& id) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    context.AddMetadata("authorization", "Bearer " + token(id));
    Opened opened;
    opened.status = client->OpenSession(&context, open_request(), &opened.session);
    return opened;
  };
  Opened first;
  ASSERT_TRUE(eventually([&] { return (first = open_with("lost")).status.ok(); }));
  add({.key = {}, .serial = {}, .token = "lost", .tenant = {}, .reason = {}});
  expect_closed(first.session.id());
  EXPECT_EQ(open_with("lost").status.error_code(), Code::UNAUTHENTICATED);
  EXPECT_TRUE(open_with("new").status.ok());
}

// --- one tenant against the others -----------------------------------------------------

TEST(ManagerAttack, sessions_that_never_get_ready_hold_up_their_own_tenant_alone) {
  std::atomic<bool> hold = true;
  Cluster cluster(kTenants, [](ManagerOptions& options) { options.host_calls.prepare = 20s; });
  const auto host = cluster.host(
      {.id = "h1", .memory_bytes = std::uint64_t{1} << 40U, .cpu_millicores = 1'000'000});
  host->prepare_with([&hold](const v1::PrepareRequest& request) {
    while (hold && request.tenant() == "evil") std::this_thread::sleep_for(5ms);
    return grpc::Status::OK;
  });
  std::vector<std::jthread> attackers;
  const struct LetGo {
    std::atomic<bool>& held;
    ~LetGo() { held = false; }
  } let_go{hold};
  for (int i = 0; i < 64; ++i) {
    attackers.emplace_back([&] { (void)open(*cluster.tenant("evil")); });
  }
  // It has all that it gets.
  ASSERT_TRUE(eventually([&] { return host->prepared() >= 24; }));
  const auto client = cluster.tenant("good");
  for (int i = 0; i < 10; ++i) {
    const auto opened = open(*client);
    EXPECT_TRUE(opened.status.ok()) << opened.status.error_message();
    EXPECT_TRUE(renew(*client, opened.session.id()).ok());
  }
  EXPECT_TRUE(hold) << "while none of the others had ended";
}

TEST(ManagerAttack, a_module_that_takes_too_long_gives_its_host_no_bad_name) {
  Cluster cluster(kTenants, [](ManagerOptions& options) { options.host_calls.prepare = 500ms; });
  const auto host = cluster.host({.id = "h1"});
  host->prepare_with([](const v1::PrepareRequest& request) {
    if (request.tenant() == "evil") std::this_thread::sleep_for(1s);
    return grpc::Status::OK;
  });
  EXPECT_FALSE(open(*cluster.tenant("evil")).status.ok());
  // At the moment at which the host is silent, as the first one sees it.
  const auto opened = open(*cluster.tenant("good"));
  EXPECT_TRUE(opened.status.ok()) << opened.status.error_message();
  EXPECT_FALSE(open(*cluster.tenant("evil")).status.ok());
}

TEST(FairPool, an_owner_has_no_more_than_its_part_and_all_of_its_work_is_done) {
  FairPool pool(4, 3, 100);
  std::atomic<int> running = 0, most = 0, done = 0, others = 0;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(pool.post("a", [&] {
      const int now = ++running;
      int before = most;
      while (now > before && !most.compare_exchange_weak(before, now)) {
      }
      std::this_thread::sleep_for(1ms);
      --running;
      ++done;
    }));
    ASSERT_TRUE(pool.post("b", [&] { ++others; }));
  }
  EXPECT_TRUE(eventually([&] { return done == 50 && others == 50; }));
  EXPECT_LE(most, 3);
}

TEST(FairPool, what_waits_is_bounded_for_each_owner) {
  std::atomic<bool> hold = true;
  FairPool pool(2, 1, 2);
  const auto wait = [&] {
    while (hold) std::this_thread::sleep_for(1ms);
  };
  int taken = 0;
  while (taken < 100 && pool.post("a", wait)) ++taken;
  EXPECT_LE(taken, 4);
  std::atomic<bool> done = false;
  EXPECT_TRUE(pool.post("b", [&] { done = true; }));
  EXPECT_TRUE(eventually([&] { return done.load(); }));
  hold = false;
}

// --- the network -----------------------------------------------------------------------

TEST(ManagerAttack, a_message_that_is_too_large_is_refused_before_it_is_read) {
  Cluster cluster(kTenants);
  const auto host = cluster.host({.id = "h1"});
  auto request = open_request();
  request.set_idempotency_key(std::string(std::size_t{4} << 20U, 'x'));
  const auto client = cluster.tenant("evil");
  EXPECT_EQ(open(*client, request).status.error_code(), Code::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(open(*client).status.ok());
}

TEST(ManagerAttack, a_flood_of_metadata_is_refused_and_the_next_request_is_fine) {
  Cluster cluster(kTenants);
  const auto host = cluster.host({.id = "h1"});
  const auto client = cluster.tenant("evil");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  for (int i = 0; i < 64; ++i)
    context.AddMetadata("x-" + std::to_string(i), std::string(4096, 'x'));
  v1::Session session;
  EXPECT_FALSE(client->OpenSession(&context, open_request(), &session).ok());
  EXPECT_TRUE(open(*cluster.tenant("good")).status.ok());
  // Its own connection may be at an end; the next one is as good as any.
  EXPECT_TRUE(eventually([&] { return open(*client).status.ok(); }));
}

// Connections, without TLS yet, to a port of this machine.
class Sockets {
 public:
  Sockets(std::uint16_t port, std::size_t count) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (std::size_t i = 0; i < count; ++i) {
      const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (socket < 0) break;
      all_.push_back(socket);
      if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) break;
    }
  }
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;
  ~Sockets() {
    for (const int socket : all_) ::close(socket);
  }
  [[nodiscard]] const std::vector<int>& all() const { return all_; }

 private:
  std::vector<int> all_;
};

TEST(ManagerAttack, connections_that_say_nothing_keep_nobody_out_and_are_closed) {
  Cluster cluster(kTenants);
  const auto host = cluster.host({.id = "h1"});
  const Sockets silent(cluster.manager().port(), 400);
  ASSERT_EQ(silent.all().size(), 400U);
  EXPECT_TRUE(open(*cluster.tenant("good")).status.ok());
  // They are not waited for without end.
  std::array<char, 16> some{};
  for (const int socket : {silent.all().front(), silent.all().back()}) {
    timeval limit{.tv_sec = kPatience.count(), .tv_usec = 0};
    ASSERT_EQ(::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    EXPECT_EQ(::recv(socket, some.data(), some.size(), 0), 0);
  }
}

struct FreeSsl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* connection) const { SSL_free(connection); }
};

TEST(ManagerAttack, an_old_tls_and_a_renegotiation_are_refused) {
  Cluster cluster(kTenants);
  const Sockets sockets(cluster.manager().port(), 2);
  ASSERT_EQ(sockets.all().size(), 2U);
  const std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  const std::array<unsigned char, 3> protocol{2, 'h', '2'};
  SSL_CTX_set_alpn_protos(context.get(), protocol.data(), protocol.size());
  SSL_CTX_set_security_level(context.get(), 0);

  std::unique_ptr<SSL, FreeSsl> connection(SSL_new(context.get()));
  SSL_set_max_proto_version(connection.get(), TLS1_1_VERSION);
  SSL_set_min_proto_version(connection.get(), TLS1_VERSION);
  SSL_set_fd(connection.get(), sockets.all()[0]);
  EXPECT_NE(SSL_connect(connection.get()), 1);

  connection.reset(SSL_new(context.get()));
  SSL_set_max_proto_version(connection.get(), TLS1_2_VERSION);
  SSL_set_fd(connection.get(), sockets.all()[1]);
  if (SSL_connect(connection.get()) != 1) return;  // nothing is left to renegotiate
  SSL_renegotiate(connection.get());
  EXPECT_NE(SSL_do_handshake(connection.get()), 1);
}

TEST(RpcStatus, what_others_chose_forges_no_line_and_fits_a_header) {
  const auto status =
      rpc::to_status({Errc::refused, "imports a\nb\x1b[2J" + std::string(100'000, 'x')});
  EXPECT_THAT(status.error_message(), HasSubstr("imports a b [2J"));
  EXPECT_LE(status.error_message().size(), 1024U);
  EXPECT_EQ(rpc::to_error({Code::INTERNAL, "a\rb"}).message, "a b");
}

}  // namespace
}  // namespace aloft::cluster
