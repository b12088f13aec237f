// A manager as devices, hosts and operators see it: over gRPC and mutual TLS, with hosts that are
// simulated but for their services, on the embedded store.
#include "cluster/manager.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "cluster/testing/cluster_fixture.h"
#include "identity/jwt.h"
#include "identity/key_file.h"
#include "identity/ticket.h"
#include "identity/ticket_keys.h"
#include "rpc/status.h"

namespace aloft::cluster {
namespace {

using namespace std::chrono_literals;
using testing::call;
using testing::Cluster;
using testing::eventually;
using ::testing::HasSubstr;
using testing::open_request;
using testing::SimulatedHostOptions;
using ::testing::UnorderedElementsAre;
using Stub = v1::OffloadManager::Stub;
using Code = grpc::StatusCode;

constexpr const char* kTenants = R"(
[tenants.acme]
max_sessions = 1000
memory = "1TiB"
cpu_millicores = 1000000
gpus = 8
opens_per_second = 10000
open_burst = 10000
modules = ["*"]
allow_unsigned = true
host_functions = ["wasi_ephemeral_nn"]

[tenants.other]
max_sessions = 2
memory = "128MiB"
cpu_millicores = 10000
opens_per_second = 1
open_burst = 5
modules = ["detect"]
)";

struct Opened {
  grpc::Status status;
  v1::Session session;
};

Opened open(Stub& stub, const v1::OpenSessionRequest& request) {
  Opened opened;
  opened.status = call(stub, &Stub::OpenSession, request, opened.session);
  return opened;
}

v1::Session must_open(Stub& stub, const v1::OpenSessionRequest& request = open_request()) {
  auto opened = open(stub, request);
  EXPECT_TRUE(opened.status.ok()) << opened.status.error_message();
  EXPECT_EQ(opened.session.state(), v1::Session::PLACED);
  return opened.session;
}

Opened renew(Stub& stub, const std::string& id) {
  v1::RenewSessionRequest request;
  request.set_id(id);
  Opened renewed;
  renewed.status = call(stub, &Stub::RenewSession, request, renewed.session);
  return renewed;
}

Opened move(Stub& stub, const v1::MoveSessionRequest& request) {
  Opened moved;
  moved.status = call(stub, &Stub::MoveSession, request, moved.session);
  return moved;
}

grpc::Status close(Stub& stub, const std::string& id) {
  v1::CloseSessionRequest request;
  request.set_id(id);
  v1::CloseSessionResponse response;
  return call(stub, &Stub::CloseSession, request, response);
}

std::size_t keys_under(Cluster& cluster, const char* prefix) {
  const auto snapshot = cluster.store().list(prefix);
  return snapshot ? snapshot->entries.size() : 999;
}

void expect_nothing_reserved(Cluster& cluster) {
  for (const char* const prefix : {"sessions/", "reasons/", "reservations/", "quotas/"}) {
    EXPECT_EQ(keys_under(cluster, prefix), 0U) << prefix;
  }
}

std::string other_than(const std::string& host) { return host == "h1" ? "h2" : "h1"; }

// A stream of WatchSession, read one message at a time.
class WatchStream {
 public:
  WatchStream(Stub& stub, const std::string& id) {
    v1::WatchSessionRequest request;
    request.set_id(id);
    context_.set_deadline(std::chrono::system_clock::now() + testing::kPatience);
    reader_ = stub.WatchSession(&context_, request);
  }
  std::optional<v1::Session> next() {
    v1::Session session;
    if (!reader_->Read(&session)) return std::nullopt;
    return session;
  }
  grpc::Status finish() { return reader_->Finish(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::Session>> reader_;
};

TEST(Manager, a_session_is_opened_renewed_explained_and_closed) {
  Cluster cluster(kTenants);
  const auto host = cluster.host({.id = "h1"});
  const auto client = cluster.tenant("acme");

  const v1::Session session = must_open(*client);
  EXPECT_EQ(session.tenant(), "acme");
  EXPECT_EQ(session.placement().host_id(), "h1");
  EXPECT_EQ(session.placement().generation(), 1U);
  EXPECT_EQ(session.placement().data_plane_authority(), cluster.authority().certificate_pem());
  EXPECT_GT(session.resources().memory_bytes(), 0U);
  EXPECT_GT(session.renew_within_ms(), 30'000U);
  EXPECT_THAT(host->sessions(), UnorderedElementsAre(session.id() + "/1"));

  // The ticket opens the door at that handler, with that key, by the keys that hosts are told.
  const auto keys = host->last_answer().ticket_keys();
  ASSERT_EQ(keys.size(), 1);
  const auto key =
      identity::VerifyingKey::from_raw(std::as_bytes(std::span(keys[0].ed25519_public_key())));
  ASSERT_TRUE(key);
  EXPECT_EQ(keys[0].id(), key->id());
  Digest device;
  device.bytes.fill(static_cast<std::byte>('k'));
  const std::string boot = host->boot_of("acme");
  const auto ticket = identity::open(std::as_bytes(std::span(session.placement().ticket())),
                                     {.keys = {&*key, 1},
                                      .host = "h1",
                                      .handler_boot = boot,
                                      .tenant = "acme",
                                      .client_key = device,
                                      .now = identity::ClusterTime(static_cast<std::int64_t>(
                                          host->last_answer().cluster_time_ms()))});
  ASSERT_TRUE(ticket) << ticket.error().message;
  EXPECT_EQ(ticket->session, session.id());
  EXPECT_EQ(ticket->generation, 1U);
  EXPECT_EQ(ticket->limits.memory_bytes, session.resources().memory_bytes());

  const auto renewed = renew(*client, session.id());
  ASSERT_TRUE(renewed.status.ok()) << renewed.status.error_message();
  EXPECT_FALSE(renewed.session.placement().ticket().empty());
  EXPECT_EQ(renewed.session.placement().generation(), 1U);

  v1::ExplainSessionRequest explain;
  explain.set_id(session.id());
  v1::PlacementReason reason;
  ASSERT_TRUE(call(*client, &Stub::ExplainSession, explain, reason).ok());
  ASSERT_EQ(reason.scores_size(), 1);
  EXPECT_EQ(reason.scores(0).host_id(), "h1");
  EXPECT_GT(reason.scores(0).total(), 0.0);

  EXPECT_TRUE(close(*client, session.id()).ok());
  EXPECT_TRUE(close(*client, session.id()).ok()) << "closing is idempotent";
  EXPECT_EQ(renew(*client, session.id()).status.error_code(), Code::NOT_FOUND);
  expect_nothing_reserved(cluster);
  EXPECT_TRUE(eventually([&] { return host->sessions().empty(); }));
}

TEST(Manager, the_same_key_opens_the_same_session_at_every_manager) {
  Cluster cluster(kTenants, nullptr, 2);
  const auto host = cluster.host({.id = "h1"});
  const auto first = cluster.tenant("acme", 0);
  const auto second = cluster.tenant("acme", 1);
  const auto session = must_open(*first, open_request("0123456789abcdef"));
  EXPECT_EQ(must_open(*second, open_request("0123456789abcdef")).id(), session.id());
  EXPECT_EQ(must_open(*first, open_request("0123456789abcdef")).id(), session.id());
  EXPECT_NE(must_open(*first, open_request("0123456789abcdeX")).id(), session.id());
  EXPECT_NE(must_open(*first).id(), must_open(*first).id());
  // Another device's key with the same idempotency key is another session.
  auto request = open_request("0123456789abcdef");
  request.set_client_key_sha256(std::string(32, 'z'));
  EXPECT_NE(must_open(*first, request).id(), session.id());
  EXPECT_EQ(keys_under(cluster, "sessions/"), 5U);
}

TEST(Manager, who_is_nobody_or_asks_for_too_much_is_refused) {
  Cluster cluster(kTenants);
  const auto host = cluster.host({.id = "h1"});
  const auto acme = cluster.tenant("acme");
  const auto other = cluster.tenant("other");
  const auto session = must_open(*acme);

  EXPECT_EQ(open(*cluster.nobody(), open_request()).status.error_code(), Code::UNAUTHENTICATED);
  EXPECT_EQ(open(*cluster.tenant("unknown"), open_request()).status.error_code(),
            Code::PERMISSION_DENIED);
  const auto as_host = cluster.as({.cluster = "test", .role = identity::Role::host, .name = "h1"});
  EXPECT_EQ(open(*as_host, open_request()).status.error_code(), Code::PERMISSION_DENIED);
  EXPECT_EQ(open(*cluster.operator_(), open_request()).status.error_code(),
            Code::PERMISSION_DENIED);

  EXPECT_EQ(renew(*other, session.id()).status.error_code(), Code::PERMISSION_DENIED);
  EXPECT_EQ(close(*other, session.id()).error_code(), Code::PERMISSION_DENIED);
  v1::MoveSessionRequest away;
  away.set_id(session.id());
  EXPECT_EQ(move(*other, away).status.error_code(), Code::PERMISSION_DENIED);
  WatchStream stream(*other, session.id());
  EXPECT_FALSE(stream.next());
  EXPECT_EQ(stream.finish().error_code(), Code::PERMISSION_DENIED);

  v1::ListHostsResponse hosts;
  EXPECT_EQ(call(*acme, &Stub::ListHosts, v1::ListHostsRequest{}, hosts).error_code(),
            Code::PERMISSION_DENIED);
  ASSERT_TRUE(call(*cluster.operator_(), &Stub::ListHosts, v1::ListHostsRequest{}, hosts).ok());
  ASSERT_EQ(hosts.hosts_size(), 1);
  EXPECT_EQ(hosts.hosts(0).sessions(), 1U);
  EXPECT_EQ(renew(*acme, "no such id").status.error_code(), Code::INVALID_ARGUMENT);
  EXPECT_EQ(renew(*acme, std::string(32, '0')).status.error_code(), Code::NOT_FOUND);

  auto forbidden = open_request();
  forbidden.mutable_modules(0)->set_name("miner");
  const auto refused = open(*other, forbidden);
  EXPECT_EQ(refused.status.error_code(), Code::PERMISSION_DENIED);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("miner"));
}

TEST(Manager, a_host_speaks_for_itself_alone) {
  Cluster cluster(kTenants);
  const auto issued = cluster.authority().issue(
      {.identity = {.cluster = "test", .role = identity::Role::host, .name = "h2"},
       .hosts = {"127.0.0.1"}});
  ASSERT_TRUE(issued);
  const auto channel = grpc::CreateChannel(
      cluster.address(),
      grpc::SslCredentials({.pem_root_certs = cluster.authority().certificate_pem(),
                            .pem_private_key = issued->key_pem,
                            .pem_cert_chain = issued->certificate_pem}));
  const auto stub = v1::Hosts::NewStub(channel);
  grpc::ClientContext context;
  v1::RegisterHostRequest request;
  request.set_host_id("h1");
  v1::HeartbeatResponse response;
  EXPECT_EQ(stub->Register(&context, request, &response).error_code(), Code::PERMISSION_DENIED);
}

TEST(Manager, a_request_that_is_none_is_refused_before_anything_is_spent) {
  Cluster cluster(kTenants);
  const auto client = cluster.tenant("acme");
  const auto expect_invalid = [&](const char* what, auto change) {
    auto request = open_request();
    change(request);
    const auto status = open(*client, request).status;
    EXPECT_EQ(status.error_code(), Code::INVALID_ARGUMENT) << what;
    EXPECT_THAT(status.error_message(), HasSubstr(what));
  };
  expect_invalid("modules", [](auto& request) { request.clear_modules(); });
  expect_invalid("modules", [](auto& request) {
    for (int i = 0; i < 20; ++i) *request.add_modules() = request.modules(0);
  });
  expect_invalid("modules",
                 [](auto& request) { request.mutable_modules(0)->set_digest("latest"); });
  expect_invalid("modules", [](auto& request) { request.mutable_modules(0)->set_name("a\nb"); });
  expect_invalid("client_key_sha256",
                 [](auto& request) { request.set_client_key_sha256("short"); });
  expect_invalid("idempotency_key",
                 [](auto& request) { request.set_idempotency_key(std::string(65, 'x')); });
  expect_invalid("avoid_hosts", [](auto& request) { request.add_avoid_hosts("../etc"); });
  expect_invalid("round_trip_us",
                 [](auto& request) { (*request.mutable_round_trip_us())["A B"] = 1; });
  expect_invalid("needs", [](auto& request) {
    for (int i = 0; i < 65; ++i) request.mutable_needs()->add_models("m");
  });
  expect_nothing_reserved(cluster);
}

TEST(Manager, a_token_opens_what_a_certificate_would) {
  const auto issuer = identity::SigningKey::generate();
  Cluster cluster(kTenants);
  const auto put = [&](const char* file, const std::string& text) {
    aloft::testing::write_file(cluster.folder() / file, std::as_bytes(std::span(text)));
  };
  put("issuer.pub", issuer.verifying().to_pem());
  put("tenants.toml", std::string(kTenants) + R"(
[[issuers]]
issuer = "https://id.example"
audience = "aloft"
tenants = ["acme"]
keys = { "k1" = "issuer.pub" }
)");
  const auto host = cluster.host({.id = "h1"});
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto token_for = [&](const std::string& tenant) {
    return identity::sign_jwt({.claims = {.issuer = "https://id.example",
                                          .subject = "phone-7",
                                          .tenant = tenant,
                                          .id = "",
                                          .issued = now,
                                          .expires = now + 10min},
                               .audience = "aloft",
                               .key_id = "k1"},
                              issuer);
  };
  const auto client = cluster.nobody();
  const auto open_with = [&](const std::string& authorization) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + testing::kPatience);
    context.AddMetadata("authorization", authorization);
    v1::Session session;
    return client->OpenSession(&context, open_request(), &session);
  };
  // The tenants file is read again by itself.
  EXPECT_TRUE(eventually([&] { return open_with("Bearer " + token_for("acme")).ok(); }));
  EXPECT_EQ(open_with("Bearer " + token_for("other")).error_code(), Code::UNAUTHENTICATED)
      << "the issuer may not speak for this tenant";
  std::string forged = token_for("acme");
  forged[forged.size() / 2] = forged[forged.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_EQ(open_with("Bearer " + forged).error_code(), Code::UNAUTHENTICATED);
  EXPECT_EQ(open_with("Basic YTpi").error_code(), Code::UNAUTHENTICATED);
}

TEST(Manager, opens_that_are_too_many_are_told_when_to_come_again) {
  Cluster cluster(kTenants);
  const auto host = cluster.host({.id = "h1"});
  const auto client = cluster.tenant("other");
  std::optional<std::string> retry_after;
  for (int i = 0; i < 10 && !retry_after; ++i) {
    grpc::ClientContext context;
    v1::Session session;
    const auto status = client->OpenSession(&context, open_request(), &session);
    if (status.ok()) continue;
    ASSERT_EQ(status.error_code(), Code::RESOURCE_EXHAUSTED) << status.error_message();
    const auto& trailing = context.GetServerTrailingMetadata();
    const auto found = trailing.find(rpc::kRetryAfter);
    ASSERT_NE(found, trailing.end()) << status.error_message();
    if (status.error_message().find("too fast") == std::string::npos) {
      EXPECT_THAT(status.error_message(), HasSubstr("quota of sessions"));
      EXPECT_EQ(i, 2) << "two sessions are allowed";
      // Its quota stops it first; the rate does, in the end.
      i = 2;
      for (int more = 0; more < 5; ++more) (void)open(*client, open_request());
      continue;
    }
    retry_after = std::string(found->second.data(), found->second.size());
  }
  ASSERT_TRUE(retry_after) << "nobody was told to come again";
  EXPECT_GT(std::stoi(*retry_after), 0);
  EXPECT_LE(std::stoi(*retry_after), 1000);
}

TEST(Manager, a_host_that_does_not_prepare_is_passed_over_and_gets_its_room_back) {
  Cluster cluster(kTenants, [](ManagerOptions& options) { options.host_calls.prepare = 1000ms; });
  // The better one by its load is the one that fails, each time in another way.
  const auto bad = cluster.host({.id = "bad"});
  const auto good = cluster.host({.id = "good"});
  good->load(0.9);
  ASSERT_TRUE(eventually([&] {
    v1::ListHostsResponse hosts;
    (void)call(*cluster.operator_(), &Stub::ListHosts, v1::ListHostsRequest{}, hosts);
    return hosts.hosts_size() == 2 && hosts.hosts(1).load() > 0.8;
  }));
  const auto client = cluster.tenant("acme");
  bad->prepare_with(
      [](const auto&) { return grpc::Status(Code::INTERNAL, "no process could be started"); });
  EXPECT_EQ(must_open(*client).placement().host_id(), "good");
  bad->prepare_with([](const auto&) {
    std::this_thread::sleep_for(3s);  // longer than it is waited for
    return grpc::Status::OK;
  });
  EXPECT_EQ(must_open(*client).placement().host_id(), "good");
  EXPECT_GE(bad->prepared(), 2U);
  const auto before = bad->prepared();
  EXPECT_EQ(must_open(*client).placement().host_id(), "good");
  EXPECT_EQ(bad->prepared(), before) << "one that was silent a moment ago is not asked";

  v1::ListHostsResponse hosts;
  ASSERT_TRUE(call(*cluster.operator_(), &Stub::ListHosts, v1::ListHostsRequest{}, hosts).ok());
  EXPECT_EQ(hosts.hosts(0).id(), "bad");
  EXPECT_EQ(hosts.hosts(0).sessions(), 0U);
  EXPECT_EQ(hosts.hosts(0).reserved().memory_bytes(), 0U);
  EXPECT_EQ(hosts.hosts(1).sessions(), 3U);
}

TEST(Manager, what_no_host_could_do_better_is_said_at_once) {
  Cluster cluster(kTenants);
  const auto first = cluster.host({.id = "h1"});
  const auto second = cluster.host({.id = "h2"});
  const auto unsigned_module = [](const auto&) {
    return grpc::Status(Code::PERMISSION_DENIED, "module detect has no good signature");
  };
  first->prepare_with(unsigned_module);
  second->prepare_with(unsigned_module);
  const auto refused = open(*cluster.tenant("acme"), open_request());
  EXPECT_EQ(refused.status.error_code(), Code::PERMISSION_DENIED);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("no good signature"));
  EXPECT_EQ(first->prepared() + second->prepared(), 1U);
  expect_nothing_reserved(cluster);
}

TEST(Manager, without_room_an_open_is_refused_with_the_reasons) {
  Cluster cluster(kTenants);
  const auto client = cluster.tenant("acme");
  auto refused = open(*client, open_request());
  EXPECT_EQ(refused.status.error_code(), Code::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("no host is registered"));
  const auto host = cluster.host({.id = "h1", .memory_bytes = 100});
  refused = open(*client, open_request());
  EXPECT_EQ(refused.status.error_code(), Code::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("memory"));
  expect_nothing_reserved(cluster);
}

TEST(Manager, the_sessions_of_a_dead_host_are_placed_again_and_their_devices_told) {
  Cluster cluster(kTenants, nullptr, 2);
  auto first = cluster.host({.id = "h1"});
  const auto client = cluster.tenant("acme", 1);
  const auto session = must_open(*client);
  WatchStream stream(*client, session.id());
  auto told = stream.next();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->placement().generation(), 1U);
  EXPECT_FALSE(told->placement().ticket().empty());

