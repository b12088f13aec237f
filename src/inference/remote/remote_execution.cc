#include "inference/remote/remote_execution.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "inference/inputs.h"
#include "inference/tensor.h"

namespace aloft::inference::remote {
namespace {

constexpr int kMostLosses = 2;
constexpr int kMostEnlarged = 3;
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kLeastRoom = 4096;

std::unexpected<Error> out_of_turn() {
  return fail(Errc::unreachable, "the inference process answered what was not asked");
}

}  // namespace

RemoteExecution::RemoteExecution(std::shared_ptr<Link> link, std::shared_ptr<RemoteGraph> graph)
    : call_(std::make_shared<RemoteCall>(std::move(link), std::move(graph))) {}

RemoteExecution::~RemoteExecution() {
  call_->cancel();
  call_->wait_until_idle();
}

Result<void> RemoteExecution::set_input(std::uint32_t index, const TensorView& tensor) {
  return call_->set_input(index, tensor);
}
void RemoteExecution::compute(Completion done) { call_->compute(std::move(done)); }
void RemoteExecution::cancel() { call_->cancel(); }
Result<TensorView> RemoteExecution::output(std::uint32_t index) const {
  return call_->output(index);
}

RemoteCall::RemoteCall(std::shared_ptr<Link> link, std::shared_ptr<RemoteGraph> graph)
    : link_(std::move(link)),
      graph_(std::move(graph)),
      inputs_(graph_->inputs().size()),
      outputs_(graph_->outputs().size()) {}

RemoteCall::~RemoteCall() { give_memory_back(); }

Result<void> RemoteCall::set_input(std::uint32_t index, const TensorView& tensor) {
  if (auto fits = check_input(graph_->inputs(), index, tensor); !fits) return fits;
  inputs_[index] = {.set = true,
                    .type = tensor.type,
                    .dims = {tensor.dims.begin(), tensor.dims.end()},
                    .data = tensor.data};
  return {};
}

void RemoteCall::compute(Completion done) {
  const auto unset = std::ranges::find(inputs_, false, &Input::set);
  {
    const std::lock_guard lock(mutex_);
    state_ = State::waiting;
    computed_ = false;
    losses_ = 0;
    enlarged_ = 0;
    ++unfinished_;
    done_ = std::move(done);
  }
  if (unset == inputs_.end()) return go_on();
  const auto index = static_cast<std::size_t>(unset - inputs_.begin());
  std::unique_lock lock(mutex_);
  complete(lock, fail(Errc::invalid_argument, not_set(graph_->inputs(), index)));
}

void RemoteCall::cancel() {
  std::unique_lock lock(mutex_);
  if (state_ == State::idle) return;
  if (state_ == State::making || state_ == State::computing) at_->forget(number_);
  if (state_ == State::computing) {
    at_->tell(Cancel{number_});
    // Something may still be written there.
    give_memory_back();
  }
  complete(lock, fail(Errc::cancelled, "the inference was cancelled"));
}

void RemoteCall::wait_until_idle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return unfinished_ == 0; });
  give_memory_back();
}

void RemoteCall::give_memory_back() {
  if (memory_.bytes().empty()) return;
  at_->tell(DropMemory{memory_number_});
  memory_ = {};
  computed_ = false;
}

void RemoteCall::go_on() {
  while (const auto connection = link_->ready_or_park(shared_from_this())) {
    std::unique_lock lock(mutex_);
    if (state_ != State::waiting) return;
    auto sent = send(connection);
    if (sent) return;
    state_ = State::waiting;
    if (sent.error().code == Errc::unreachable && ++losses_ < kMostLosses) continue;
    return complete(lock, std::move(sent));
  }
}

Result<void> RemoteCall::send(const std::shared_ptr<Connection>& connection) {
  auto graph = graph_->number_at(connection);
  if (!graph) return std::unexpected(graph.error());
  if (at_ != connection) {
    memory_ = {};
    at_ = connection;
  }
  Layout wanted = layout();
  number_ = connection->next_call();
  if (memory_.bytes().size() < wanted.bytes) {
    if (wanted.bytes > link_->options().max_tensors) {
      return fail(Errc::resource_exhausted,
                  "the tensors of this inference take " + std::to_string(wanted.bytes >> 20U) +
                      " MiB, it may have " + std::to_string(link_->options().max_tensors >> 20U));
    }
    give_memory_back();
    asked_ = (wanted.bytes + kPage - 1) / kPage * kPage;
    state_ = State::making;
    return connection->call(number_, MakeMemory{number_, asked_}, shared_from_this());
  }
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const auto& [name, type, dims, offset, size] = wanted.request.inputs[i];
    if (size != 0) std::memcpy(memory_.part(offset, size).data(), inputs_[i].data.data(), size);
  }
  wanted.request.call = number_;
  wanted.request.graph = *graph;
  wanted.request.memory = memory_number_;
  wanted.request.room = memory_.bytes().size() - wanted.request.room_at;
  state_ = State::computing;
  return connection->call(number_, wanted.request, shared_from_this());
}

