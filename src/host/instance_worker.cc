#include "host/instance_worker.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace aloft::host {

Result<std::unique_ptr<InstanceWorker>> InstanceWorker::create(
    const WorkerContext& context, std::span<const channel::StreamId> streams,
    std::uint64_t capacity) {
  std::unique_ptr<InstanceWorker> worker(new InstanceWorker(context, streams));
  for (Slot& slot : worker->slots_) slot.capacity = capacity;
  if (auto made = worker->make_instance(); !made) return std::unexpected(made.error());
  worker->thread_ = std::thread([raw = worker.get()] { raw->work(); });
  return worker;
}

InstanceWorker::InstanceWorker(const WorkerContext& context,
                               std::span<const channel::StreamId> streams)
    : context_(context),
      services_(context.session, context.log_fields, lines_to(*context.endpoint), *context.turns,
                context.models) {
  for (const channel::StreamId stream : streams) slots_.emplace_back().stream = stream;
  last_run_.resize(context.exports.size());
}

InstanceWorker::~InstanceWorker() { finish(); }

void InstanceWorker::finish() {
  stop();
  if (thread_.joinable()) thread_.join();
}

void InstanceWorker::open() {
  for (const Slot& slot : slots_) context_.endpoint->grant(slot.stream, slot.capacity);
}

InstanceWorker::Slot& InstanceWorker::slot(channel::StreamId stream) {
  const auto found = std::ranges::find(slots_, stream, &Slot::stream);
  assert(found != slots_.end());  // the session's table says which streams are ours
  return *found;
}

// --- I/O thread ------------------------------------------------------------------------

Result<std::span<std::byte>> InstanceWorker::begin(channel::StreamId stream,
                                                   const function::Call& call,
                                                   std::uint64_t body_size) {
  if (call.function >= context_.exports.size()) {
    refuse(stream);
    return fail(Errc::invalid_argument,
                "the module was opened without a function " + std::to_string(call.function));
  }
  std::shared_ptr<channel::Bytes> coded;
  if (!call.pictures.empty()) {
    auto taken = take_coded(stream, call, body_size);
    if (!taken) {
      refuse(stream);
      return std::unexpected(taken.error());
    }
    coded = *std::move(taken);
  }
  const std::lock_guard lock(mutex_);
  Slot& at = slot(stream);
  make_way(at);
  // The endpoint lets nothing in without a credit, and one is granted for a free buffer and for its
  // size only.
  if (at.state != State::free || body_size > at.buffer.bytes.size()) {
    return fail(Errc::internal, "a message on a call stream without room for it");
  }
  at.state = State::receiving;
  at.call = call;
  at.cancelled = false;
  if (coded != nullptr) {
    at.coded = std::move(coded);
    return std::span(*at.coded);
  }
  at.home = current_;
  at.body = at.buffer.bytes.first(body_size);
  return at.body;
}

Result<std::shared_ptr<channel::Bytes>> InstanceWorker::take_coded(channel::StreamId stream,
                                                                   const function::Call& call,
                                                                   std::uint64_t body_size) {
  if (auto checked = function::check_pictures(call, body_size); !checked)
    return std::unexpected(checked.error());
  {
    const std::lock_guard lock(mutex_);
    if (call.argument_bytes > slot(stream).buffer.bytes.size()) {
      return fail(Errc::resource_exhausted, "arguments of " + std::to_string(call.argument_bytes) +
                                                " bytes, once decoded, do not fit into the buffer");
    }
  }
  auto coded = context_.held == nullptr ? nullptr : context_.held->take(body_size);
  if (coded == nullptr)
    return fail(Errc::overloaded, "there is no room for encoded pictures at the edge now");
  return coded;
}

void InstanceWorker::refuse(channel::StreamId stream) {
  std::uint64_t capacity = 0;
  {
    const std::lock_guard lock(mutex_);
    capacity = slot(stream).capacity;
  }
  context_.endpoint->grant(stream, capacity);
}

std::vector<channel::StreamId> InstanceWorker::streams() const {
  std::vector<channel::StreamId> streams;
  for (const Slot& slot : slots_) streams.push_back(slot.stream);
  return streams;
}

