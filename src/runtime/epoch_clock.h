// Makes running guests look at the clock: while any guest runs, the engine's epoch moves on every
// few milliseconds, and each guest then asks whether its time is up. It goes on moving for a moment
// after the last one, since one short call mostly follows another, and waking the thread for each
// would cost more than the call.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>

#include "runtime/wasmtime_handles.h"

namespace aloft::runtime {

// Thread rule: any thread. `engine` outlives it.
class EpochClock {
 public:
  static constexpr std::chrono::milliseconds kTick{2};
  static constexpr int kLinger = 4;  // ticks

  explicit EpochClock(wasm_engine_t* engine)
      : engine_(engine), thread_([this](const std::stop_token& stop) { run(stop); }) {}
  ~EpochClock() {
    thread_.request_stop();
    changed_.notify_all();
  }
  EpochClock(const EpochClock&) = delete;
  EpochClock& operator=(const EpochClock&) = delete;

  // While it lives, the epoch moves.
  class Running {
   public:
    explicit Running(EpochClock& clock) : clock_(clock) { clock_.add(1); }
    ~Running() { clock_.add(-1); }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    EpochClock& clock_;
  };

 private:
  void add(int change) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      running_ += change;
      used_ = true;
      wake = std::exchange(idle_, false);
    }
    if (wake) changed_.notify_all();
  }

  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    for (int quiet = kLinger; !stop.stop_requested();) {
      quiet = std::exchange(used_, false) || running_ > 0 ? 0 : quiet + 1;
      if (quiet > kLinger) {
        idle_ = true;
        changed_.wait(lock, stop, [this] { return !idle_; });
        continue;
      }
      // Only time or the end matters now, so the predicate stays false, and nobody notifies.
      changed_.wait_for(lock, stop, kTick, [] { return false; });
      wasmtime_engine_increment_epoch(engine_);
    }
  }

  wasm_engine_t* engine_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  int running_ = 0;
  bool used_ = false;  // since the last tick
  bool idle_ = false;  // the thread waits for a guest
  std::jthread thread_;
};

}  // namespace aloft::runtime
