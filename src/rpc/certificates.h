// The certificate that a daemon shows on gRPC, and whose it trusts, renewed while it runs.
//
// The files are watched; what comes to be there is used from the next handshake on, and connections
// that are open go on as they are. A change is taken whole or not at all: the key has to be the
// certificate's, the certificate one of the authorities' (ca.pem may have two, while one replaces
// the other), and the identity in it the same as before. What is not so changes nothing, and is
// told.
//
//   auto certificates = Certificates::open({ca, certificate, key}, told);
//   builder.AddListeningPort(address, certificates->server(GRPC_SSL_REQUEST_...), &port);
//   stub = make(address, certificates->client());         again where version() has changed
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <aloft/result.h>

namespace aloft::rpc {

struct CertificateFiles {
  std::filesystem::path authority, certificate, key;
};
struct CertificateTexts {
  std::string authority, certificate, key;  // PEM
  [[nodiscard]] bool operator==(const CertificateTexts&) const = default;
};

// Credentials for a channel that is made now; with another version, other ones.
struct ClientCredentials {
  std::uint64_t version = 0;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
};
using ClientCredentialsSource = std::function<ClientCredentials()>;

// Thread rule: any thread.
class Certificates {
 public:
  // Called on a thread of its own when others came to be in force, and once for each reason for
  // which none did.
  using Told = std::function<void(const Result<void>&)>;

  // Errors: those of identity::read_key_file; corrupt, refused (they do not belong together);
  // internal (the system gives no watch).
  [[nodiscard]] static Result<std::unique_ptr<Certificates>> open(const CertificateFiles& files,
                                                                  Told told);
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  // Those in force.
  [[nodiscard]] std::shared_ptr<const CertificateTexts> texts() const;
  [[nodiscard]] ClientCredentials client() const;
  // For one port. This outlives the server.
  [[nodiscard]] std::shared_ptr<grpc::ServerCredentials> server(
      grpc_ssl_client_certificate_request_type clients);
  // Reads the files now, for those who do not want to rely on the watch. What was in force stays
  // where there is an error, which is returned and told.
  Result<void> reload();

 private:
  struct Impl;
  explicit Certificates(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// For Certificates::open() of a daemon: logs it.
void log_certificates(const Result<void>& outcome);

// Whether these belong together, see above. Errors: corrupt, refused.
[[nodiscard]] Result<void> check(const CertificateTexts& texts);

}  // namespace aloft::rpc
