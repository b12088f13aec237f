// Where a gRPC server is reached. gRPC spends a transport and a TLS session on each connection that
// it accepts, whether its peer says something or not; a door lets the kernel keep those that are
// silent, drops those that went without a word, and gives gRPC the rest. So connections without
// end cost a server little more than they cost the one who opens them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <aloft/result.h>

namespace aloft::rpc {

// Thread rule: one thread at a time. It has a thread of its own from open() on.
class Door {
 public:
  // Listens on every address that HOST of `address`, HOST:PORT, has; port 0: one that is free.
  // Nobody is taken in before open(). Errors: invalid_argument for what is no address; unreachable,
  // saying why, where it cannot be listened on.
  [[nodiscard]] static Result<std::unique_ptr<Door>> listen(const std::string& address);
  ~Door();
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // The server that `builder` makes takes what comes in here, once.
  void lead_to(grpc::ServerBuilder& builder, std::shared_ptr<grpc::ServerCredentials> credentials);
  // When that server runs.
  void open();
  // Nobody is taken in any more. Before that server is shut down. Again: nothing.
  void close();

 private:
  struct Impl;
  explicit Door(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::rpc
