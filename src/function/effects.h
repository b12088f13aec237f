// What a step under a lock leads to outside it: calls that have ended, lines to log.
//
// Neither may happen under the lock, since both run code of others. Declared before the lock is
// taken, an Effects is destroyed after it was released, and that is when they happen, in order.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "function/log.h"
#include "function/remote_call.h"

namespace aloft::function {

// Thread rule: one thread.
class Effects {
 public:
  explicit Effects(const Log& log) : log_(log) {}
  ~Effects() {
    for (const auto& [level, line] : lines_) log_(level, line);
    while (first_ != nullptr) {
      RemoteCall& call = *std::exchange(first_, first_->next_);  // which may be gone after this
      call.on_ended();
    }
  }
  Effects(const Effects&) = delete;
  Effects& operator=(const Effects&) = delete;

  void log(LogLevel level, std::string line) {
    if (log_.wants(level)) lines_.emplace_back(level, std::move(line));
  }
  // `call` may be null: nothing then.
  void end(RemoteCall* call) {
    if (call == nullptr) return;
    call->next_ = nullptr;
    (last_ == nullptr ? first_ : last_->next_) = call;
    last_ = call;
  }

 private:
  const Log& log_;
  std::vector<std::pair<LogLevel, std::string>> lines_;
  RemoteCall* first_ = nullptr;
  RemoteCall* last_ = nullptr;
};

}  // namespace aloft::function
