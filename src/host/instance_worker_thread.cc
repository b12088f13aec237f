// What the worker's own thread does: the calls, and with the instance whatever they leave to do.
#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "host/guest_result.h"
#include "host/instance_worker.h"

namespace aloft::host {
namespace {

using std::chrono::microseconds;

// For what a guest does besides calls: buffers, releases; and its start.
constexpr std::chrono::milliseconds kHousekeepingLimit{1000};
constexpr std::chrono::milliseconds kStartLimit{5000};

std::uint64_t micros(Clock::duration time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<microseconds>(time).count());
}

// A call that takes no longer than this may have the answer before it wait.
constexpr microseconds kShort{20};

// The worker whose thread this is, while it reads the link.
thread_local InstanceWorker* assisting = nullptr;
// And always.
thread_local const InstanceWorker* working = nullptr;

}  // namespace

void InstanceWorker::work() {
  working = this;
  std::unique_lock lock(mutex_);
  while (!ending_) {
    if (!retired_.empty()) {
      auto dead = std::exchange(retired_, {});
      lock.unlock();
      dead.clear();
      lock.lock();
    } else if (!releases_.empty()) {
      auto descriptors = std::exchange(releases_, {});
      lock.unlock();
      release(descriptors);
      lock.lock();
    } else if (!queue_.empty()) {
      Slot& next = *queue_.front();
      queue_.pop_front();
      lock.unlock();
      if (next.state == State::growing) {
        grow(next);
      } else {
        run(next);
      }
      lock.lock();
    } else {
      wait_for_work(lock);
    }
  }
}

// An idle worker reads the session's link itself, so that a call for it starts in the thread that
// received it. A call for another worker ends that: the other one is the next to have a call, and
// to read.
void InstanceWorker::wait_for_work(std::unique_lock<std::mutex>& lock) {
  awake_.store(false, std::memory_order_relaxed);
  lock.unlock();
  assisting = this;
  (void)context_.endpoint->assist(awake_, Clock::time_point::max());
  assisting = nullptr;
  lock.lock();
  wake_.wait(lock, [this] {
    return ending_ || !queue_.empty() || !releases_.empty() || !retired_.empty();
  });
}

void InstanceWorker::wake() {
  awake_.store(true, std::memory_order_release);
  if (working == this) return;  // it looks before it sleeps
  wake_.notify_one();
  if (assisting == nullptr) {
    context_.endpoint->nudge();
  } else if (assisting != this) {
    assisting->awake_.store(true, std::memory_order_release);
  }
}

void InstanceWorker::run(Slot& slot) {
  const auto started = Clock::now();
  auto limit = context_.call_limit;
  if (slot.call.deadline_us != 0 && microseconds(slot.call.deadline_us) < limit) {
    limit = std::chrono::ceil<std::chrono::milliseconds>(microseconds(slot.call.deadline_us));
  }
  const auto deadline = slot.arrived + limit;
  std::stop_token stop;
  bool cancelled = false;
  {
    const std::lock_guard lock(mutex_);
    slot.state = State::running;
    cancelled = slot.cancelled;
    running_ = &slot;
    stop_running_ = std::stop_source();
    stop = stop_running_.get_token();
    must_end_by_ = deadline + context_.end_grace;
    if (ending_) stop_running_.request_stop();
  }

  function::Return reply;
  reply.call_id = slot.call.call_id;
  reply.queue_us = micros(started - slot.arrived);
  std::vector<std::span<const std::byte>> result;
  if (cancelled) {
    reply.error = Error{Errc::cancelled, "the call was given up before it started"};
  } else if (started >= deadline) {
    reply.error =
        Error{Errc::deadline_exceeded, "the call waited for its instance until its time was over"};
  } else {
    result = call_guest(slot, deadline, stop, reply);
  }
  context_.counters.called(reply.error ? std::optional(reply.error->code) : std::nullopt,
                           Clock::now() - slot.arrived);
  if (reply.error) {
    const auto warn = [&](const std::string& what) {
      ops::log(spdlog::level::warn,
               fmt::format("session {} call {}{}", context_.session, reply.call_id, what),
               context_.log_fields);
    };
    warn(fmt::format(": {}: {}", to_string(reply.error->code), reply.error->message));
    if (!reply.trap_backtrace.empty()) warn(" at:\n" + reply.trap_backtrace);
  }
  answer(slot, reply, result);
  if (spent_) replace();
}

