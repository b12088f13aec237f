// What the device's side needs of a cluster: placements of its session, and somebody to tell when
// one cannot be used. Behind it is gRPC (device/cluster/), which a program without a cluster does
// not link.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "function/log.h"
#include <aloft/result.h>

namespace aloft::device {

struct ModuleWanted {
  std::string name;
  std::string digest;  // "sha256:..."
};

// Where a session is, and which versions of its modules it runs there. Of two of one session the
// higher generation counts; a session replaces any other one.
struct Placement {
  std::string session;
  std::uint64_t generation = 0;
  std::string host;     // its id
  std::string address;  // HOST:PORT of the Execution Handler
  std::vector<std::byte> ticket;
  std::string
      authority;  // PEM: whose certificate the Execution Handler shows; empty: none, in clear
  // Where they are other versions than those that were asked for, the cluster has decided that
  // (docs/rollout.md). One that is not named is as it was asked for.
  std::vector<ModuleWanted> modules{};

  [[nodiscard]] bool same_place(const Placement& other) const {
    return session == other.session && generation == other.generation;
  }
};

// Told by the client, from its threads; must not block.
class PlacementSink {
 public:
  virtual ~PlacementSink() = default;
  // A place, or a newer ticket for one.
  virtual void on_placement(Placement placement) = 0;
  // There is none, and why: `refused` and `invalid_argument` are what the cluster says of this
  // device, others pass. Told again when it changes.
  virtual void on_no_placement(Error why) = 0;

 protected:
  PlacementSink() = default;
  PlacementSink(const PlacementSink&) = default;
  PlacementSink& operator=(const PlacementSink&) = default;
};

// What becomes of a placement at this device.
enum class PlacementHealth : std::uint8_t {
  in_use,       // calls go there: sessions before it can be closed
  unreachable,  // its host does not answer
  refused,      // its Execution Handler does not take the ticket, or a module
};

// Thread rule: any thread. None of its functions waits for the network, but stop().
class ClusterClient {
 public:
  virtual ~ClusterClient() = default;
  // Once. Opens a session for these modules, in the background, and keeps it. `sink` and `log`
  // outlive stop(). Errors: refused (it has been started before).
  [[nodiscard]] virtual Result<void> start(std::vector<ModuleWanted> modules, PlacementSink& sink,
                                           const function::Log& log) = 0;
  // Tells nothing more, and closes the session; gives up on managers that do not answer at once
  // (within 1 s). More than once is allowed.
  virtual void stop() = 0;
  // What is known now of a placement. One that is of no use is replaced, and another host asked
  // for, until it is in use again.
  virtual void report(const Placement& placement, PlacementHealth health) = 0;

  // PEM: what the device shows to Execution Handlers.
  [[nodiscard]] virtual const std::string& certificate() const = 0;
  [[nodiscard]] virtual const std::string& key() const = 0;
};

}  // namespace aloft::device