  const auto second = cluster.host({.id = "h2"});
  first.reset();
  const auto died = std::chrono::steady_clock::now();
  told = stream.next();
  ASSERT_TRUE(told) << stream.finish().error_message();
  EXPECT_EQ(told->placement().host_id(), "h2");
  EXPECT_GT(told->placement().generation(), 1U);
  EXPECT_FALSE(told->placement().ticket().empty());
  RecordProperty("placed_again_ms",
                 static_cast<int>((std::chrono::steady_clock::now() - died) / 1ms));
  EXPECT_EQ(second->sessions().size(), 1U);
  EXPECT_TRUE(eventually([&] { return !cluster.store().get("reservations/h1")->has_value(); }));

  EXPECT_TRUE(close(*client, session.id()).ok());
  told = stream.next();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->state(), v1::Session::CLOSED);
  EXPECT_FALSE(stream.next());
  EXPECT_TRUE(stream.finish().ok());
  expect_nothing_reserved(cluster);
}

TEST(Manager,
     a_host_whose_lease_ended_while_no_manager_lived_keeps_its_sessions_when_it_comes_back) {
  Cluster cluster(kTenants);
  const auto host = cluster.host({.id = "h1"});
  const auto client = cluster.tenant("acme");
  const auto session = must_open(*client);
  cluster.stop_manager(0);
  ASSERT_TRUE(eventually([&] { return !cluster.store().get("hosts/h1")->has_value(); }));
  cluster.start_manager(0);
  ASSERT_TRUE(eventually([&] { return cluster.store().get("hosts/h1")->has_value(); }));
  const auto again = cluster.tenant("acme");
  ASSERT_TRUE(eventually([&] { return renew(*again, session.id()).status.ok(); }));
  const auto renewed = renew(*again, session.id());
  EXPECT_EQ(renewed.session.state(), v1::Session::PLACED);
  EXPECT_EQ(renewed.session.placement().generation(), session.placement().generation());
  EXPECT_EQ(host->prepared(), 1U);
}

