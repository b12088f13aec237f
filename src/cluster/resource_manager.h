// The Resource Manager: which host a session goes to. Pure: it is told what there is, and answers
// with a choice and with the reason, host by host. Reserving is another matter (session_table.h).
//
//   filter   what was asked for is there, there is room, it is not draining, not to be avoided
//   score    load, round trip from the device, modules already compiled there, spread or pack; each
//            in [0, 1], higher is better
//   choice   the highest weighted sum; of equal ones the first in an order that is this manager's
//            own: managers that all took the same host would be in each other's way (ledger.h)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "aloft/v1/session.pb.h"

namespace aloft::cluster {

enum class Preference : std::uint8_t {
  spread,  // sessions go apart: a lost host takes few with it
  pack,    // sessions go together: empty hosts can be switched off
};

// A module is compiled at a host once, which takes less than a second, and a host that is lost
// takes all its sessions with it: so `spread` is worth more, and a few sessions go where one is
// already.
struct PlacementWeights {
  double load = 0.3;
  double round_trip = 0.3;
  double compiled = 0.05;
  double spread = 0.35;
};

// What is there. What it points to outlives the question.
struct HostState {
  std::string id;
  const v1::Resources* capacity = nullptr;
  const v1::Resources* reserved = nullptr;  // null: nothing
  const v1::Capabilities* capabilities = nullptr;
  std::span<const std::string* const> compiled;  // digests, sorted
  double load = 0;                               // processors in use over processors there
  bool draining = false;
};

struct PlacementQuestion {
  const v1::Resources* wanted = nullptr;
  const v1::Capabilities* needs = nullptr;
  std::span<const v1::ModuleRef* const> modules;
  const google::protobuf::Map<std::string, std::uint32_t>* round_trip_us = nullptr;
  std::span<const std::string> avoid;
  std::string only;  // a host; empty: any
};

struct PlacementAnswer {
  std::optional<std::string> host;
  v1::PlacementReason reason;  // best first, then those that were refused
  // Why there is none, for people.
  [[nodiscard]] std::string refusal() const;
};

// Sums and comparisons of Resources, where everything has to fit.
[[nodiscard]] bool fits(const v1::Resources& wanted, const v1::Resources* reserved,
                        const v1::Resources& capacity);
void add(v1::Resources& sum, const v1::Resources& more);
// Never below zero.
void subtract(v1::Resources& sum, const v1::Resources& less);

// Thread rule: immutable.
class ResourceManager {
 public:
  // `manager`: its name; empty: of equal hosts the lower name is taken.
  explicit ResourceManager(Preference preference = Preference::spread,
                           PlacementWeights weights = {}, std::string manager = {})
      : preference_(preference), weights_(weights), manager_(std::move(manager)) {}

  [[nodiscard]] PlacementAnswer place(const PlacementQuestion& question,
                                      std::span<const HostState> hosts) const;

 private:
  const Preference preference_;
  const PlacementWeights weights_;
  const std::string manager_;
};

}  // namespace aloft::cluster
