// The certificates of a cluster as gRPC takes them: mutual TLS, both ways checked, and the identity
// read from what the peer has shown.
#include <chrono>
#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "identity/certificate.h"

namespace aloft::identity {
namespace {

using namespace std::chrono_literals;

// Answers who the caller is.
class WhoAmI final : public v1::OffloadManager::Service {
  grpc::Status Ping(grpc::ServerContext* context, const v1::PingRequest*,
                    v1::PingResponse* response) override {
    const auto shown = context->auth_context()->FindPropertyValues("x509_pem_cert");
    if (!context->auth_context()->IsPeerAuthenticated() || shown.size() != 1)
      return {grpc::StatusCode::UNAUTHENTICATED, "no certificate"};
    const auto identity = identity_of({shown[0].data(), shown[0].size()});
    if (!identity) return {grpc::StatusCode::UNAUTHENTICATED, identity.error().message};
    response->set_cluster(identity->cluster + " " + std::string(to_string(identity->role)) + " " +
                          identity->name);
    return grpc::Status::OK;
  }
};

IssuedCertificate issued(const Authority& authority, Role role, std::string name,
                         std::vector<std::string> hosts = {}) {
  return authority
      .issue({.identity = {authority.cluster(), role, std::move(name)}, .hosts = std::move(hosts)})
      .value();
}

class Grpc : public ::testing::Test {
 protected:
  // A server that shows this certificate and takes callers of the cluster alone.
  void serve(const IssuedCertificate& own) {
    grpc::SslServerCredentialsOptions options(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = authority_.certificate_pem();
    options.pem_key_cert_pairs.push_back({own.key_pem, own.certificate_pem});
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  // Who the server says that we are; the error otherwise.
  std::string ask(const Authority& trusted, const IssuedCertificate& own) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = trusted.certificate_pem();
    options.pem_private_key = own.key_pem;
    options.pem_cert_chain = own.certificate_pem;
    const auto channel =
        grpc::CreateChannel("127.0.0.1:" + std::to_string(port_), grpc::SslCredentials(options));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 30s);
    v1::PingResponse response;
    const auto status =
        v1::OffloadManager::NewStub(channel)->Ping(&context, v1::PingRequest{}, &response);
    return status.ok() ? response.cluster() : "error";
  }

  Authority authority_ = Authority::create("prod").value();
  WhoAmI service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(Grpc, tells_each_side_who_the_other_is) {
  serve(issued(authority_, Role::manager, "m1", {"localhost", "127.0.0.1"}));
  EXPECT_EQ(ask(authority_, issued(authority_, Role::tenant, "acme")), "prod tenant acme");
  EXPECT_EQ(ask(authority_, issued(authority_, Role::host, "h1", {"10.0.0.7"})), "prod host h1");
}

TEST_F(Grpc, refuses_a_caller_of_another_authority) {
  serve(issued(authority_, Role::manager, "m1", {"127.0.0.1"}));
  const auto other = Authority::create("prod").value();
  EXPECT_EQ(ask(authority_, issued(other, Role::tenant, "acme")), "error");
}

TEST_F(Grpc, refuses_a_server_of_another_authority_or_for_another_host) {
  serve(issued(authority_, Role::manager, "m1", {"127.0.0.1"}));
  const auto own = issued(authority_, Role::tenant, "acme");
  EXPECT_EQ(ask(Authority::create("prod").value(), own), "error");
  server_->Shutdown();
  serve(issued(authority_, Role::manager, "m1", {"10.9.9.9"}));
  EXPECT_EQ(ask(authority_, own), "error");
}

TEST_F(Grpc, refuses_a_tenant_that_poses_as_a_server) {
  // Its certificate has no host's name, and is for clients alone.
  serve(issued(authority_, Role::tenant, "acme", {"127.0.0.1"}));
  EXPECT_EQ(ask(authority_, issued(authority_, Role::tenant, "acme")), "error");
}

}  // namespace
}  // namespace aloft::identity