std::vector<std::span<const std::byte>> InstanceWorker::call_guest(Slot& slot,
                                                                   Clock::time_point deadline,
                                                                   const std::stop_token& stop,
                                                                   function::Return& reply) {
  if (slot.coded != nullptr) {
    if (auto decoded = decode(slot, reply); !decoded) {
      reply.error = decoded.error();
      return {};
    }
  } else if (slot.home != current_) {
    // The instance that the arguments were received into was replaced since.
    const std::span<std::byte> body = slot.buffer.bytes.first(slot.body.size());
    std::ranges::copy(slot.body, body.begin());
    const std::lock_guard lock(mutex_);
    slot.body = body;
    let_go(slot.home);
    slot.home = current_;
  }
  services_.begin(reply.call_id, slot.call.digest_tensors ? TensorDigests::yes : TensorDigests::no);
  const std::shared_ptr<CallRecorder> recorder =
      context_.recording == nullptr ? nullptr : context_.recording->now();
  std::optional<runtime::RecordedCall> record;
  if (recorder)
    record = recorder->begin(*context_.module, context_.exports[slot.call.function], slot.body);
  const auto started = Clock::now();
  runtime::CallResult<runtime::Reply> called;
  {
    const std::stop_callback interrupt(stop,
                                       [instance = current_.get()] { instance->interrupt(); });
    called = current_->call(context_.exports[slot.call.function], slot.buffer.address,
                            static_cast<std::uint32_t>(slot.body.size()), deadline);
  }
  const auto ran = Clock::now() - started;
  last_run_[slot.call.function] = ran;
  reply.run_us = micros(ran);
  InferenceMeter::Reading reading = services_.meter().end();
  reply.inference_us = micros(reading.time);
  reply.tensor_digests = std::move(reading.digests);
  // An interruption that comes when its call is over would strike the next one.
  spent_ = stop.stop_requested() || !current_->usable();
  if (called) {
    if (record) recorder->keep(*std::move(record), called->segments, ran);
    slot.descriptor = called->descriptor;
    return std::move(called->segments);
  }

  reply.error = runtime::to_error(called.error());
  if (const auto* trap = std::get_if<runtime::Trap>(&called.error())) {
    spent_ = true;
    reply.trap_backtrace = trap->backtrace_text();
  }
  const Errc code = reply.error->code;
  if ((code == Errc::trapped || code == Errc::protocol) && !services_.last_words().empty()) {
    reply.error->message = services_.last_words();
  }
  if (record) recorder->keep(*std::move(record), *reply.error, reply.trap_backtrace, ran);
  return {};
}

Result<void> InstanceWorker::decode(Slot& slot, function::Return& reply) {
  const auto began = Clock::now();
  const auto arguments =
      slot.buffer.bytes.first(static_cast<std::size_t>(slot.call.argument_bytes));
  {
    const std::lock_guard lock(mutex_);
    slot.body = arguments;
    slot.home = current_;
  }
  auto decoded = function::decode_pictures(slot.call, *slot.coded, jpeg_, arguments);
  slot.coded.reset();
  reply.decode_us = std::max<std::uint64_t>(1, micros(Clock::now() - began));
  return decoded;
}