TEST(Manager, a_host_that_was_away_is_told_what_has_ended_meanwhile_and_keeps_the_rest) {
  Cluster cluster(kTenants, nullptr, 2);
  const auto first = cluster.host({.id = "h1"});
  const auto client = cluster.tenant("acme", 1);
  const auto moved = must_open(*client);
  const auto closed = must_open(*client);
  const auto second = cluster.host({.id = "h2"});
  first->heartbeats(false);
  ASSERT_TRUE(eventually([&] { return second->sessions().size() == 2; }));
  // It does not hear of that either, since no manager knows it now.
  ASSERT_TRUE(close(*client, closed.id()).ok());
  EXPECT_EQ(first->sessions().size(), 2U);

  first->heartbeats(true);
  EXPECT_TRUE(eventually([&] { return first->sessions().empty(); }));
  v1::MoveSessionRequest back;
  back.set_id(moved.id());
  back.set_to_host("h1");
  v1::Session session;
  ASSERT_TRUE(call(*client, &Stub::MoveSession, back, session).ok());
  EXPECT_EQ(session.placement().host_id(), "h1");
  // Each manager has heard of it by then, and says so.
  const auto turns = [&] { return first->beats(); };
  const auto now = turns();
  EXPECT_TRUE(eventually([&] { return turns() > now + 6; }));
  EXPECT_EQ(first->sessions().size(), 1U);
}

