// The Avahi daemon of a machine (a network namespace), with a system bus of its own: neither knows
// of this machine's.
#pragma once

#include <optional>
#include <string>

#include "support/netns.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace aloft::testing {

class Avahi {
 public:
  // On this host of `network`. What goes wrong fails the test, and is_up() is false.
  Avahi(const Network& network, const std::string& host);

  [[nodiscard]] bool is_up() const { return daemon_.has_value(); }
  // Of the bus: DBUS_SYSTEM_BUS_ADDRESS for those who are on that host.
  [[nodiscard]] const std::string& bus() const { return bus_address_; }
  // As a machine whose daemon fails, and comes back.
  void restart();
  [[nodiscard]] std::string transcript() const;

 private:
  void start();

  const Network& network_;
  const std::string host_;
  TempDir folder_;
  std::string bus_address_;
  std::optional<Process> bus_, daemon_;
};

}  // namespace aloft::testing
