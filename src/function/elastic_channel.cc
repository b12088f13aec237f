#include "function/elastic_channel.h"

#include <algorithm>
#include <utility>

#include "function/binding.h"
#include "function/elastic_object.h"

namespace aloft::function {
namespace {

using std::chrono::steady_clock;

const FunctionDescriptor* find(const detail::Identity& identity) {
  for (const ModuleDescriptor* const module : registered_modules()) {
    const auto found =
        std::ranges::find(module->functions, identity, &FunctionDescriptor::identity);
    if (found != module->functions.end()) return &*found;
  }
  return nullptr;
}

channel::FixedEndOptions end_options(const FunctionDescriptor& function,
                                     const ChannelOptions& options) {
  channel::FixedEndOptions made;
  made.has_effects = function.once;
  switch (options.kind) {
    case ChannelKind::reliable: made.kind = channel::Kind::reliable; break;
    case ChannelKind::latest: made.kind = channel::Kind::latest; break;
    case ChannelKind::deadline: made.kind = channel::Kind::deadline; break;
  }
  made.deadline = options.deadline;
  made.in_flight = options.in_flight;
  made.max_messages = options.max_messages;
  made.max_bytes = options.max_bytes;
  return made;
}

std::size_t size_of(const channel::Outcome& outcome) {
  return outcome.result ? (*outcome.result)->size() : 0;
}

}  // namespace

ElasticChannel::ElasticChannel(std::shared_ptr<ElasticEnd> end, End whose, std::uint32_t method,
                               const ChannelOptions& options)
    : end_(std::move(end)), whose_(whose), method_(method), options_(options) {}

Result<std::uint64_t> ElasticChannel::send(Bytes arguments) {
  channel::Sequence stale = 0;
  std::optional<steady_clock::time_point> deadline;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return fail(Errc::refused, "this channel is closed");
    if (outstanding_ >= options_.max_messages || arrived_bytes_ > options_.max_bytes)
      return fail(Errc::overloaded, "too many results of this channel were not received yet");
    ++outstanding_;
    if (whose_ == End::shared && options_.kind == ChannelKind::latest) stale = last_;
    if (whose_ == End::shared && options_.kind == ChannelKind::deadline)
      deadline = steady_clock::now() + options_.deadline;
  }
  auto sent = end_->send(method_, std::move(arguments), shared_from_this(), deadline);
  if (sent && stale != 0) end_->cancel(stale);
  const std::lock_guard lock(mutex_);
  if (sent) {
    last_ = std::max(last_, *sent);
  } else {
    --outstanding_;
  }
  return sent;
}

void ElasticChannel::on_outcome(channel::Outcome outcome) {
  const std::lock_guard lock(mutex_);
  // What never left since the channel ends is told like what had left.
  const bool stale = outcome.dropped && (outcome.result.error().code == Errc::deadline_exceeded ||
                                         (options_.kind == ChannelKind::latest && !closing_));
  if (stale) {
    ++dropped_;
    --outstanding_;
    return;
  }
  arrived_bytes_ += size_of(outcome);
  arrived_.push_back(std::move(outcome));
  if (receiver_ != nullptr) end_->places().thread().post(shared_from_this());
  changed_.notify_one();
}

ElasticChannel::Arrived ElasticChannel::take_first() {
  channel::Outcome outcome = std::move(arrived_.front());
  arrived_.pop_front();
  arrived_bytes_ -= size_of(outcome);
  --outstanding_;
  return {.sequence = outcome.sequence,
          .result = std::move(outcome.result),
          .age = steady_clock::now() - outcome.sent,
          .place = outcome.place == channel::kHere ? Location::here()
                                                   : Location::edge(outcome.place - 1)};
}

Result<ElasticChannel::Arrived> ElasticChannel::receive(std::chrono::nanoseconds timeout) {
  std::unique_lock lock(mutex_);
  const auto come = [&] { return !arrived_.empty() || closed_; };
  // A timeout that is as good as none must not overflow the clock.
  constexpr std::chrono::nanoseconds kLong = std::chrono::hours(24 * 365);
  if (timeout.count() > 0) changed_.wait_for(lock, std::min(timeout, kLong), come);
  if (!arrived_.empty()) return take_first();
  if (closed_) return fail(Errc::refused, "this channel is closed");
  return fail(Errc::deadline_exceeded, "no result within the time given");
}

void ElasticChannel::receive_with(std::function<void(Arrived)> receiver) {
  const std::lock_guard lock(mutex_);
  receiver_ = std::make_shared<const std::function<void(Arrived)>>(std::move(receiver));
  if (!arrived_.empty()) end_->places().thread().post(shared_from_this());
}

void ElasticChannel::run_task() {
  std::unique_lock lock(mutex_);
  if (handing_over_) return;
  handing_over_ = true;
  hand_over(lock);
  handing_over_ = false;
}

void ElasticChannel::hand_over(std::unique_lock<std::mutex>& lock) {
  while (!arrived_.empty() && receiver_ != nullptr) {
    const auto receiver = receiver_;
    Arrived first = take_first();
    lock.unlock();
    (*receiver)(std::move(first));
    lock.lock();
  }
}

ChannelStats ElasticChannel::stats() const {
  const channel::FixedEnd::Counters counters = end_->counters();
  const std::lock_guard lock(mutex_);
  return {.sent = counters.sent,
          .answered = counters.answered,
          .dropped = dropped_,
          .repeated = counters.repeated,
          .duplicates = counters.duplicates,
          .interrupted = counters.interrupted,
          .moves = counters.moves,
          .recoveries = counters.recoveries,
          .messages_held = counters.log_messages,
          .bytes_held = counters.log_bytes + arrived_bytes_};
}

void ElasticChannel::close() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(closing_, true)) return;
  }
  if (whose_ == End::own) end_->close({Errc::cancelled, "the channel was closed"});
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace aloft::function

namespace aloft::detail {

Result<std::shared_ptr<ChannelCore>> open_channel(const Identity& identity,
                                                  const CalledObject* object,
                                                  const ChannelOptions& options) {
  using function::ElasticChannel;
  const auto places = function::bound_end_places();
  if (places == nullptr) return fail(Errc::refused, "a channel needs a bound runtime");
  const FunctionDescriptor* const found = function::find(identity);
  if (found == nullptr) return fail(Errc::not_found, "this is no elastic function of the program");
  if (options.kind == ChannelKind::deadline && options.deadline <= std::chrono::nanoseconds(0))
    return fail(Errc::invalid_argument, "a channel of this kind needs a deadline");
  if (options.in_flight < 1 || options.max_messages < 1)
    return fail(Errc::invalid_argument, "a channel holds at least one message");
  auto end = object != nullptr
                 ? function::elastic_object_of(*places, *object).end_in(*places)
                 : places->open({.module = found->module,
                                 .object_class = nullptr,
                                 .object = nullptr,
                                 .name = found->qualified_name,
                                 .options = function::end_options(*found, options),
                                 .priority = static_cast<std::uint8_t>(options.priority)});
  if (!end) return std::unexpected(std::move(end.error()));
  auto made = std::make_shared<ElasticChannel>(
      *end, object != nullptr ? ElasticChannel::End::shared : ElasticChannel::End::own,
      found->index, options);
  if (!options.start.is_here()) {
    if (auto moved = made->move(options.start); !moved) {
      made->close();
      return std::unexpected(std::move(moved.error()));
    }
  }
  return made;
}

}  // namespace aloft::detail