TEST(Manager, a_session_without_any_host_waits_and_is_placed_when_one_comes) {
  Cluster cluster(kTenants);
  auto first = cluster.host({.id = "h1"});
  const auto client = cluster.tenant("acme");
  const auto session = must_open(*client);
  WatchStream stream(*client, session.id());
  ASSERT_TRUE(stream.next());
  first.reset();
  auto told = stream.next();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->state(), v1::Session::WAITING);
  EXPECT_TRUE(told->placement().address().empty());
  const auto renewed = renew(*client, session.id());
  ASSERT_TRUE(renewed.status.ok());
  EXPECT_EQ(renewed.session.state(), v1::Session::WAITING);

  const auto second = cluster.host({.id = "h2"});
  told = stream.next();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->state(), v1::Session::PLACED);
  EXPECT_EQ(told->placement().host_id(), "h2");
}

TEST(Manager, a_host_that_was_started_anew_prepares_its_sessions_again) {
  Cluster cluster(kTenants);
  auto host = cluster.host({.id = "h1", .boot = "boot-1"});
  const auto client = cluster.tenant("acme");
  const auto session = must_open(*client);
  host.reset();
  host = cluster.host({.id = "h1", .boot = "boot-2"});
  ASSERT_TRUE(eventually([&] {
    const auto renewed = renew(*client, session.id());
    return renewed.status.ok() && renewed.session.state() == v1::Session::PLACED &&
           renewed.session.placement().generation() > 1;
  }));
  EXPECT_EQ(host->sessions().size(), 1U);
}