bool InstanceWorker::idle() const {
  const std::lock_guard lock(mutex_);
  return leaving_.empty() &&
         std::ranges::all_of(slots_, [](const Slot& slot) { return slot.state == State::free; });
}

void InstanceWorker::end(channel::StreamId stream) {
  const std::lock_guard lock(mutex_);
  Slot& at = slot(stream);
  if (at.state != State::receiving) return;  // it was no call
  at.state = State::queued;
  at.arrived = Clock::now();
  queue_.push_back(&at);
  wake();
}

void InstanceWorker::abandon(channel::StreamId stream) {
  std::uint64_t capacity = 0;
  {
    const std::lock_guard lock(mutex_);
    if (slot(stream).state != State::receiving) return;
    capacity = set_free(slot(stream));
  }
  context_.endpoint->grant(stream, capacity);
}

void InstanceWorker::sent(channel::StreamId stream, std::uint64_t token) {
  const std::lock_guard lock(mutex_);
  Slot& at = slot(stream);
  if (at.state == State::replying && at.reply == token) {
    reply_left(at.home, at.descriptor);
    (void)set_free(at);
    return;
  }
  // Of another one that was sent in the worker's place nothing is kept: see Session::answer_for().
  const auto left = std::ranges::find(leaving_, token, &Leaving::reply);
  if (left == leaving_.end()) return;
  reply_left(left->home, left->descriptor);
  let_go(left->home);
  leaving_.erase(left);
}

void InstanceWorker::need_capacity(channel::StreamId stream, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  Slot& at = slot(stream);
  make_way(at);
  if (at.state != State::free)
    return;  // it came without a credit: the slot grants one when it is free
  at.state = State::growing;
  at.wanted = bytes;
  queue_.push_back(&at);
  wake();
}

void InstanceWorker::reset(channel::StreamId stream) {
  std::uint64_t call = 0;
  {
    const std::lock_guard lock(mutex_);
    const Slot& at = slot(stream);
    if (at.state != State::queued && at.state != State::running) return;
    call = at.call.call_id;
  }
  cancel(call);
}

// --- any thread ------------------------------------------------------------------------

void InstanceWorker::cancel(std::uint64_t call_id) {
  std::stop_source stop(std::nostopstate);
  {
    const std::lock_guard lock(mutex_);
    for (Slot& at : slots_) {
      if (at.call.call_id != call_id) continue;
      // A body that is still under way is taken in all the same; its call then ends before it
      // starts.
      if (at.state == State::receiving || at.state == State::queued) at.cancelled = true;
      if (&at == running_) {
        stop = stop_running_;
        must_end_by_ = std::min(must_end_by_, Clock::now() + context_.end_grace);
      }
    }
  }
  // Outside the mutex: what waits for the stop runs in here.
  stop.request_stop();
}

std::optional<Overdue> InstanceWorker::overdue(Clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  if (running_ == nullptr || now < must_end_by_) return std::nullopt;
  return Overdue{running_->stream, running_->call.call_id, services_.meter().computing()};
}

void InstanceWorker::stop() {
  std::stop_source stop(std::nostopstate);
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    stop = stop_running_;
    if (running_ != nullptr)
      must_end_by_ = std::min(must_end_by_, Clock::now() + context_.end_grace);
    wake();
  }
  stop.request_stop();
}

// --- with the mutex held ---------------------------------------------------------------

void InstanceWorker::let_go(std::shared_ptr<runtime::Instance>& home) {
  // The worker's own reference keeps current_ alive; of another one this may be the last.
  if (home != nullptr && home != current_) {
    retired_.push_back(std::move(home));
    wake();
  }
  home.reset();
}

void InstanceWorker::reply_left(std::shared_ptr<runtime::Instance>& home,
                                std::uint32_t descriptor) {
  if (descriptor == 0 || home != current_) return;
  releases_.push_back(descriptor);
  wake();
}

void InstanceWorker::make_way(Slot& slot) {
  if (slot.state != State::replying) return;
  leaving_.push_back({slot.reply, std::move(slot.home), slot.descriptor});
  (void)set_free(slot);
}

std::uint64_t InstanceWorker::set_free(Slot& slot) {
  let_go(slot.home);
  slot.body = {};
  slot.coded.reset();
  slot.descriptor = 0;
  slot.state = State::free;
  return slot.capacity;
}

}  // namespace aloft::host
