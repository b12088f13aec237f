// Where the device side says what it does: lines of a level, to whoever the application named.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include <aloft/runtime.h>

namespace aloft::function {

// Thread rule: any thread; the sink is called from several at once.
class Log {
 public:
  using Sink = std::function<void(LogLevel, std::string_view)>;

  Log(LogLevel level, Sink sink) : level_(level), sink_(std::move(sink)) {}

  // Whether a line of this level goes anywhere: asked before one is put together at a cost.
  [[nodiscard]] bool wants(LogLevel level) const { return level >= level_ && sink_ != nullptr; }
  void operator()(LogLevel level, std::string_view line) const {
    if (wants(level)) sink_(level, line);
  }

 private:
  const LogLevel level_;
  const Sink sink_;
};

}  // namespace aloft::function
