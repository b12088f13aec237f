// Makes running guests look at the clock: while any guest runs, the engine's epoch moves on every
// few milliseconds, and each guest then asks whether its time is up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "runtime/wasmtime_handles.h"

namespace aloft::runtime {

// Thread rule: any thread. `engine` outlives it.
class EpochClock {
 public:
  static constexpr std::chrono::milliseconds kTick{2};

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
      wake = running_ == 0;
      running_ += change;
    }
    if (wake) changed_.notify_all();
  }

  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      changed_.wait(lock, stop, [this] { return running_ > 0; });
      // With guests running only time or the end matters, so the predicate stays false.
      changed_.wait_for(lock, stop, kTick, [] { return false; });
      wasmtime_engine_increment_epoch(engine_);
    }
  }

  wasm_engine_t* engine_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  int running_ = 0;
  std::jthread thread_;
};

}  // namespace aloft::runtime
