#include "host/inference_turns.h"

#include <algorithm>

namespace aloft::host {

void InferenceTurns::enter(TurnTaker& taker) {
  {
    const std::lock_guard lock(mutex_);
    if (taken_) {
      waiting_.push_back(&taker);
      return;
    }
    taken_ = true;
  }
  taker.on_turn();
}

InferenceTurns::Withdrawn InferenceTurns::withdraw(TurnTaker& taker) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(waiting_, &taker);
  if (found == waiting_.end()) return Withdrawn::has_turn;
  waiting_.erase(found);
  return Withdrawn::yes;
}

void InferenceTurns::leave() {
  TurnTaker* next = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      taken_ = false;
      return;
    }
    next = waiting_.front();
    waiting_.pop_front();
  }
  next->on_turn();
}

}  // namespace aloft::host
