// Cuts what a guest writes to one of its output streams into lines. Private to this folder.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "runtime/host_services.h"

namespace aloft::runtime {

class GuestOutput {
 public:
  GuestOutput(HostServices& services, GuestStream stream) : services_(services), stream_(stream) {}

  void write(std::string_view text) {
    for (const char c : text) {
      if (c == '\n' || line_.size() == kMaxLine) end_line();
      if (c != '\n') line_ += c;
    }
  }
  // Tells a line that has no end yet.
  void flush() {
    if (!line_.empty()) end_line();
  }

 private:
  static constexpr std::size_t kMaxLine = 4096;  // bytes; what a guest says costs its caller memory

  void end_line() {
    services_.on_line(stream_, line_);
    line_.clear();
  }

  HostServices& services_;
  GuestStream stream_;
  std::string line_;
};

}  // namespace aloft::runtime
