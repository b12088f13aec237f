// DNS-SD by multicast (RFC 6762, 6763), through the machine's Avahi daemon: a service of this
// program is announced, others are found. All that is sent and heard is the daemon's, over the
// system bus; nothing here opens a port.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <aloft/result.h>

namespace aloft::mdns {

struct Service {
  std::string name;  // for people; another one is chosen where it is taken
  std::string type;  // "_aloft._tcp"
  std::uint16_t port = 0;
  std::map<std::string, std::string> text{};  // TXT
};

// Thread rule: one thread.
class Announcement {
 public:
  // Announced as long as this lives, also when the daemon is started anew. `told` gets what happens
  // to it, for a log, on a thread of its own. Errors: unreachable (no bus, no daemon allowed).
  [[nodiscard]] static Result<std::unique_ptr<Announcement>> make(
      Service service, std::function<void(const Result<std::string>&)> told);
  ~Announcement();  // takes it back
  Announcement(const Announcement&) = delete;
  Announcement& operator=(const Announcement&) = delete;

 private:
  struct Impl;
  explicit Announcement(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct Found {
  std::string name;
  std::string address;  // IP
  std::uint16_t port = 0;
  std::map<std::string, std::string> text;
};
// Those that are there: until the daemon has told all that it knows and heard, at most `limit`.
// Bounded. Errors: unreachable (no bus, no daemon).
[[nodiscard]] Result<std::vector<Found>> browse(const std::string& type,
                                                std::chrono::milliseconds limit);

}  // namespace aloft::mdns
