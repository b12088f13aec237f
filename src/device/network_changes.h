// Tells when this machine's network has changed: an address, a route or an interface came or went
// (rtnetlink). What was measured before may then be wrong.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "base/descriptor.h"
#include "base/wake_up.h"
#include <aloft/result.h>

namespace aloft::device {

// Thread rule: any thread. Destroying it waits for a running callback.
class NetworkChanges {
 public:
  // `on_change` is called from a thread of its own, several times for what looks like one change.
  // Errors: refused (the system gives no such socket).
  [[nodiscard]] static Result<std::unique_ptr<NetworkChanges>> watch(
      std::function<void()> on_change);
  ~NetworkChanges();
  NetworkChanges(const NetworkChanges&) = delete;
  NetworkChanges& operator=(const NetworkChanges&) = delete;

 private:
  NetworkChanges(Descriptor socket, WakeUp stop, std::function<void()> on_change);
  void read();

  const Descriptor socket_;
  const WakeUp stop_;
  const std::function<void()> on_change_;
  std::thread thread_;
};

}  // namespace aloft::device
