// Certificates that are renewed under a server of gRPC that runs, by the files of a cluster.
#include "rpc/certificates.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "identity/certificate.h"
#include "support/temp_dir.h"

namespace aloft::rpc {
namespace {

using namespace std::chrono_literals;
using identity::Authority;
using identity::Existing;
using identity::IssuedCertificate;
using identity::Role;
using identity::Secrecy;

class Pings final : public v1::OffloadManager::Service {
  grpc::Status Ping(grpc::ServerContext*, const v1::PingRequest*,
                    v1::PingResponse* response) override {
    response->set_cluster("prod");
    return grpc::Status::OK;
  }
};

class CertificatesTest : public ::testing::Test {
 protected:
  static IssuedCertificate manager_of(const Authority& authority, std::string name = "m1") {
    return authority
        .issue({.identity = {"prod", Role::manager, std::move(name)}, .hosts = {"127.0.0.1"}})
        .value();
  }
  static IssuedCertificate tenant_of(const Authority& authority) {
    return authority.issue({.identity = {"prod", Role::tenant, "acme"}, .hosts = {}}).value();
  }
  void put(const IssuedCertificate& own) {
    ASSERT_TRUE(identity::save(own, folder_.path(), "manager", Existing::replace));
  }
  void trust(const std::string& pem) {
    ASSERT_TRUE(
        identity::write_key_file(folder_ / "ca.pem", pem, Secrecy::open, Existing::replace));
  }
  CertificateFiles files() const {
    return {folder_ / "ca.pem", folder_ / "manager.pem", folder_ / "manager.key"};
  }

  void serve() {
    trust(old_.certificate_pem());
    put(manager_of(old_));
    auto opened = Certificates::open(files(), [this](const Result<void>& outcome) {
      const std::lock_guard lock(mutex_);
      told_.push_back(outcome ? "" : outcome.error().message);
      changed_.notify_all();
    });
    ASSERT_TRUE(opened) << opened.error().message;
    certificates_ = *std::move(opened);
    grpc::ServerBuilder builder;
    builder.AddListeningPort(
        "127.0.0.1:0",
        certificates_->server(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    ASSERT_NE(port_, 0);
  }
  // The `number`th thing that was told; empty: others are in force.
  std::string told(std::size_t number) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 30s, [&] { return told_.size() >= number; })) return "nothing";
    return told_[number - 1];
  }

  std::shared_ptr<grpc::Channel> channel(const std::string& trusted, const IssuedCertificate& own) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    return grpc::CreateCustomChannel(
        "127.0.0.1:" + std::to_string(port_),
        grpc::SslCredentials({trusted, own.key_pem, own.certificate_pem}), arguments);
  }
  static bool answers(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 30s);
    v1::PingResponse response;
    return v1::OffloadManager::NewStub(channel)->Ping(&context, {}, &response).ok();
  }

  testing::TempDir folder_;
  const Authority old_ = Authority::create("prod").value();
  const Authority next_ = Authority::create("prod").value();
  Pings service_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> told_;
  std::unique_ptr<Certificates> certificates_;
  std::unique_ptr<grpc::Server> server_;  // ends before its certificates
  int port_ = 0;
};

TEST_F(CertificatesTest, an_authority_is_replaced_without_a_connection_lost) {
  serve();
  const std::string old = old_.certificate_pem();
  const std::string both = old + next_.certificate_pem();
  const auto stays = channel(old, tenant_of(old_));
  ASSERT_TRUE(answers(stays));
  EXPECT_FALSE(answers(channel(both, tenant_of(next_)))) << "nobody trusts the next one yet";

  trust(both);
  ASSERT_EQ(told(1), "");
  EXPECT_TRUE(answers(channel(both, tenant_of(next_))));
  EXPECT_TRUE(answers(channel(both, tenant_of(old_))));

  put(manager_of(next_));
  // The key comes first, and does not fit the certificate for that moment, if anybody looks then.
  std::size_t seen = 1;
  while (!told(++seen).empty()) ASSERT_LT(seen, 4U) << told(seen);
  EXPECT_FALSE(answers(channel(old, tenant_of(old_)))) << "the server shows the next one's by now";
  EXPECT_TRUE(answers(channel(both, tenant_of(old_))));

  trust(next_.certificate_pem());
  ASSERT_EQ(told(++seen), "");
  EXPECT_FALSE(answers(channel(both, tenant_of(old_)))) << "the old one is nobody by now";
  EXPECT_TRUE(answers(channel(next_.certificate_pem(), tenant_of(next_))));
  EXPECT_TRUE(answers(stays)) << "what is connected stays so";
  const auto client = certificates_->client();
  EXPECT_GT(client.version, 3U);
}

TEST_F(CertificatesTest, what_does_not_go_together_changes_nothing) {
  serve();
  const std::string old = old_.certificate_pem();
  const auto tenant = tenant_of(old_);

  // A certificate whose authority nobody here trusts, as where the steps are done in another order.
  put(manager_of(next_));
  EXPECT_NE(told(1), "");
  EXPECT_TRUE(answers(channel(old, tenant)));
  ASSERT_TRUE(identity::write_key_file(folder_ / "manager.pem", "no certificate", Secrecy::open,
                                       Existing::replace));
  EXPECT_FALSE(certificates_->reload());
  EXPECT_TRUE(answers(channel(old, tenant)));
  // Who somebody is does not change under those who know them.
  put(manager_of(old_, "m2"));
  const auto other = certificates_->reload();
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("m2"), std::string::npos) << other.error().message;
  EXPECT_EQ(certificates_->client().version, 1U);

  put(manager_of(old_));
  EXPECT_TRUE(certificates_->reload());
  EXPECT_EQ(certificates_->client().version, 2U);
}

TEST(Certificates, a_key_of_another_certificate_is_refused_at_the_start) {
  testing::TempDir folder;
  const Authority authority = Authority::create("prod").value();
  const auto issue = [&] {
    return authority.issue({.identity = {"prod", Role::manager, "m1"}, .hosts = {"127.0.0.1"}})
        .value();
  };
  const CertificateTexts mixed{authority.certificate_pem(), issue().certificate_pem,
                               issue().key_pem};
  const auto checked = check(mixed);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Errc::refused);
  EXPECT_FALSE(Certificates::open({folder / "ca.pem", folder / "m.pem", folder / "m.key"}, {}));
}

}  // namespace
}  // namespace aloft::rpc
