#include "inference/remote/remote_graph.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "inference/remote/link.h"
#include "inference/remote/remote_execution.h"
#include "inference/remote/shared_memory.h"
#include "inference/tensor.h"

namespace aloft::inference::remote {
namespace {

std::unexpected<Error> out_of_turn() {
  return fail(Errc::protocol, "the inference process answers what was not asked");
}

Result<std::vector<TensorInfo>> infos_of(const std::vector<Tensor>& tensors) {
  std::vector<TensorInfo> infos;
  for (const Tensor& tensor : tensors) {
    const auto type = static_cast<ElementType>(tensor.type);
    if (element_size(type) == 0) return out_of_turn();
    infos.push_back({tensor.name, type, tensor.dims});
  }
  return infos;
}

bool same(const std::vector<TensorInfo>& one, const std::vector<TensorInfo>& other) {
  return std::ranges::equal(one, other, [](const TensorInfo& a, const TensorInfo& b) {
    return a.type == b.type && a.dims == b.dims;
  });
}

}  // namespace

RemoteGraph::~RemoteGraph() {
  if (const auto connection = connection_.lock(); connection && number_)
    connection->tell(DropGraph{*number_});
}

Result<std::uint32_t> RemoteGraph::upload(Connection& connection, Infos& infos) {
  const auto until = std::chrono::steady_clock::now() + link_->options().load_limit;
  std::uint32_t call = connection.next_call();
  auto made = connection.ask(call, MakeMemory{call, model_.size()}, until);
  if (!made) return std::unexpected(made.error());
  const auto* const memory = std::get_if<Memory>(&made->message);
  if (memory == nullptr) return out_of_turn();
  const struct Lent {
    Connection& of;
    std::uint32_t number;
    ~Lent() { of.tell(DropMemory{number}); }
  } lent{connection, memory->memory};
  const auto shared = SharedMemory::open(std::move(made->descriptor), model_.size());
  if (!shared) return std::unexpected(shared.error());
  std::memcpy(shared->bytes().data(), model_.data(), model_.size());

  call = connection.next_call();
  auto answer = connection.ask(call, Load{call, memory->memory, model_.size()}, until);
  if (!answer) return std::unexpected(answer.error());
  const auto* const loaded = std::get_if<Loaded>(&answer->message);
  if (loaded == nullptr) return out_of_turn();
  auto inputs = infos_of(loaded->inputs);
  auto outputs = infos_of(loaded->outputs);
  if (!inputs || !outputs) return out_of_turn();
  infos = {*std::move(inputs), *std::move(outputs)};
  return loaded->graph;
}

Result<void> RemoteGraph::load(const std::shared_ptr<Connection>& connection) {
  Infos infos;
  auto number = upload(*connection, infos);
  if (number && !std::exchange(known_, true)) {
    inputs_ = std::move(infos.inputs);
    outputs_ = std::move(infos.outputs);
  } else if (number && (!same(inputs_, infos.inputs) || !same(outputs_, infos.outputs))) {
    number = fail(Errc::internal, "the inference process has another model than before");
  }
  const std::lock_guard lock(mutex_);
  connection_ = connection;
  number_ = std::move(number);
  if (!number_) return std::unexpected(number_.error());
  return {};
}

Result<std::uint32_t> RemoteGraph::number_at(const std::shared_ptr<Connection>& connection) {
  const std::lock_guard lock(mutex_);
  if (connection_.lock() != connection)
    return fail(Errc::unreachable, "the inference process has not loaded the model");
  return number_;
}

Result<std::unique_ptr<Execution>> RemoteGraph::make_execution() {
  return std::make_unique<RemoteExecution>(link_, shared_from_this());
}

}  // namespace aloft::inference::remote
