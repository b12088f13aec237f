// The engine of an Execution Handler that does not infer itself: models and accelerator belong to
// the inference process of its host (aloft-infer), and tensors cross to it in shared memory.
//
//   guest's memory --copy--> shared memory --copy--> the engine's own      (nobody changes a tensor
//   guest's memory <--copy-- shared memory <--copy-- the engine's own       while it is read)
//
// The inference process may end at any time, be it that a model of somebody else's brought it down.
// The host's daemon starts another one and hands a new socket over: connect(). Models are loaded
// again, from the bytes that are kept here, and calls under way are made again, once; a call that
// loses its process twice, or that finds none for RemoteEngineOptions::patience, fails with
// unreachable, and can be made elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "inference/engine.h"
#include "wire/packet_socket.h"
#include <aloft/result.h>

namespace aloft::inference {

namespace remote {
class Link;
}

struct RemoteEngineOptions {
  std::string description;                    // of the engine behind it, as the daemon tells it
  std::chrono::milliseconds patience{5'000};  // how long calls wait for a connection
  std::chrono::milliseconds load_limit{60'000};
  std::uint64_t max_tensors = std::uint64_t{1} << 30U;  // bytes of one call's
  // Told from a thread of the engine when a connection has ended that nobody replaced yet. May not
  // block.
  std::function<void()> lost{};
};

// Thread rule: any thread.
class RemoteEngine final : public Engine {
 public:
  explicit RemoteEngine(RemoteEngineOptions options);
  // Calls under way fail. Graphs and executions may live on, and fail.
  ~RemoteEngine() override;

  // A socket whose other end an inference process has, or will have. The one before is given up.
  void connect(wire::Descriptor socket);

  // Errors besides Engine's: unreachable (there is no inference process), resource_exhausted (what
  // the tenant may have there), deadline_exceeded, refused (the model brought one down before).
  Result<std::shared_ptr<Graph>> load_onnx(std::span<const std::byte> model) override;
  std::string description() const override;

 private:
  const RemoteEngineOptions options_;
  const std::shared_ptr<remote::Link> link_;
};

}  // namespace aloft::inference
