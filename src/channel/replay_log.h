// The messages of an elastic channel that have not left yet, wait for their answer, or may be
// needed again: in order of their numbers, bounded in count and bytes.
//
// A message is, in this order: waiting (pending, has not left); delivered to an attachment, `at`;
// answered (its outcome is there); told (its outcome was told to the owner). One with state then
// stays until a checkpoint covers it. What is needed again becomes pending once more.
//
// Pure. Thread rule: one thread at a time. Pointers are valid until messages are added or removed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "channel/end_message.h"
#include <aloft/result.h>

namespace aloft::channel {

using Time = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

struct LoggedMessage {
  Sequence sequence = 0;
  std::uint32_t method = 0;
  SharedBytes body{};  // null once it cannot be needed again
  Time sent{};
  std::optional<Time> deadline{};  // to leave

  bool pending = true;  // to be delivered, for the first time or again
  bool left = false;    // was delivered at least once
  bool told = false;
  bool failed = false;  // answered with an error, without effect: never to be delivered again
  Epoch at = 0;         // delivered to this attachment and unanswered; 0: to none
  std::optional<Result<SharedBytes>> outcome{};  // until it is told
  PlaceIndex place = kHere;                      // of the outcome
};

class ReplayLog {
 public:
  ReplayLog(std::size_t max_messages, std::size_t max_bytes)
      : max_messages_(max_messages), max_bytes_(max_bytes) {}

  // Errors: overloaded; resource_exhausted for what never fits.
  [[nodiscard]] Result<void> has_room_for(std::size_t bytes) const;
  void add(LoggedMessage message);  // its number is above all others

  [[nodiscard]] LoggedMessage* find(Sequence sequence);  // null: not (or no longer) here
  [[nodiscard]] LoggedMessage* next_pending();           // the first; null: none
  // The first one untold, if its outcome is there.
  [[nodiscard]] LoggedMessage* next_to_tell();
  [[nodiscard]] bool all_told() const { return untold_ == 0; }
  // Calls visit(LoggedMessage&) for each that has not left, in order; those for which it is true
  // are removed.
  template <class Visit>
  void take_unleft(Visit visit);
  template <class Visit>
  void for_each(Visit visit) {
    for (LoggedMessage& message : messages_) visit(message);
  }

  void deliver(LoggedMessage& message, Epoch at);
  void make_pending(LoggedMessage& message);
  void answer(LoggedMessage& message, Result<SharedBytes> outcome, PlaceIndex place);
  // Its outcome, which the owner is to be told now.
  [[nodiscard]] Result<SharedBytes> tell(LoggedMessage& message);

  // Forgets from the front what was told and is not needed: up to `covered`, or all of it.
  void trim(Sequence covered);
  void clear();

  [[nodiscard]] std::size_t messages() const { return messages_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  // When a message that has not left is to be dropped, the earliest.
  [[nodiscard]] std::optional<Time> next_deadline() const;
  // Of those that have left, half of what the log may hold.
  [[nodiscard]] bool half_full() const {
    return left_messages_ * 2 >= max_messages_ || left_bytes_ * 2 >= max_bytes_;
  }

 private:
  void release_body(LoggedMessage& message);

  const std::size_t max_messages_;
  const std::size_t max_bytes_;
  std::deque<LoggedMessage> messages_;
  std::size_t bytes_ = 0;  // bodies, and results that wait to be told
  std::size_t left_messages_ = 0;
  std::size_t left_bytes_ = 0;
  std::size_t untold_ = 0;
  std::size_t deadlines_ = 0;  // of messages that have not left
  Sequence pending_from_ = 0;  // none before is pending
  Sequence untold_from_ = 0;   // all before are told
};

template <class Visit>
void ReplayLog::take_unleft(Visit visit) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    LoggedMessage& message = messages_[i];
    if (!message.left && !message.told && visit(message)) {
      bytes_ -= message.body->size();
      --untold_;
      deadlines_ -= message.deadline.has_value();
      continue;
    }
    if (kept != i) messages_[kept] = std::move(message);
    ++kept;
  }
  messages_.resize(kept);
}

}  // namespace aloft::channel
