#include "host/end_runner.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "host/guest_result.h"

namespace aloft::host {
namespace {

// For what a guest does besides messages: buffers, releases; and its start.
constexpr std::chrono::milliseconds kHousekeepingLimit{1000};
constexpr std::chrono::milliseconds kStartLimit{5000};

channel::MovableEndOptions options_of(const function::AttachTerms& terms) {
  channel::MovableEndOptions options;
  options.has_state = terms.has_state;
  return options;
}

}  // namespace

EndRunner::EndRunner(const EndKey& key, EndContext context, const function::AttachTerms& terms,
                     HeldBytes& held, std::function<void(const EndRunner&)> over)
    : key_(key),
      context_(std::move(context)),
      terms_(terms),
      held_(held),
      over_(std::move(over)),
      services_(
          context_.session, context_.log_fields,
          [this](std::span<const std::byte> head) {
            const std::lock_guard lock(mutex_);
            if (binding_) binding_->send_line(head);
          },
          *context_.turns, context_.models),
      core_(key.epoch, options_of(terms), *this, *this) {}

EndRunner::~EndRunner() { finish(); }

void EndRunner::start() {
  thread_ = std::thread([this] { work(); });
}

void EndRunner::finish() {
  stop();
  if (thread_.joinable()) thread_.join();
  std::shared_ptr<EndBinding> binding;
  {
    const std::lock_guard lock(mutex_);
    binding.swap(binding_);
  }
  if (binding) binding->release();
}

// --- any thread ------------------------------------------------------------------------

bool EndRunner::bind(std::shared_ptr<EndBinding> binding, channel::EndMessage attach) {
  std::shared_ptr<EndBinding> earlier;
  bool over = false;
  {
    const std::lock_guard lock(mutex_);
    if (over_told_) return false;
    earlier = std::exchange(binding_, std::move(binding));
    if (earlier) core_.link_down();
    if (warm_) {
      core_.received(std::move(attach));
      over = note_over();
    } else {
      attach_ = std::move(attach);
    }
  }
  if (earlier) earlier->release();
  if (over) over_(*this);
  return true;
}

bool EndRunner::unbind(const EndBinding& from) {
  std::shared_ptr<EndBinding> lost;
  {
    const std::lock_guard lock(mutex_);
    if (binding_.get() != &from) return false;
    lost.swap(binding_);
    core_.link_down();
  }
  lost->release();
  return true;
}

void EndRunner::stop() {
  std::stop_source stop(std::nostopstate);
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    stop = stop_running_;
    if (running_) must_end_by_ = std::min(must_end_by_, Clock::now() + context_.end_grace);
    wake_.notify_one();
  }
  // Outside the mutex: what waits for the stop runs in here.
  stop.request_stop();
}

std::optional<OverdueEnd> EndRunner::overdue(Clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  if (now < must_end_by_) return std::nullopt;
  const auto* const message = running_ ? std::get_if<Execute>(&*running_) : nullptr;
  return OverdueEnd{.key = key_,
                    .session = context_.session,
                    .sequence = message != nullptr ? message->sequence : 0,
                    .module = context_.module->digest(),
                    .model = services_.meter().computing()};
}

void EndRunner::give_up(const Error& why) {
  const std::lock_guard lock(mutex_);
  if (!running_ || core_.detached()) return;
  if (std::holds_alternative<Execute>(*running_)) core_.executed(std::unexpected(why), false);
  // What the worker may still say of it is not asked for.
  ending_ = true;
}

// --- I/O thread ------------------------------------------------------------------------

void EndRunner::received(EndBinding& from, channel::EndMessage message) {
  bool over = false;
  {
    const std::lock_guard lock(mutex_);
    if (binding_.get() != &from || over_told_) return;
    if (!warm_) {
      // Nothing but the end of it can be meant for an end that has not answered yet.
      if (!std::holds_alternative<channel::Detach>(message.content)) return;
      over = end_here();
    } else {
      core_.received(std::move(message));
      over = note_over();
    }
  }
  if (over) over_(*this);
}

void EndRunner::broken(EndBinding& from, const Error& why) {
  bool over = false;
  {
    const std::lock_guard lock(mutex_);
    if (binding_.get() == &from) over = lose(why);
  }
  if (over) over_(*this);
}

// --- with the mutex held ---------------------------------------------------------------

void EndRunner::execute(channel::Sequence sequence, std::uint32_t method,
                        channel::SharedBytes body) {
  jobs_.emplace_back(Execute{sequence, method, std::move(body)});
  wake_.notify_one();
}

void EndRunner::save() {
  jobs_.emplace_back(Save{});
  wake_.notify_one();
}

void EndRunner::load(channel::SharedBytes state) {
  jobs_.emplace_back(Load{std::move(state)});
  wake_.notify_one();
}