TEST(Manager, a_drained_host_loses_its_sessions_to_others_and_gets_new_ones_afterwards) {
  Cluster cluster(kTenants, [](ManagerOptions& options) { options.leaving = 300ms; });
  const auto first = cluster.host({.id = "h1"});
  const auto second = cluster.host({.id = "h2"});
  const auto client = cluster.tenant("acme");
  const auto operates = cluster.operator_();
  const auto session = must_open(*client);
  const std::string from = session.placement().host_id();
  WatchStream stream(*client, session.id());
  ASSERT_TRUE(stream.next());

  v1::DrainHostRequest request;
  request.set_host_id(from);
  v1::DrainHostResponse response;
  ASSERT_TRUE(call(*operates, &Stub::DrainHost, request, response).ok());
  EXPECT_EQ(response.sessions_moving(), 1U);
  const auto told = stream.next();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->state(), v1::Session::PLACED) << "make before break: it never waits";
  EXPECT_EQ(told->placement().host_id(), other_than(from));
  EXPECT_EQ(must_open(*client).placement().host_id(), other_than(from));
  // The former host is left when the device had time to go.
  const auto& left = from == "h1" ? first : second;
  EXPECT_TRUE(eventually([&] {
    return left->sessions().empty() && !cluster.store().get("reservations/" + from)->has_value();
  }));
  EXPECT_TRUE(eventually([&] { return left->last_answer().drain(); }));

  request.set_undo(true);
  ASSERT_TRUE(call(*operates, &Stub::DrainHost, request, response).ok());
  EXPECT_EQ(must_open(*client).placement().host_id(), from);
  request.set_undo(false);
  request.set_host_id("nowhere");
  EXPECT_EQ(call(*operates, &Stub::DrainHost, request, response).error_code(), Code::NOT_FOUND);
}

