#include "inference/engine.h"

#include <condition_variable>
#include <mutex>
#include <optional>

namespace aloft::inference {

Result<Device> parse_device(std::string_view text) {
  if (text == "cpu") return Device::cpu;
  if (text == "cuda") return Device::cuda;
  if (text == "auto") return Device::automatic;
  return fail(Errc::invalid_argument,
              "an inference device is cpu, cuda or auto, not '" + std::string(text) + "'");
}

Result<void> compute_and_wait(Execution& execution, std::chrono::steady_clock::time_point deadline,
                              std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any done;
  std::optional<Result<void>> outcome;
  execution.compute([&](Result<void> result) {
    const std::lock_guard lock(mutex);
    outcome = std::move(result);
    done.notify_all();
  });

  std::unique_lock lock(mutex);
  const auto is_done = [&] { return outcome.has_value(); };
  bool late = false;
  if (deadline == std::chrono::steady_clock::time_point::max()) {
    done.wait(lock, stop, is_done);
  } else {
    late = !done.wait_until(lock, stop, deadline, is_done) && !stop.stop_requested();
  }
  if (!is_done()) {
    lock.unlock();
    execution.cancel();
    lock.lock();
    done.wait(lock, is_done);
  }
  // An inference that ended by itself while it was being cancelled has its result.
  if (late && !*outcome && outcome->error().code == Errc::cancelled) {
    return fail(Errc::deadline_exceeded, "the inference did not end in time");
  }
  return *std::move(outcome);
}

}  // namespace aloft::inference
