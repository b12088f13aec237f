// Turns at the inference engine: each session has one inference under way, however many instances
// it runs.
//
// The engine runs as many inferences at a time as the machine has room for, in the order they come.
// A session that could queue several would hold the engine against all others, up to its call
// limit; with turns, a session whose inference does not end holds one place and waits for itself.
// It also makes a session at the edge run as the same functions do on the device: one inference at
// a time.
#pragma once

#include <deque>
#include <mutex>

namespace aloft::host {

// Whoever wants a turn. Intrusive: waiting costs no allocation of its own.
class TurnTaker {
 public:
  // The turn is there, and lasts until leave(). Called from enter(), or from the leave() of
  // another; must not block.
  virtual void on_turn() = 0;

 protected:
  ~TurnTaker() = default;
};

// Thread rule: any thread.
class InferenceTurns {
 public:
  // Calls taker.on_turn() at once, or when the ones before have left. `taker` stays valid until it
  // left or withdrew, and does not wait already.
  void enter(TurnTaker& taker);
  enum class Withdrawn { yes, has_turn };
  // `yes`: it waited, and on_turn() will not be called.
  [[nodiscard]] Withdrawn withdraw(TurnTaker& taker);
  // By the one that has the turn.
  void leave();

 private:
  std::mutex mutex_;
  bool taken_ = false;
  std::deque<TurnTaker*> waiting_;
};

}  // namespace aloft::host
