// Who pretends to be somebody, or shows what is not its own, at managers and hosts of a cluster.
#include <atomic>
#include <thread>

#include <gmock/gmock.h>

#include "cluster/revocations.h"
#include "host/testing/hellos.h"
#include "identity/base64.h"
#include "support/text_file.h"
#include "world.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using host::testing::hello_to_resume;
using host::testing::hello_with_ticket;
using host::testing::plain_hello;
using host::testing::resume_secret;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using Code = grpc::StatusCode;
using Stub = ClusterDevice::Stub;

std::vector<std::byte> ticket_of(const v1::Session& session) {
  const auto bytes = std::as_bytes(std::span(session.placement().ticket()));
  return {bytes.begin(), bytes.end()};
}

class CredentialAttack : public HostileTest {
 protected:
  void SetUp() override {
    HostileTest::SetUp();
    bystander_ = std::make_unique<Bystander>(cluster());
  }
  void TearDown() override {
    bystander_->expect_undisturbed();
    bystander_.reset();
    HostileTest::TearDown();
  }
  std::unique_ptr<Bystander> bystander_;
};

TEST_F(CredentialAttack, a_stolen_forged_or_foreign_ticket_opens_nothing) {
  const ClusterDevice owner = cluster().device("good");
  const auto session = owner.open({&probe_});
  const auto own = evil_.open({&probe_});
  ASSERT_TRUE(session && own);
  const std::string& address = session->placement().address();
  ASSERT_NE(address, own->placement().address()) << "a process for each tenant";
  const auto stolen = hello_with_ticket(ticket_of(*session));
  EXPECT_THAT(refusal(evil_, address, stolen), HasSubstr("another key"));
  EXPECT_THAT(refusal(cluster().device("good"), address, stolen), HasSubstr("another key"))
      << "nor for another device of the same tenant";
  EXPECT_THAT(refusal(evil_, address, hello_with_ticket(ticket_of(*own))), HasSubstr("another"))
      << "a good ticket, of another tenant";
  EXPECT_THAT(refusal(evil_, address, plain_hello()), HasSubstr("open a session"));
  const auto good = ticket_of(*session);
  for (std::size_t at = 0; at < good.size(); at += good.size() / 8) {
    auto forged = good;
    forged[at] ^= std::byte{0x10};
    EXPECT_NE(refusal(owner, address, hello_with_ticket(forged)), "let in, or silent") << at;
  }
  EXPECT_TRUE(owner.connect(session->placement())->wait_up(kPatience)) << "it is good all the same";
}

TEST_F(CredentialAttack, a_ticket_of_a_session_that_is_over_is_of_no_use_any_more) {
  const auto session = evil_.open({&probe_});
  ASSERT_TRUE(session) << session.error().message;
  const auto ue = evil_.connect(session->placement());
  ASSERT_TRUE(ue->wait_up(kPatience));
  const auto secret = resume_secret(ue->edge_hello());
  ASSERT_TRUE(evil_.close(session->id()).ok());
  const auto down = ue->wait_down(kPatience);
  ASSERT_TRUE(down) << "its link ends with it";
  const std::string& address = session->placement().address();
  EXPECT_THAT(refusal(evil_, address, hello_with_ticket(ticket_of(*session))), HasSubstr("over"));
  EXPECT_THAT(refusal(evil_, address, hello_to_resume(session->id(), secret)), HasSubstr("over"));
}

TEST_F(CredentialAttack, a_ticket_that_is_shown_twice_gives_one_link) {
  const auto session = evil_.open({&probe_});
  ASSERT_TRUE(session);
  const auto first = evil_.connect(session->placement());
  ASSERT_TRUE(first->wait_up(kPatience));
  const auto second = evil_.connect(session->placement());
  ASSERT_TRUE(second->wait_up(kPatience));
  const auto down = first->wait_down(kPatience);
  ASSERT_TRUE(down);
  EXPECT_THAT(down->message, HasSubstr("another connection"));
}

