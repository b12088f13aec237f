#include "channel/movable_end.h"

#include <algorithm>
#include <utility>

#include "base/mutation.h"
#include "channel/state_blocks.h"

namespace aloft::channel {
namespace {

std::size_t size_of(const Answer& answer) {
  return answer.body == nullptr ? 0 : answer.body->size();
}

}  // namespace

MovableEnd::MovableEnd(Epoch epoch, MovableEndOptions options, MovableEndHost& host,
                       MovableEndPort& port)
    : epoch_(epoch),
      options_(options),
      host_(host),
      port_(port),
      attached_(options.serves),
      link_(options.serves),
      loaded_(options.serves) {}

EndMessage MovableEnd::unknown(Epoch epoch) {
  return {.epoch = epoch, .content = Attached{.known = false, .received = 0}};
}

void MovableEnd::received(EndMessage message) {
  if (detached_ || message.epoch != epoch_) return;
  // Of an end that is lost, but could not say so, only the resume is of interest.
  if (dying_ && !std::holds_alternative<Attach>(message.content) &&
      !std::holds_alternative<Detach>(message.content)) {
    return;
  }
  std::visit([this](auto& content) { take(content); }, message.content);
}

template <class Content>
void MovableEnd::transmit(Content content) {
  if (link_) port_.transmit({.epoch = epoch_, .content = std::move(content)});
}

template <class Other>
void MovableEnd::take(Other&) {
  lose({Errc::protocol, "a movable end was sent what only a fixed end receives"});
}

void MovableEnd::take(Attach& message) {
  if (!message.resume) {
    if (attached_) return lose({Errc::protocol, "an end was attached twice"});
    attached_ = link_ = true;
    return transmit(Attached{.known = false, .received = 0});
  }
  if (!serves() && !dying_) {
    // Before its state was there nobody resumes an end: whoever moved it here has given up.
    link_ = true;
    transmit(Attached{.known = false, .received = 0});
    detached_ = true;
    return;
  }
  link_down();
  link_ = true;
  forget(message.answered);
  transmit(Attached{.known = true, .received = received_});
  if (!mutated("forget_cached_answer")) {
    for (const Answer& answer : answers_) transmit(answer);
  }
  if (dying_) return lose(*dying_);
  next();
}

void MovableEnd::take(Install& message) {
  StateBlocks& state = message.state;
  if (!attached_ || !options_.has_state || loaded_ || running_ == Running::load)
    return lose({Errc::protocol, "a state was installed where none was expected"});
  if (state.version <= copy_.version || (state.base != 0 && state.base != copy_.version))
    return lose({Errc::protocol, "a state was installed over another one than is there"});
  auto whole = apply_blocks(state, state.base == 0 ? nullptr : copy_.bytes);
  if (!whole) return lose(whole.error());
  copy_ = {.version = state.version, .at = state.at, .bytes = std::move(*whole)};
  if (!message.final) return transmit(Installed{.version = copy_.version, .final = false});
  running_ = Running::load;
  host_.load(copy_.bytes);
}

void MovableEnd::take(Deliver& message) {
  if (!serves()) return lose({Errc::protocol, "a message was delivered before the state"});
  if (message.sequence == 0 || message.body == nullptr)
    return lose({Errc::protocol, "a message was delivered without number or body"});
  forget(message.answered);
  if (message.sequence <= received_ && !mutated("forget_duplicate"))
    return repeat(message.sequence);
  const std::size_t size = message.body->size();
  if (waiting_.size() + answers_.size() >= options_.max_held ||
      (!waiting_.empty() && waiting_bytes_ + size > options_.max_held_bytes)) {
    return lose({Errc::overloaded, "more was delivered than this place keeps"});
  }
  received_ = message.sequence;
  waiting_bytes_ += size;
  waiting_.push_back({message.sequence, message.method, std::move(message.body)});
  next();
}

void MovableEnd::take(SnapshotWanted& message) {
  if (!serves() || !options_.has_state)
    return lose({Errc::protocol, "a copy was wanted of a state that is not there"});
  snapshot_base_ = message.base;
  next();
}

void MovableEnd::take(Detach&) {
  detached_ = true;
  waiting_.clear();
  answers_.clear();
}

void MovableEnd::repeat(Sequence sequence) {
  const auto kept = std::ranges::find(answers_, sequence, &Answer::sequence);
  if (kept != answers_.end()) transmit(*kept);
}

void MovableEnd::forget(Sequence answered) {
  if (mutated("forget_too_much")) ++answered;
  while (!answers_.empty() && answers_.front().sequence <= answered) {
    answer_bytes_ -= size_of(answers_.front());
    answers_.pop_front();
  }
  next();
}

void MovableEnd::next() {
  if (detached_ || dying_ || running_ != Running::nothing || !serves()) return;
  if (snapshot_base_) {
    running_ = Running::save;
    return host_.save();
  }
  // Answers that nobody takes are bounded by not making more. The fixed end acknowledges at the
  // latest after kAcknowledgeBytes, so that the bound is never below what it waits for.
  const std::size_t bound = std::max(options_.max_held_bytes, 2 * kAcknowledgeBytes);
  if (waiting_.empty() || answer_bytes_ >= bound) return;
  running_ = Running::call;
  Delivery& delivery = waiting_.front();
  waiting_bytes_ -= delivery.body->size();
  host_.execute(delivery.sequence, delivery.method, std::move(delivery.body));
}

void MovableEnd::executed(Result<SharedBytes> outcome, bool object_lives) {
  if (running_ != Running::call) return;
  running_ = Running::nothing;
  if (detached_) return;
  Answer answer{.sequence = waiting_.front().sequence, .error = {}, .body = {}};
  waiting_.pop_front();
  executed_ = answer.sequence;
  if (!outcome) {
    answer.error = std::move(outcome).error();
  } else if (*outcome == nullptr) {
    answer.error = Error{Errc::internal, "a call ended without a result"};
  } else {
    answer.body = *std::move(outcome);
  }
  answer_bytes_ += size_of(answer);
  answers_.push_back(answer);
  Error why = answer.error.value_or(Error{Errc::internal, "the object is gone"});
  transmit(std::move(answer));
  if (!object_lives) return lose(std::move(why));
  next();
}

void MovableEnd::saved(Result<SharedBytes> state, bool object_lives) {
  if (running_ != Running::save) return;
  running_ = Running::nothing;
  if (detached_ || dying_) return;
  if (state && *state == nullptr) state = fail(Errc::internal, "a state was saved as nothing");
  if (state && (*state)->size() > kMaxState)
    state = fail(Errc::resource_exhausted, "the state is larger than can be moved");
  if (!state) {
    if (!object_lives) return lose(state.error());
    if (std::exchange(snapshot_base_, std::nullopt))
      transmit(State{.state = {}, .error = state.error()});
  } else if (snapshot_base_) {
    const std::uint64_t base = *std::exchange(snapshot_base_, std::nullopt);
    const std::uint64_t version = copy_.version + 1;
    const bool known = base != 0 && copy_.bytes != nullptr &&
                       (base == copy_.version || mutated("apply_stale_delta"));
    StateBlocks blocks = known ? changed_blocks(base, *copy_.bytes, version, executed_, *state)
                               : whole_state(version, executed_, *state);
    copy_ = {.version = version, .at = executed_, .bytes = *std::move(state)};
    transmit(State{.state = std::move(blocks)});
  }
  next();
}

void MovableEnd::loaded(Result<void> outcome) {
  if (running_ != Running::load) return;
  running_ = Running::nothing;
  if (detached_ || dying_) return;
  if (!outcome) return lose(outcome.error());
  loaded_ = true;
  received_ = executed_ = copy_.at;
  transmit(Installed{.version = copy_.version, .final = true});
  next();
}

void MovableEnd::link_down() {
  link_ = false;
  snapshot_base_.reset();  // whoever resumes asks again for what is wanted
}

void MovableEnd::skip(Sequence sequence) {
  if (idle() && sequence > received_) received_ = executed_ = sequence;
}

bool MovableEnd::idle() const { return running_ == Running::nothing && waiting_.empty(); }

void MovableEnd::lose(Error why) {
  transmit(Lost{.why = why});
  detached_ = link_;
  dying_ = std::move(why);
}

}  // namespace aloft::channel