void InstanceWorker::answer(Slot& slot, const function::Return& reply,
                            std::span<const std::span<const std::byte>> result) {
  const channel::StreamId stream = slot.stream;
  const std::uint64_t token = ++replies_;
  std::uint64_t capacity = 0;
  auto haste = channel::Haste::now;
  {
    const std::lock_guard lock(mutex_);
    running_ = nullptr;
    stop_running_ = std::stop_source(std::nostopstate);
    must_end_by_ = Clock::time_point::max();
    slot.state = State::replying;
    slot.reply = token;
    capacity = slot.capacity;
    if (!spent_ && next_is_short()) haste = channel::Haste::none;
  }
  const auto send = [&](std::span<const std::byte> head,
                        std::span<const std::span<const std::byte>> body) {
    return context_.endpoint->send_quietly({.stream = stream,
                                            .head = head,
                                            .body = body,
                                            .token = token,
                                            .then_grant = capacity,
                                            .haste = haste});
  };
  auto sending = send(function::encode(reply), result);
  if (!sending && sending.error().code == Errc::invalid_argument) {
    // More than a message holds.
    function::Return refusal;
    refusal.call_id = reply.call_id;
    refusal.error =
        Error{Errc::resource_exhausted, "the answer does not fit: " + sending.error().message};
    sending = send(function::encode(refusal), {});
  }
  if (sending == channel::Sending::under_way) return;
  sent(stream, token);  // the kernel has it all; or nobody reads the buffers of what was not sent
  if (sending) return;
  context_.endpoint->grant(stream, capacity);
  if (sending.error().code == Errc::overloaded) {
    context_.endpoint->close({Errc::overloaded, "the UE does not read what it is sent"});
  }
}

void InstanceWorker::release(const std::vector<std::uint32_t>& descriptors) {
  services_.begin(0, TensorDigests::no);
  for (const std::uint32_t descriptor : descriptors) {
    if (auto released =
            checked(current_->release(descriptor, Clock::now() + kHousekeepingLimit), spent_);
        !released) {
      spdlog::warn("session {}: aloft_release: {}", context_.session, released.error().message);
      break;  // the rest goes with the instance
    }
  }
  if (spent_) replace();
}

void InstanceWorker::grow(Slot& slot) {
  services_.begin(0, TensorDigests::no);
  const auto grown = make_buffer(*current_, slot.wanted);
  if (grown) {
    // A guest that traps in here has lost its buffers, the new one as well: replacing it makes them
    // anew.
    (void)checked(current_->free_buffer(slot.buffer.address, Clock::now() + kHousekeepingLimit),
                  spent_);
    const std::lock_guard lock(mutex_);
    slot.buffer = *grown;
    slot.capacity = slot.wanted;
  } else {
    context_.endpoint->reset(slot.stream, grown.error());
  }
  if (spent_) replace();
  std::uint64_t capacity = 0;
  {
    const std::lock_guard lock(mutex_);
    capacity = set_free(slot);
  }
  context_.endpoint->grant(slot.stream, capacity);
}

void InstanceWorker::replace() {
  if (auto made = make_instance(); !made) {
    spdlog::error("session {}: no new instance of the module: {}", context_.session,
                  made.error().message);
    stop();
    context_.endpoint->close(made.error());
  }
}

Result<void> InstanceWorker::make_instance() {
  services_.begin(0, TensorDigests::no);
  auto made = checked(runtime::Instance::create(context_.module, context_.instance_limits,
                                                services_, Clock::now() + kStartLimit),
                      spent_);
  if (!made) return std::unexpected(made.error());
  std::vector<runtime::GuestBuffer> buffers;
  for (const Slot& slot : slots_) {
    auto buffer = make_buffer(**made, slot.capacity);
    if (!buffer) return std::unexpected(buffer.error());
    buffers.push_back(*buffer);
  }

  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < slots_.size(); ++i) slots_[i].buffer = buffers[i];
  releases_.clear();
  if (current_) retired_.push_back(std::move(current_));
  current_ = *std::move(made);
  spent_ = false;
  return {};
}

Result<runtime::GuestBuffer> InstanceWorker::make_buffer(runtime::Instance& instance,
                                                         std::uint64_t size) {
  const std::uint64_t most = context_.instance_limits.memory_bytes;
  if (size > most) {
    return fail(Errc::resource_exhausted, "arguments of " + std::to_string(size) +
                                              " bytes do not fit into an instance's memory of " +
                                              std::to_string(most));
  }
  return checked(
      instance.make_buffer(static_cast<std::uint32_t>(size), Clock::now() + kHousekeepingLimit),
      spent_);
}

bool InstanceWorker::next_is_short() const {
  if (queue_.empty() || queue_.front()->state != State::queued) return false;
  const std::uint32_t function = queue_.front()->call.function;
  return last_run_[function] != Clock::duration::zero() && last_run_[function] <= kShort;
}

}  // namespace aloft::host
