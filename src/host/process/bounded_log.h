// The log of a tenant's process: what stands in it is up to its guests, which print what they like,
// and to whoever knocks at its door. No more than so many bytes a second of it are written, or they
// would fill the host's disk; what is beyond is counted, and the count is told.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <spdlog/details/log_msg.h>
#include <spdlog/sinks/base_sink.h>

namespace aloft::host {

struct LogBounds {
  std::size_t at_once = std::size_t{1} << 20U;  // bytes, after a rest
  std::size_t per_second = std::size_t{32} << 10U;
};

// Thread rule: as spdlog's sinks, any thread.
class BoundedLog final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  using Clock = std::chrono::steady_clock;

  BoundedLog(std::shared_ptr<spdlog::sinks::sink> to, LogBounds bounds,
             std::function<Clock::time_point()> now = Clock::now)
      : to_(std::move(to)),
        bounds_(bounds),
        now_(std::move(now)),
        left_(static_cast<double>(bounds.at_once)),
        filled_(now_()) {}

 private:
  static constexpr double kFrame = 80;  // bytes of a line beside its text

  void sink_it_(const spdlog::details::log_msg& message) override {
    const auto now = now_();
    left_ = std::min(static_cast<double>(bounds_.at_once),
                     left_ + static_cast<double>(bounds_.per_second) *
                                 std::chrono::duration<double>(now - filled_).count());
    filled_ = now;
    const double size = kFrame + static_cast<double>(message.payload.size());
    if (size > left_) {
      ++dropped_;
      return;
    }
    left_ -= size;
    if (const auto dropped = std::exchange(dropped_, 0); dropped != 0) {
      const std::string text = std::to_string(dropped) + " lines were too many, and are not here";
      to_->log({message.logger_name, spdlog::level::warn, text});
    }
    to_->log(message);
  }
  void flush_() override { to_->flush(); }
  void set_pattern_(const std::string& pattern) override { to_->set_pattern(pattern); }
  void set_formatter_(std::unique_ptr<spdlog::formatter> formatter) override {
    to_->set_formatter(std::move(formatter));
  }

  const std::shared_ptr<spdlog::sinks::sink> to_;
  const LogBounds bounds_;
  const std::function<Clock::time_point()> now_;
  double left_;  // bytes
  Clock::time_point filled_;
  std::uint64_t dropped_ = 0;
};

}  // namespace aloft::host