void EndRunner::transmit(channel::EndMessage message) {
  if (binding_) binding_->transmit(message);
}

bool EndRunner::lose(const Error& why) {
  if (!end_here()) return false;
  spdlog::warn("session {} end {}: {}: {}", context_.session, to_string(key_), to_string(why.code),
               why.message);
  transmit({.epoch = key_.epoch, .content = channel::Lost{why}});
  return true;
}

bool EndRunner::note_over() { return core_.detached() && end_here(); }

bool EndRunner::end_here() {
  if (std::exchange(over_told_, true)) return false;
  ending_ = true;
  wake_.notify_one();
  return true;
}

// --- worker thread ---------------------------------------------------------------------

void EndRunner::work() {
  if (begin()) {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
      if (ending_) break;
      const Job job = std::move(jobs_.front());
      jobs_.pop_front();
      running_ = job;
      stop_running_ = std::stop_source();
      lock.unlock();
      run(job);
      lock.lock();
    }
  }
  // Here and not where the last holder lets go, which may be the I/O thread: unmapping takes long.
  instance_.reset();
}

bool EndRunner::begin() {
  const auto made = make_instance();
  bool over = false;
  {
    const std::lock_guard lock(mutex_);
    if (!made) {
      over = lose(made.error());
    } else if (!ending_) {
      warm_ = true;
      // Nothing to answer: the link was lost meanwhile, and the end waits to be resumed.
      if (attach_ && binding_) {
        core_.received(*std::exchange(attach_, std::nullopt));
        over = note_over();
      }
    }
  }
  if (over) over_(*this);
  return made.has_value();
}

Result<void> EndRunner::make_instance() {
  services_.begin(0, TensorDigests::no);
  buffer_.reset();
  instance_.reset();
  auto made = checked(runtime::Instance::create(context_.module, context_.instance_limits,
                                                services_, Clock::now() + kStartLimit),
                      spent_);
  if (!made) return std::unexpected(made.error());
  instance_ = *std::move(made);
  spent_ = false;
  if (!terms_.object_class) return {};
  return checked(instance_->make_object(*terms_.object_class, Clock::now() + kStartLimit), spent_);
}

void EndRunner::run(const Job& job) {
  const auto deadline = Clock::now() + context_.call_limit;
  std::stop_token stop;
  {
    const std::lock_guard lock(mutex_);
    stop = stop_running_.get_token();
    must_end_by_ = (ending_ ? Clock::now() : deadline) + context_.end_grace;
    if (ending_) stop_running_.request_stop();
  }
  Outcome outcome;
  {
    const std::stop_callback interrupt(stop, [this] { instance_->interrupt(); });
    if (const auto* const message = std::get_if<Execute>(&job)) {
      outcome = call_guest(*message, deadline);
    } else if (const auto* const state = std::get_if<Load>(&job)) {
      outcome = load_state(*state, deadline);
    } else {
      outcome = save_state(deadline);
    }
  }
  // Without a state there is nothing that another instance would lack.
  if (spent_ && !terms_.has_state && !stop.stop_requested()) {
    {
      const std::lock_guard lock(mutex_);
      must_end_by_ = Clock::now() + kStartLimit + context_.end_grace;
    }
    if (auto made = make_instance(); !made) {
      spdlog::error("session {} end {}: no new instance: {}", context_.session, to_string(key_),
                    made.error().message);
      spent_ = true;
    }
  }

  bool over = false;
  {
    const std::lock_guard lock(mutex_);
    running_.reset();
    stop_running_ = std::stop_source(std::nostopstate);
    must_end_by_ = Clock::time_point::max();
    if (ending_) return;  // nobody waits for the outcome
    if (std::holds_alternative<Execute>(job)) {
      core_.executed(std::move(outcome), !spent_);
    } else if (std::holds_alternative<Save>(job)) {
      core_.saved(std::move(outcome), !spent_);
    } else if (outcome) {
      core_.loaded({});
    } else {
      core_.loaded(std::unexpected(outcome.error()));
    }
    over = note_over();
  }
  if (over) over_(*this);
}

std::optional<runtime::RecordedCall> EndRunner::record(const CallRecorder& recorder,
                                                       const Execute& message,
                                                       Clock::time_point deadline) {
  auto call = recorder.begin(*context_.module, context_.exports[message.method], *message.body);
  if (!call || !call->object) return call;
  auto state = instance_->save_state(deadline);
  if (!state) return {};  // what is wrong with it shows when it is asked for
  for (const auto segment : state->segments)
    call->state.insert(call->state.end(), segment.begin(), segment.end());
  if (auto released = instance_->release(state->descriptor, deadline); !released) return {};
  return call;
}

