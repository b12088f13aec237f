// Which placement of each session counts at one tenant's Execution Handler.
//
// A session's placements are numbered, and a higher number counts: a device that comes with an
// older one, by a ticket that has not expired yet or by a resumption secret, which never does, is
// stale. A session that was released stays out up to the generation that it had then.
//
// Both the host's daemon and the handler have such a book; the daemon's outlives a handler that
// crashes, and tells its successor what it has to know (entries()). It is bounded: of the released
// ones the first released is forgotten first, and since a forgotten one could not be told from a
// new one, what was issued before then and is unknown is stale, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "identity/ticket.h"
#include <aloft/result.h>

namespace aloft::host {

// Thread rule: one thread at a time.
class Placements {
 public:
  explicit Placements(std::size_t max_released = 16'384) : max_released_(max_released) {}

  // This placement is to be here. `trace`: under which its open is found in logs; empty: as before.
  void expect(std::string_view session, std::uint64_t generation, std::string_view trace = {});
  // It is over or elsewhere, and those before it. `now`: cluster time.
  void release(std::string_view session, std::uint64_t generation, identity::ClusterTime now);
  // A device has shown a right to it that was issued then. Errors: refused (stale, released).
  [[nodiscard]] Result<void> enter(std::string_view session, std::uint64_t generation,
                                   identity::ClusterTime issued);

  struct Entry {
    std::string session;
    std::uint64_t generation = 0;
    bool released = false;
    identity::ClusterTime at{};  // released
    std::string trace{};
  };
  // The released ones in their order, then the others; to be added to another book in this order.
  [[nodiscard]] std::vector<Entry> entries() const;
  // What was issued before this, and is unknown, is stale.
  [[nodiscard]] identity::ClusterTime forgotten() const { return forgotten_; }
  void forget_before(identity::ClusterTime time);
  // Empty: unknown.
  [[nodiscard]] std::string trace_of(std::string_view session) const;
  [[nodiscard]] std::size_t live() const { return records_.size() - released_.size(); }

 private:
  struct Record {
    std::uint64_t generation = 0;
    std::uint64_t released_up_to = 0;
    bool released = false;
    identity::ClusterTime at{};
    std::string trace;
    std::list<std::string>::iterator order;  // in released_, while released
  };

  const std::size_t max_released_;
  std::map<std::string, Record, std::less<>> records_;
  std::list<std::string> released_;  // first released first
  identity::ClusterTime forgotten_ = identity::ClusterTime::min();
};

}  // namespace aloft::host