TEST_F(CredentialAttack, the_secret_of_one_session_resumes_no_other) {
  const ClusterDevice owner = cluster().device("good");
  const auto session = owner.open({&probe_});
  const auto own = evil_.open({&probe_});
  ASSERT_TRUE(session && own);
  const auto ue = owner.connect(session->placement());
  ASSERT_TRUE(ue->wait_up(kPatience));
  const auto secret = resume_secret(ue->edge_hello());
  ASSERT_FALSE(secret.empty());
  const std::string& there = session->placement().address();
  const std::string bad = "resumption secret is not";
  EXPECT_THAT(refusal(evil_, there, hello_to_resume(session->id(), secret)), HasSubstr(bad));
  EXPECT_THAT(refusal(evil_, own->placement().address(), hello_to_resume(session->id(), secret)),
              HasSubstr(bad))
      << "at the thief's own process";
  EXPECT_THAT(refusal(owner, there, hello_to_resume(own->id(), secret)), HasSubstr(bad))
      << "the right device, another session";
  auto longer = secret;
  longer.push_back(std::byte{0});
  EXPECT_THAT(refusal(owner, there, hello_to_resume(session->id(), longer)), HasSubstr(bad));
  // More memory than the ticket gave.
  auto richer = secret;
  richer[32 + 17] ^= std::byte{0xFF};
  EXPECT_THAT(refusal(owner, there, hello_to_resume(session->id(), richer)), HasSubstr(bad));
}

TEST_F(CredentialAttack, another_tenants_certificate_sees_and_changes_nothing_of_a_session) {
  const std::string id = bystander_->session().id();
  EXPECT_THAT(evil_.renew(id).error().message, HasSubstr("another tenant's"));
  EXPECT_EQ(evil_.close(id).error_code(), Code::PERMISSION_DENIED);
  v1::MoveSessionRequest move;
  move.set_id(id);
  v1::Session session;
  EXPECT_EQ(evil_.ask(&Stub::MoveSession, move, session).error_code(), Code::PERMISSION_DENIED);
  v1::ExplainSessionRequest explain;
  explain.set_id(id);
  v1::PlacementReason reason;
  EXPECT_EQ(evil_.ask(&Stub::ExplainSession, explain, reason).error_code(),
            Code::PERMISSION_DENIED);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::WatchSessionRequest watch;
  watch.set_id(id);
  const auto stream = evil_.manager().WatchSession(&context, watch);
  EXPECT_FALSE(stream->Read(&session));
  EXPECT_EQ(stream->Finish().error_code(), Code::PERMISSION_DENIED);
  v1::ListSessionsResponse sessions;
  v1::ListHostsResponse hosts;
  v1::ListTenantsResponse tenants;
  v1::DrainHostRequest drain;
  drain.set_host_id("h1");
  v1::DrainHostResponse drained;
  EXPECT_EQ(evil_.ask(&Stub::ListSessions, v1::ListSessionsRequest{}, sessions).error_code(),
            Code::PERMISSION_DENIED);
  EXPECT_EQ(evil_.ask(&Stub::ListHosts, v1::ListHostsRequest{}, hosts).error_code(),
            Code::PERMISSION_DENIED);
  EXPECT_EQ(evil_.ask(&Stub::ListTenants, v1::ListTenantsRequest{}, tenants).error_code(),
            Code::PERMISSION_DENIED);
  EXPECT_EQ(evil_.ask(&Stub::DrainHost, drain, drained).error_code(), Code::PERMISSION_DENIED);
}

TEST_F(CredentialAttack, names_that_are_paths_or_forge_lines_are_refused) {
  v1::MoveSessionRequest move;
  v1::Session session;
  for (const char* const id : {"../../etc/passwd", "a\nb", ""}) {
    move.set_id(id);
    EXPECT_EQ(evil_.ask(&Stub::MoveSession, move, session).error_code(), Code::INVALID_ARGUMENT);
  }
  const auto own = evil_.open({&probe_});
  ASSERT_TRUE(own);
  move.set_id(own->id());
  move.set_to_host("../h1");
  EXPECT_EQ(evil_.ask(&Stub::MoveSession, move, session).error_code(), Code::INVALID_ARGUMENT);
  ModuleFile odd = probe_;
  odd.manifest.module = "probe\n2026-01-01 00:00:00.000 aloft-manager[1] info: all is well";
  EXPECT_EQ(evil_.open({&odd}).error().code, Errc::invalid_argument);
  EXPECT_EQ(cluster().manager_process().standard_error().find("\n2026-01-01"), std::string::npos);
}