EndRunner::Outcome EndRunner::call_guest(const Execute& message, Clock::time_point deadline) {
  services_.begin(message.sequence, TensorDigests::no);
  if (message.method >= context_.exports.size()) {
    return fail(Errc::invalid_argument,
                "the module was opened without a function " + std::to_string(message.method));
  }
  const std::shared_ptr<CallRecorder> recorder =
      context_.recording == nullptr ? nullptr : context_.recording->now();
  std::optional<runtime::RecordedCall> recorded;
  if (recorder) recorded = record(*recorder, message, deadline);
  const auto address = put(*message.body);
  if (!address) return std::unexpected(address.error());
  const auto begun = Clock::now();
  auto called = instance_->call(context_.exports[message.method], *address,
                                static_cast<std::uint32_t>(message.body->size()), deadline);
  (void)services_.meter().end();
  context_.counters.called(
      called ? std::nullopt : std::optional(runtime::to_error(called.error()).code),
      Clock::now() - begun);
  if (!called) {
    const Error error = explain(message.sequence, called.error());
    if (recorded) {
      const auto* const trap = std::get_if<runtime::Trap>(&called.error());
      recorder->keep(*std::move(recorded), error,
                     trap == nullptr ? std::string() : trap->backtrace_text(),
                     Clock::now() - begun);
    }
    return std::unexpected(error);
  }
  if (recorded) recorder->keep(*std::move(recorded), called->segments, Clock::now() - begun);
  return take_out(*called);
}

EndRunner::Outcome EndRunner::save_state(Clock::time_point deadline) {
  services_.begin(0, TensorDigests::no);
  auto saved = instance_->save_state(deadline);
  if (!saved) return std::unexpected(explain(0, saved.error()));
  return take_out(*saved);
}

EndRunner::Outcome EndRunner::load_state(const Load& load, Clock::time_point deadline) {
  services_.begin(0, TensorDigests::no);
  const auto address = put(*load.state);
  if (!address) return std::unexpected(address.error());
  auto loaded =
      instance_->load_state(*address, static_cast<std::uint32_t>(load.state->size()), deadline);
  if (!loaded) return std::unexpected(explain(0, loaded.error()));
  return load.state;
}

Result<std::uint32_t> EndRunner::put(std::span<const std::byte> bytes) {
  if (!buffer_ || buffer_->bytes.size() < bytes.size()) {
    const std::uint64_t most = context_.instance_limits.memory_bytes;
    if (bytes.size() > most) {
      return fail(Errc::resource_exhausted, std::to_string(bytes.size()) +
                                                " bytes do not fit into an instance's memory of " +
                                                std::to_string(most));
    }
    if (const auto old = std::exchange(buffer_, std::nullopt)) {
      const auto freed =
          checked(instance_->free_buffer(old->address, Clock::now() + kHousekeepingLimit), spent_);
      if (!freed) return std::unexpected(freed.error());
    }
    auto made = checked(instance_->make_buffer(static_cast<std::uint32_t>(bytes.size()),
                                               Clock::now() + kHousekeepingLimit),
                        spent_);
    if (!made) return std::unexpected(made.error());
    buffer_ = *made;
  }
  std::ranges::copy(bytes, buffer_->bytes.begin());
  return buffer_->address;
}

EndRunner::Outcome EndRunner::take_out(const runtime::Reply& reply) {
  std::uint64_t size = 0;
  for (const auto segment : reply.segments) size += segment.size();
  Outcome out =
      fail(Errc::resource_exhausted, "a result or state of " + std::to_string(size) +
                                         " bytes: more than an end of this edge may have");
  if (size <= context_.max_body) {
    const auto bytes = held_.take_all_the_same(size);
    auto to = bytes->begin();
    for (const auto segment : reply.segments) to = std::ranges::copy(segment, to).out;
    out = bytes;
  }
  if (auto released =
          checked(instance_->release(reply.descriptor, Clock::now() + kHousekeepingLimit), spent_);
      !released) {
    spdlog::warn("session {} end {}: aloft_release: {}", context_.session, to_string(key_),
                 released.error().message);
  }
  return out;
}

Error EndRunner::explain(channel::Sequence sequence, const runtime::CallFailure& failure) {
  Error error = runtime::to_error(failure);
  if ((error.code == Errc::trapped || error.code == Errc::protocol) &&
      !services_.last_words().empty()) {
    error.message = services_.last_words();
  }
  ops::log(spdlog::level::warn,
           fmt::format("session {} end {} message {}: {}: {}", context_.session, to_string(key_),
                       sequence, to_string(error.code), error.message),
           context_.log_fields);
  if (!instance_->usable()) spent_ = true;
  if (const auto* const trap = std::get_if<runtime::Trap>(&failure)) {
    spent_ = true;
    // To the caller's log, where the guest's own lines went.
    if (!trap->backtrace.empty()) services_.say("at:\n" + trap->backtrace_text());
  }
  return error;
}

}  // namespace aloft::host
