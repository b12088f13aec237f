// An inference service with the engine that it has in earnest, and clients of it over real sockets,
// for tests: the two sides of what are two processes otherwise.
#pragma once

#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "inference/remote/remote_engine.h"
#include "inference/service/service.h"
#include "inference/testing/onnx_writer.h"

namespace aloft::inference::service::testing {

using namespace std::chrono_literals;
constexpr auto kNoDeadline = std::chrono::steady_clock::time_point::max();

inline TensorView view(const std::vector<float>& values, const std::vector<std::uint32_t>& dims) {
  return {ElementType::f32, dims, std::as_bytes(std::span(values))};
}
inline std::vector<float> floats(const TensorView& tensor) {
  std::vector<float> values(tensor.data.size() / sizeof(float));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

// f(x) in one inference.
inline Result<std::vector<float>> infer(
    Graph& graph, const std::vector<float>& x, const std::vector<std::uint32_t>& dims,
    std::chrono::steady_clock::time_point deadline = kNoDeadline) {
  auto execution = graph.make_execution();
  if (!execution) return std::unexpected(execution.error());
  if (auto set = (*execution)->set_input(0, view(x, dims)); !set)
    return std::unexpected(set.error());
  if (auto computed = compute_and_wait(**execution, deadline); !computed)
    return std::unexpected(computed.error());
  const auto y = (*execution)->output(0);
  if (!y) return std::unexpected(y.error());
  return floats(*y);
}

class Server {
 public:
  explicit Server(ServiceOptions options = {}, std::shared_ptr<Engine> accelerated = nullptr) {
    options.log = [this](const std::string& tenant, const std::string& line) {
      const std::lock_guard lock(mutex_);
      log_.push_back(tenant + ": " + line);
    };
    const int concurrency = concurrency_of(options);
    service_ = std::make_unique<InferenceService>(
        make_cpu_engine({.threads = 1, .concurrency = concurrency}).value(), std::move(accelerated),
        std::move(options));
  }
  InferenceService& service() { return *service_; }
  std::vector<std::string> log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  // The client's end.
  wire::Descriptor connect(const std::string& tenant = "acme", const ClientLimits& limits = {},
                           const TenantShare& share = {}) {
    auto sockets = wire::make_packet_sockets().value();
    service_->add_client(tenant, limits, share, std::move(sockets.other));
    return std::move(sockets.one);
  }
  std::unique_ptr<RemoteEngine> engine(const std::string& tenant = "acme",
                                       const ClientLimits& limits = {},
                                       const TenantShare& share = {}) {
    auto made = std::make_unique<RemoteEngine>(RemoteEngineOptions{.description = "remote"});
    made->connect(connect(tenant, limits, share));
    return made;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> log_;
  std::unique_ptr<InferenceService> service_;
};

}  // namespace aloft::inference::service::testing
