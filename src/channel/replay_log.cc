#include "channel/replay_log.h"

#include <algorithm>
#include <utility>

#include "base/mutation.h"

namespace aloft::channel {
namespace {

std::size_t size_of(const SharedBytes& bytes) { return bytes == nullptr ? 0 : bytes->size(); }

std::size_t size_of(const std::optional<Result<SharedBytes>>& outcome) {
  return outcome && *outcome ? size_of(**outcome) : 0;
}

}  // namespace

Result<void> ReplayLog::has_room_for(std::size_t bytes) const {
  if (bytes > max_bytes_)
    return fail(Errc::resource_exhausted, "a message is larger than the channel may keep");
  if (messages_.size() >= max_messages_)
    return fail(Errc::overloaded, "the channel holds as many messages as it may");
  if (bytes_ + bytes > max_bytes_)
    return fail(Errc::overloaded, "the channel holds as many bytes as it may");
  return {};
}

void ReplayLog::add(LoggedMessage message) {
  bytes_ += message.body->size();
  ++untold_;
  deadlines_ += message.deadline.has_value();
  messages_.push_back(std::move(message));
}

LoggedMessage* ReplayLog::find(Sequence sequence) {
  const auto found = std::ranges::lower_bound(messages_, sequence, {}, &LoggedMessage::sequence);
  return found == messages_.end() || found->sequence != sequence ? nullptr : &*found;
}

LoggedMessage* ReplayLog::next_pending() {
  auto next = std::ranges::lower_bound(messages_, pending_from_, {}, &LoggedMessage::sequence);
  while (next != messages_.end() && !next->pending) ++next;
  if (next == messages_.end()) {
    if (!messages_.empty()) pending_from_ = messages_.back().sequence + 1;
    return nullptr;
  }
  pending_from_ = next->sequence;
  return &*next;
}

LoggedMessage* ReplayLog::next_to_tell() {
  auto next = std::ranges::lower_bound(messages_, untold_from_, {}, &LoggedMessage::sequence);
  while (next != messages_.end() && next->told) ++next;
  if (next == messages_.end()) return nullptr;
  untold_from_ = next->sequence;
  return next->outcome ? &*next : nullptr;
}

void ReplayLog::deliver(LoggedMessage& message, Epoch at) {
  message.pending = false;
  message.at = at;
  if (message.left) return;
  message.left = true;
  deadlines_ -= message.deadline.has_value();
  ++left_messages_;
  left_bytes_ += size_of(message.body);
}

void ReplayLog::make_pending(LoggedMessage& message) {
  message.pending = true;
  message.at = 0;
  pending_from_ = std::min(pending_from_, message.sequence);
}

void ReplayLog::answer(LoggedMessage& message, Result<SharedBytes> outcome, PlaceIndex place) {
  message.at = 0;
  message.place = place;
  message.pending = false;
  message.failed = !outcome.has_value() && !mutated("trap_replayed");
  message.outcome = std::move(outcome);
  bytes_ += size_of(message.outcome);
  if (message.failed) release_body(message);
}

Result<SharedBytes> ReplayLog::tell(LoggedMessage& message) {
  bytes_ -= size_of(message.outcome);
  message.told = true;
  --untold_;
  Result<SharedBytes> outcome = *std::move(message.outcome);
  message.outcome.reset();
  return outcome;
}

void ReplayLog::trim(Sequence covered) {
  while (!messages_.empty()) {
    LoggedMessage& front = messages_.front();
    const bool needed = front.sequence > covered && !front.failed;
    if (!front.told || front.pending || front.at != 0 || needed) return;
    release_body(front);
    --left_messages_;
    messages_.pop_front();
  }
}

void ReplayLog::clear() {
  messages_.clear();
  bytes_ = left_messages_ = left_bytes_ = untold_ = deadlines_ = 0;
}

std::optional<Time> ReplayLog::next_deadline() const {
  if (deadlines_ == 0) return std::nullopt;
  std::optional<Time> next;
  for (const LoggedMessage& message : messages_) {
    if (!message.left && message.deadline && (!next || *message.deadline < *next))
      next = message.deadline;
  }
  return next;
}

void ReplayLog::release_body(LoggedMessage& message) {
  bytes_ -= size_of(message.body);
  if (message.left) left_bytes_ -= size_of(message.body);
  message.body.reset();
}

}  // namespace aloft::channel