RemoteCall::Layout RemoteCall::layout() const {
  Layout layout;
  std::uint64_t at = 0;
  for (const Input& input : inputs_) {
    layout.request.inputs.push_back({.name = {},
                                     .type = static_cast<std::uint8_t>(input.type),
                                     .dims = input.dims,
                                     .offset = at,
                                     .size = input.data.size()});
    at = aligned(at + input.data.size());
  }
  layout.request.room_at = at;
  layout.bytes = at + room_for_outputs();
  return layout;
}

std::uint64_t RemoteCall::room_for_outputs() const {
  std::uint64_t room = 0;
  for (const TensorInfo& info : graph_->outputs()) {
    auto dims = info.dims;
    // What is open is mostly the batch, which the inputs have too.
    const bool has_batch = !inputs_.empty() && !inputs_[0].dims.empty();
    if (!dims.empty() && dims[0] == 0) dims[0] = has_batch ? inputs_[0].dims[0] : 1;
    for (std::uint32_t& dim : dims) dim = std::max(dim, 1U);
    const auto bytes = byte_size(info.type, dims);
    room += aligned(std::min(bytes.value_or(0), link_->options().max_tensors));
  }
  return std::max({room, graph_->room.load(), kLeastRoom});
}

// --- the connection's thread, or that of whoever computes ---------------------------------

void RemoteCall::on_answer(std::uint32_t call, Message& answer, wire::Descriptor descriptor) {
  std::unique_lock lock(mutex_);
  if (call != number_ || (state_ != State::making && state_ != State::computing)) return;
  if (const auto* const failed = std::get_if<Failed>(&answer))
    return complete(lock, std::unexpected(error_of(*failed)));
  if (const auto* const computed = std::get_if<Computed>(&answer);
      computed != nullptr && state_ == State::computing) {
    auto taken = take_outputs(*computed);
    if (!taken) at_->end();
    return complete(lock, std::move(taken));
  }
  if (!take_memory(answer, std::move(descriptor)) && !take_wish(answer)) {
    at_->end();
    return complete(lock, out_of_turn());
  }
  state_ = State::waiting;
  lock.unlock();
  go_on();
}

bool RemoteCall::take_memory(const Message& answer, wire::Descriptor descriptor) {
  const auto* const memory = std::get_if<Memory>(&answer);
  if (memory == nullptr || state_ != State::making) return false;
  auto opened = SharedMemory::open(std::move(descriptor), asked_);
  if (!opened) return false;
  memory_ = *std::move(opened);
  memory_number_ = memory->memory;
  return true;
}

bool RemoteCall::take_wish(const Message& answer) {
  const auto* const more = std::get_if<NoRoom>(&answer);
  if (more == nullptr || state_ != State::computing || enlarged_++ == kMostEnlarged ||
      more->bytes > link_->options().max_tensors)
    return false;
  graph_->room = std::max(graph_->room.load(), more->bytes);
  return true;
}

Result<void> RemoteCall::take_outputs(const Computed& computed) {
  const auto& infos = graph_->outputs();
  if (computed.outputs.size() != infos.size()) return out_of_turn();
  for (std::size_t i = 0; i < infos.size(); ++i) {
    const Tensor& tensor = computed.outputs[i];
    const auto bytes = byte_size(infos[i].type, tensor.dims);
    const auto data = memory_.part(tensor.offset, tensor.size);
    if (!bytes || *bytes != tensor.size || data.size() != tensor.size) return out_of_turn();
    outputs_[i] = {.dims = tensor.dims, .data = data};
  }
  computed_ = true;
  return {};
}

void RemoteCall::on_lost(std::uint32_t call) {
  std::unique_lock lock(mutex_);
  if (call != number_ || (state_ != State::making && state_ != State::computing)) return;
  memory_ = {};
  if (++losses_ == kMostLosses) {
    return complete(
        lock, fail(Errc::unreachable, "the inference process ended during this inference, twice"));
  }
  state_ = State::waiting;
  lock.unlock();
  go_on();
}

void RemoteCall::on_no_connection(const Error& why) {
  std::unique_lock lock(mutex_);
  if (state_ == State::waiting) complete(lock, std::unexpected(why));
}

void RemoteCall::complete(std::unique_lock<std::mutex>& lock, Result<void> outcome) {
  state_ = State::idle;
  number_ = 0;
  const Completion done = std::exchange(done_, nullptr);
  lock.unlock();
  // From here on the owner may compute() again; it is not destroyed before `done` has returned.
  done(std::move(outcome));
  lock.lock();
  --unfinished_;
  idle_.notify_all();
}

Result<TensorView> RemoteCall::output(std::uint32_t index) const {
  const std::lock_guard lock(mutex_);
  if (index >= outputs_.size()) {
    return fail(Errc::invalid_argument, "the model has no output " + std::to_string(index) +
                                            ", it has " + std::to_string(outputs_.size()));
  }
  if (!computed_) return fail(Errc::invalid_argument, "nothing was computed yet");
  return TensorView{graph_->outputs()[index].type, outputs_[index].dims, outputs_[index].data};
}

}  // namespace aloft::inference::remote
