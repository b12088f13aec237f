// A place in a simulation: a process that keeps movable ends, as a handler does, and can die.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "agenda.h"
#include "channel/movable_end.h"
#include "contract.h"
#include "network.h"
#include "object.h"
#include "scenario.h"
#include "trace.h"

namespace aloft::sim {

// What all parts of one run share.
struct Stage {
  Random& random;
  const Scenario& scenario;
  Rates& rates;  // nothing goes wrong by itself once these are zero
  Agenda& agenda;
  Contract& contract;
  Trace& trace;
  Network& network;
  std::uint64_t object_seed = 0;
};

class Site {
 public:
  Site(Stage& stage, PlaceIndex place) : stage_(stage), place_(place) {}

  // The one that every channel begins with: here, with the initial state.
  void begin_here(Epoch epoch, const ConnectionPointer& connection);

  void received(const ConnectionPointer& connection, std::uint32_t module,
                channel::EndMessage message);
  // This end has seen that a connection is lost.
  void lost(const ConnectionPointer& connection);
  void crash();
  void restart() { running_ = true; }
  void become_slow(Time until) { slow_until_ = until; }

  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] std::size_t attachments() const { return attachments_.size(); }
  // The application runs a message by itself on the newest attachment.
  [[nodiscard]] Reply run_by_owner(Sequence sequence, std::uint32_t method, const Bytes& body);
  // Of the newest attachment; 0: there is none, or it has no object.
  [[nodiscard]] std::uint64_t state() const;

 private:
  class Attachment;

  void attach(const ConnectionPointer& connection, Epoch epoch, std::uint32_t module,
              channel::EndMessage message);
  void resume(const ConnectionPointer& connection, channel::EndMessage message);
  void drop(Epoch epoch);

  Stage& stage_;
  PlaceIndex place_;
  bool running_ = true;
  std::uint64_t life_ = 1;  // of the process
  Time slow_until_{};
  std::map<Epoch, std::shared_ptr<Attachment>> attachments_;
};

}  // namespace aloft::sim
