#include "channel/fixed_end.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/mutation.h"
#include "channel/state_blocks.h"

namespace aloft::channel {

FixedEnd::FixedEnd(FixedEndOptions options, FixedEndPort& port, SharedBytes initial)
    : options_(options), port_(port), log_(options.max_messages, options.max_bytes) {
  home_.epoch = kFirstEpoch;
  if (!options_.has_state || !options_.here_may_fail || initial == nullptr) return;
  home_.copy.bytes = initial;
  checkpoint_ = {.at = 0, .bytes = std::move(initial)};
}

Result<Sequence> FixedEnd::send(std::uint32_t method, SharedBytes body, Time now,
                                std::optional<Time> deadline) {
  if (closed_) return fail(Errc::refused, "the channel is closed");
  if (body == nullptr) return fail(Errc::invalid_argument, "a message without a body");
  if (!deadline && options_.kind == Kind::deadline) deadline = now + options_.deadline;
  if (deadline && *deadline <= now) return fail(Errc::deadline_exceeded, "its time was over");
  if (options_.kind == Kind::latest && body->size() <= options_.max_bytes) {
    bool newer_waits = false;
    log_.take_unleft([&](const LoggedMessage& message) {
      if (mutated("latest_drops_newest")) return !(newer_waits = true);
      drop(message, {Errc::cancelled, "a newer message took its place"});
      return true;
    });
    if (newer_waits) {
      ++counters_.sent;
      drop({.sequence = ++last_sequence_, .body = body, .sent = now}, {Errc::cancelled, "older"});
      return last_sequence_;
    }
  }
  if (auto room = log_.has_room_for(body->size()); !room) {
    // A copy of the state makes room. Where none could be had, and nothing is under way any more,
    // nobody else asks for the next one.
    checkpoint_if_half_full();
    return std::unexpected(std::move(room).error());
  }
  ++counters_.sent;
  log_.add({.sequence = ++last_sequence_,
            .method = method,
            .body = std::move(body),
            .sent = now,
            .deadline = deadline});
  pump(now);
  checkpoint_if_half_full();
  return last_sequence_;
}

void FixedEnd::cancel(Sequence sequence, Time) {
  log_.take_unleft([&](const LoggedMessage& message) {
    if (message.sequence != sequence) return false;
    drop(message, {Errc::cancelled, "given up before it left"});
    return true;
  });
}

void FixedEnd::drop(const LoggedMessage& message, Error why) {
  ++counters_.dropped;
  port_.ended({.sequence = message.sequence,
               .result = std::unexpected(std::move(why)),
               .sent = message.sent,
               .place = home_.place,
               .dropped = true});
}

std::optional<Sequence> FixedEnd::take_here() {
  if (closed_ || home_.place != kHere || home_.link != Attachment::Link::up || relocation_ ||
      snapshot_wanted_ || !log_.all_told() || !home_.out.empty() || !old_.empty() ||
      (options_.has_state && options_.here_may_fail)) {
    return std::nullopt;
  }
  ++counters_.sent;
  ++counters_.answered;
  home_.delivered = home_.answered = ++last_sequence_;
  return last_sequence_;
}

bool FixedEnd::serving() const {
  if (closed_ || home_.link != Attachment::Link::up) return false;
  return !options_.has_state || !relocation_ || relocation_->step == Relocation::Step::attaching;
}

void FixedEnd::pump(Time now) {
  while (serving() && home_.out.size() < options_.in_flight) {
    LoggedMessage* const message = log_.next_pending();
    if (message == nullptr) return;
    if (!message->left && message->deadline && *message->deadline <= now) {
      log_.take_unleft([&](const LoggedMessage& late) {
        if (late.sequence != message->sequence) return false;
        drop(late, {Errc::deadline_exceeded, "its time was over before it could leave"});
        return true;
      });
      continue;
    }
    // A movable end takes rising numbers only, so that it knows what it had before. What was lost
    // with a former home goes to a new attachment.
    if (message->sequence <= home_.delivered) {
      if (!relocation_ && !options_.has_state)
        recover({Errc::unreachable, "a former place was lost"}, now);
      return;
    }
    if (mutated("deliver_out_of_order")) {
      LoggedMessage* const next = log_.find(message->sequence + 1);
      if (next != nullptr && !message->left && !next->left) {
        std::swap(message->body, next->body);
        std::swap(message->method, next->method);
      }
    }
    deliver(*message);
  }
}

void FixedEnd::deliver(LoggedMessage& message) {
  if (message.left) ++counters_.repeated;
  log_.deliver(message, home_.epoch);
  home_.out.push_back(message.sequence);
  home_.delivered = message.sequence;
  home_.unacknowledged = home_.unacknowledged_bytes = 0;
  transmit(home_, Deliver{.sequence = message.sequence,
                          .method = message.method,
                          .body = message.body,
                          .answered = home_.answered});
}

void FixedEnd::take(Attachment& from, Answer& answer, Time now) {
  if (from.out.empty() || answer.sequence != from.out.front()) {
    if (answer.sequence == 0 || answer.sequence > from.answered)
      return attachment_lost(from, {Errc::protocol, "an answer that was not awaited"}, now);
    ++counters_.duplicates;
    return;
  }
  if (!answer.error && answer.body == nullptr)
    return attachment_lost(from, {Errc::protocol, "an answer without error or body"}, now);
  LoggedMessage& message = *log_.find(answer.sequence);
  from.out.pop_front();
  from.answered = answer.sequence;
  from.last_answer = now;
  ++from.unacknowledged;
  from.unacknowledged_bytes += answer.body == nullptr ? 0 : answer.body->size();
  if (message.told) {
    ++counters_.duplicates;
    message.at = 0;
    if (mutated("tell_answer_twice") && !answer.error)
      port_.ended({.sequence = answer.sequence, .result = answer.body, .sent = message.sent});
    if (answer.error) {
      return attachment_lost(
          from, {Errc::corrupt, "a message that was run again ended otherwise than at first"}, now);
    }
  } else {
    // It may have to wait for others before it is told, and is a step ahead all the same.
    in_vain_ = 0;
    if (answer.error)
      log_.answer(message, std::unexpected(*std::move(answer.error)), from.place);
    else
      log_.answer(message, std::move(answer.body), from.place);
  }
  tell(now);
  keep_checkpoint();
  trim();
  pump(now);
  if (&from != &home_) {
    if (!from.out.empty()) return acknowledge(from);
    detach(from.place, from.module, from.epoch);
    std::erase_if(old_, [&](const Attachment& old) { return &old == &from; });
    return;
  }
  acknowledge(from);
  if (relocation_ && options_.has_state) advance(now);
  checkpoint_if_half_full();
}

void FixedEnd::tell(Time) {
  while (LoggedMessage* const message = log_.next_to_tell()) {
    ++counters_.answered;
    Outcome outcome{.sequence = message->sequence,
                    .result = log_.tell(*message),
                    .sent = message->sent,
                    .place = message->place};
    port_.ended(std::move(outcome));
  }
}

void FixedEnd::acknowledge(Attachment& to) {
  if (to.link != Attachment::Link::up ||
      (to.unacknowledged < kAcknowledgeAnswers && to.unacknowledged_bytes < kAcknowledgeBytes)) {
    return;
  }
  to.unacknowledged = to.unacknowledged_bytes = 0;
  transmit(to, Acknowledge{.answered = to.answered});
}

void FixedEnd::take(State& message, Time now) {
  if (message.error && options_.has_state && snapshot_wanted_) {
    // Home has its state, only no copy of it can be had: a move ends, home does not.
    snapshot_wanted_ = false;
    if (relocation_ && !relocation_->recovery) abort_move(*std::move(message.error), now);
    return;
  }
  const StateBlocks& state = message.state;
  StateCopy& copy = home_.copy;
  const bool whole = state.base == 0;
  if (!options_.has_state || !snapshot_wanted_ || state.version <= copy.version ||
      (!whole && (copy.bytes == nullptr || state.base != copy.version)) ||
      state.at < std::max(snapshot_from_, copy.at) || state.at > home_.delivered) {
    return attachment_lost(home_, {Errc::protocol, "a copy of a state that was not awaited"}, now);
  }
  auto bytes = apply_blocks(state, whole ? nullptr : copy.bytes);
  if (!bytes) return attachment_lost(home_, bytes.error(), now);
  snapshot_wanted_ = false;
  copy = {.version = state.version, .at = state.at, .bytes = *std::move(bytes)};
  if (relocation_) relocation_->to_copy += state.bytes->size();
  keep_checkpoint();
  trim();
  if (relocation_) return advance(now);
  checkpoint_if_half_full();
}

bool FixedEnd::logs() const {
  return options_.has_state &&
         (home_.place != kHere || options_.here_may_fail || relocation_ || snapshot_wanted_);
}

void FixedEnd::request_snapshot() {
  if (snapshot_wanted_) return;
  snapshot_wanted_ = true;
  snapshot_from_ = home_.answered;
  transmit(home_, SnapshotWanted{.base = home_.copy.bytes == nullptr ? 0 : home_.copy.version});
}

// A copy may come before the answers of messages that are in it. Recovering from it would lose
// these answers for good, so it counts once they are here.
void FixedEnd::keep_checkpoint() {
  const StateCopy& copy = home_.copy;
  if (!logs() || copy.bytes == nullptr || (checkpoint_ && checkpoint_->bytes == copy.bytes)) return;
  const bool answered = home_.out.empty() || home_.out.front() > copy.at;
  if (answered || mutated("early_checkpoint")) checkpoint_ = {.at = copy.at, .bytes = copy.bytes};
}

void FixedEnd::trim() {
  if (!logs()) {
    checkpoint_.reset();
    if (options_.has_state) home_.copy = {};
    return log_.trim(std::numeric_limits<Sequence>::max());
  }
  if (mutated("skip_ack_trim")) return log_.trim(std::numeric_limits<Sequence>::max());
  // Home here has none until the copy comes that was asked for.
  log_.trim(checkpoint_ ? checkpoint_->at : snapshot_from_);
}

void FixedEnd::checkpoint(Time) {
  if (!closed_ && logs() && home_.link == Attachment::Link::up) request_snapshot();
}

void FixedEnd::checkpoint_if_half_full() {
  if (closed_ || !logs() || home_.link != Attachment::Link::up) return;
  // Home serves on while a destination is slow to answer, or silent: what it answers has to leave
  // the log. The later steps of a move ask for copies of their own.
  if (relocation_ && (relocation_->recovery || relocation_->step != Relocation::Step::attaching))
    return;
  if (log_.half_full() && home_.answered > home_.copy.at) request_snapshot();
}

FixedEnd::Counters FixedEnd::counters() const {
  Counters counters = counters_;
  counters.log_messages = log_.messages();
  counters.log_bytes = log_.bytes();
  return counters;
}

}  // namespace aloft::channel