TEST_F(CredentialAttack, a_token_that_signs_itself_is_refused) {
  const auto channel = grpc::CreateChannel(
      cluster().manager(),
      grpc::SslCredentials({.pem_root_certs = read_text(cluster().keys() / "ca.pem"),
                            .pem_private_key = {},
                            .pem_cert_chain = {}}));
  const auto stub = v1::OffloadManager::NewStub(channel);
  const auto open_with = [&](const std::string& authorization) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
    v1::Session session;
    return stub->OpenSession(&context, v1::OpenSessionRequest{}, &session).error_code();
  };
  const auto part = [](const std::string& json) {
    return identity::to_base64url(std::as_bytes(std::span(json)));
  };
  const std::string claims =
      part(R"({"iss":"me","aud":"aloft","tenant":"good","iat":1,"exp":99999999999})");
  EXPECT_EQ(open_with(""), Code::UNAUTHENTICATED);
  for (const char* const head : {R"({"alg":"none"})", R"({"alg":"HS256","kid":"ca"})",
                                 R"({"alg":"EdDSA","kid":"../ticket.pub"})",
                                 R"({"alg":"ES256","jku":"https://evil.example/keys"})"}) {
    EXPECT_EQ(open_with("Bearer " + part(head) + "." + claims + "."), Code::UNAUTHENTICATED);
    EXPECT_EQ(open_with("Bearer " + part(head) + "." + claims + "." + part("signature")),
              Code::UNAUTHENTICATED);
  }
  EXPECT_EQ(open_with("Bearer " + std::string(8192, 'a')), Code::UNAUTHENTICATED);
}

TEST_F(CredentialAttack, a_quota_is_exact_however_many_ask_at_once) {
  const ClusterDevice poor = cluster().device("poor");
  std::atomic<int> opened = 0, refused = 0, other = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 50; ++i) {
      threads.emplace_back([&] {
        const auto session = poor.open({&probe_});
        if (session) {
          ++opened;
        } else if (session.error().code == Errc::overloaded) {
          ++refused;
        } else {
          ADD_FAILURE() << session.error().message;
          ++other;
        }
      });
    }
  }
  EXPECT_EQ(opened, 5);
  EXPECT_EQ(refused, 45);
  EXPECT_EQ(other, 0);
}

// The whole way of a stolen device: one command, and it is out.
TEST_F(CredentialAttack, what_is_revoked_is_out_at_once_and_nobody_else_is) {
  const ClusterDevice stolen = cluster().device("good");
  const ClusterDevice kept = cluster().device("good");
  const auto lost = stolen.open({&probe_});
  const auto mine = kept.open({&probe_});
  ASSERT_TRUE(lost && mine);
  const auto thief = stolen.connect(lost->placement());
  const auto owner = kept.connect(mine->placement());
  ASSERT_TRUE(thief->wait_up(kPatience) && owner->wait_up(kPatience));
  const auto secret = resume_secret(thief->edge_hello());

  const auto file = files_ / "stolen.pem";
  write_file(file, std::as_bytes(std::span(stolen.certificate().certificate_pem)));
  const auto revoked = cluster().aloft(
      {"cluster", "revoke", "--certificate", file, "--reason", "stolen", cluster().keys()});
  ASSERT_TRUE(revoked) << revoked.error().message;
  const auto down = thief->wait_down(kPatience);
  ASSERT_TRUE(down) << "its link is closed";
  EXPECT_EQ(down->code, Errc::refused) << down->message;
  EXPECT_THAT(stolen.renew(lost->id()).error().message, HasSubstr("revoked"));
  EXPECT_THAT(stolen.open({&probe_}).error().message, HasSubstr("revoked"));
  const std::string& address = lost->placement().address();
  EXPECT_THAT(refusal(stolen, address, hello_with_ticket(ticket_of(*lost))), HasSubstr("over"));
  EXPECT_THAT(refusal(stolen, address, hello_to_resume(lost->id(), secret)), HasSubstr("over"));

  EXPECT_TRUE(kept.renew(mine->id()));
  EXPECT_FALSE(owner->wait_down(0ms));
  const auto sessions = cluster().aloft(
      {"sessions", "--manager", cluster().manager(), "--credentials", cluster().keys(), "--json"});
  ASSERT_TRUE(sessions) << sessions.error().message;
  EXPECT_EQ(sessions->find(lost->id()), std::string::npos) << *sessions;
  EXPECT_NE(sessions->find(mine->id()), std::string::npos) << *sessions;
}

}  // namespace
}  // namespace aloft::testing