TEST(Manager, a_session_moves_where_it_is_asked_to_and_a_repeated_request_moves_it_once) {
  Cluster cluster(kTenants);
  const auto first = cluster.host({.id = "h1"});
  const auto second = cluster.host({.id = "h2"});
  const auto client = cluster.tenant("acme");
  const auto session = must_open(*client);
  const std::string from = session.placement().host_id();

  v1::MoveSessionRequest request;
  request.set_id(session.id());
  request.add_avoid_hosts(from);
  for (int i = 0; i < 2; ++i) {
    const auto moved = move(*client, request);
    ASSERT_TRUE(moved.status.ok()) << moved.status.error_message();
    EXPECT_EQ(moved.session.placement().host_id(), other_than(from));
    EXPECT_EQ(moved.session.placement().generation(), 2U);
  }
  request.clear_avoid_hosts();
  request.set_to_host(from);
  auto moved = move(*client, request);
  ASSERT_TRUE(moved.status.ok()) << moved.status.error_message();
  EXPECT_EQ(moved.session.placement().host_id(), from);
  request.set_to_host("h9");
  moved = move(*client, request);
  EXPECT_EQ(moved.status.error_code(), Code::RESOURCE_EXHAUSTED);
  EXPECT_EQ(renew(*client, session.id()).session.placement().host_id(), from);
  EXPECT_TRUE(close(*client, session.id()).ok());
  expect_nothing_reserved(cluster);
}

