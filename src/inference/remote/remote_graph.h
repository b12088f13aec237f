// A model that is loaded in the inference process, with the bytes to load it again from. Private to
// this folder.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "inference/engine.h"
#include "inference/remote/connection.h"

namespace aloft::inference::remote {

class Link;

// Thread rule: any thread.
class RemoteGraph final : public Graph, public std::enable_shared_from_this<RemoteGraph> {
 public:
  RemoteGraph(std::shared_ptr<Link> link, std::vector<std::byte> model)
      : link_(std::move(link)), model_(std::move(model)) {}
  ~RemoteGraph() override;

  // Has it loaded at the other end of `connection`, waiting for that. Errors: as
  // RemoteEngine::load_onnx; they stay, for those who use the graph, until the next connection.
  [[nodiscard]] Result<void> load(const std::shared_ptr<Connection>& connection);
  // Its number there. Errors: as load(); unreachable (it is not loaded there).
  [[nodiscard]] Result<std::uint32_t> number_at(const std::shared_ptr<Connection>& connection);

  const std::vector<TensorInfo>& inputs() const override { return inputs_; }
  const std::vector<TensorInfo>& outputs() const override { return outputs_; }
  Result<std::unique_ptr<Execution>> make_execution() override;

  // The most bytes that its outputs were seen to take: how much room the next call gives.
  std::atomic<std::uint64_t> room = 0;

 private:
  struct Infos {
    std::vector<TensorInfo> inputs, outputs;
  };
  [[nodiscard]] Result<std::uint32_t> upload(Connection& connection, Infos& infos);

  const std::shared_ptr<Link> link_;
  const std::vector<std::byte> model_;
  std::vector<TensorInfo> inputs_, outputs_;  // set by the first load(), before anybody sees them
  bool known_ = false;

  std::mutex mutex_;
  std::weak_ptr<Connection> connection_;  // where it is loaded
  Result<std::uint32_t> number_ = fail(Errc::unreachable, "the model is not loaded");
};

}  // namespace aloft::inference::remote
