// How commands of `aloft` ask a cluster: any of its managers answers, and the first that can be
// reached is asked. And how they print what they were told.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <google/protobuf/message.h>
#include <grpcpp/client_context.h>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "rpc/status.h"
#include <aloft/result.h>

namespace aloft::cli {

struct ManagerOptions {
  std::vector<std::string> managers;
  std::string credentials;
  std::string role = "operator";
};
// `options` outlives the command.
void add_manager_options(CLI::App& command, ManagerOptions& options);

// Errors: invalid_argument (an option is missing), unreachable, and of files that cannot be read.
[[nodiscard]] Result<std::unique_ptr<v1::OffloadManager::Stub>> connect(
    const ManagerOptions& options);

// One request, and its answer or what went wrong.
template <class Request, class Response>
Result<Response> ask(v1::OffloadManager::Stub& stub,
                     grpc::Status (v1::OffloadManager::Stub::*method)(grpc::ClientContext*,
                                                                      const Request&, Response*),
                     const Request& request,
                     std::chrono::seconds limit = std::chrono::seconds(20)) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + limit);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return std::unexpected(rpc::to_error(status));
  return response;
}

// Two digits behind the point.
[[nodiscard]] std::string fraction(double value);

void print_json(const google::protobuf::Message& message);

// Columns as wide as what is in them; numbers are texts here.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace aloft::cli
