// A thread that runs all I/O of the endpoints and listeners made on it, and nothing else: no guest,
// no encoding of bodies. That is what makes a missing heartbeat a statement about the peer's
// machine and not about its work.
#pragma once

#include <memory>

namespace aloft::channel {

class IoThread {
 public:
  IoThread();   // starts the thread
  ~IoThread();  // ends and joins it; endpoints and listeners on it must be gone. Not from the I/O
                // thread itself
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  struct Impl;
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::channel