TEST(Manager, a_session_that_nobody_renews_is_closed_and_one_that_is_renewed_lives) {
  Cluster cluster(kTenants, [](ManagerOptions& options) { options.session_lives = 2000ms; });
  const auto host = cluster.host({.id = "h1"});
  const auto client = cluster.tenant("acme");
  const auto kept = must_open(*client);
  const auto forgotten = must_open(*client);
  ASSERT_TRUE(eventually([&] {
    EXPECT_TRUE(renew(*client, kept.id()).status.ok());
    return !cluster.store().get("sessions/" + forgotten.id())->has_value();
  }));
  EXPECT_TRUE(renew(*client, kept.id()).status.ok());
  EXPECT_EQ(renew(*client, forgotten.id()).status.error_code(), Code::NOT_FOUND);
  EXPECT_TRUE(eventually([&] { return host->sessions().size() == 1; }));
}

TEST(Manager, sessions_outlive_the_manager_that_opened_them) {
  Cluster cluster(kTenants, nullptr, 2);
  const auto host = cluster.host({.id = "h1"});
  const auto session = must_open(*cluster.tenant("acme", 0));
  cluster.stop_manager(0);
  EXPECT_TRUE(renew(*cluster.tenant("acme", 1), session.id()).status.ok());
  cluster.stop_manager(1);
  cluster.start_manager(0);
  const auto client = cluster.tenant("acme", 0);
  const auto renewed = renew(*client, session.id());
  ASSERT_TRUE(renewed.status.ok()) << renewed.status.error_message();
  EXPECT_EQ(renewed.session.placement().generation(), 1U);
  EXPECT_TRUE(close(*client, session.id()).ok());
}

