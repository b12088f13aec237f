// A file descriptor that is closed when its owner goes.
#pragma once

#include <unistd.h>

namespace aloft {

// Thread rule: as the descriptor's.
class Descriptor {
 public:
  // Takes it over; below 0: none.
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace aloft
