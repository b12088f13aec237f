// What wakes a thread that waits in poll(): a descriptor that is readable from wake() on, until
// clear().
#pragma once

#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/descriptor.h"

namespace aloft {

// Thread rule: wake() any thread, and a signal's handler; the rest the one that waits.
class WakeUp {
 public:
  // Where the system has no descriptor left it is false, and wakes nobody.
  WakeUp() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  explicit operator bool() const { return static_cast<bool>(event_); }

  // To be polled for POLLIN.
  [[nodiscard]] int descriptor() const { return event_.get(); }
  void wake() const {
    const std::uint64_t one = 1;
    (void)!::write(event_.get(), &one, sizeof one);  // full: it is awake already
  }
  // From here on it is not readable, until somebody wakes it again.
  void clear() const {
    std::uint64_t ignored = 0;
    (void)!::read(event_.get(), &ignored, sizeof ignored);
  }

 private:
  Descriptor event_;
};

}  // namespace aloft