TEST(Manager, a_manager_that_ends_says_so_to_those_who_watch) {
  Cluster cluster(kTenants);
  const auto host = cluster.host({.id = "h1"});
  const auto client = cluster.tenant("acme");
  const auto session = must_open(*client);
  WatchStream stream(*client, session.id());
  ASSERT_TRUE(stream.next());
  cluster.stop_manager(0);
  EXPECT_FALSE(stream.next());
  EXPECT_EQ(stream.finish().error_code(), Code::UNAVAILABLE);
}

TEST(Manager, sessions_are_listed_page_by_page) {
  Cluster cluster(kTenants);
  const auto host = cluster.host({.id = "h1"});
  const auto client = cluster.tenant("acme");
  std::set<std::string> opened;
  for (int i = 0; i < 7; ++i) opened.insert(must_open(*client).id());
  const auto operates = cluster.operator_();
  std::set<std::string> listed;
  v1::ListSessionsRequest request;
  request.set_page_size(3);
  int pages = 0;
  do {
    v1::ListSessionsResponse response;
    ASSERT_TRUE(call(*operates, &Stub::ListSessions, request, response).ok());
    for (const auto& session : response.sessions()) {
      EXPECT_TRUE(session.placement().ticket().empty()) << "a ticket is its owner's alone";
      listed.insert(session.id());
    }
    request.set_page_token(response.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(listed, opened);
  v1::ListTenantsResponse tenants;
  ASSERT_TRUE(call(*operates, &Stub::ListTenants, v1::ListTenantsRequest{}, tenants).ok());
  ASSERT_EQ(tenants.tenants_size(), 2);
  EXPECT_EQ(tenants.tenants(0).sessions(), 7U);
}

}  // namespace
}  // namespace aloft::cluster
