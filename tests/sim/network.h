// Connections between the device and its places, as the endpoints of a real link look from above:
// what was sent arrives in order within a stream, or the connection is lost with all that was under
// way. That a connection is lost is seen at each end by itself, and late.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agenda.h"
#include "channel/end_message.h"
#include "function/end_protocol.h"
#include "random.h"
#include "scenario.h"

namespace aloft::sim {

struct Connection {
  enum class Toward : std::uint8_t { place, device };

  PlaceIndex place = 0;
  // What is under way, and all that is sent later, is lost in that direction.
  std::array<bool, 2> dead{};
  // The end that things go towards has not closed it (yet).
  std::array<bool, 2> open{true, true};
  std::array<std::array<Time, 3>, 2> last_arrival{};  // for each stream of function::EndStream

  [[nodiscard]] bool works(Toward toward) const {
    return !dead[static_cast<std::size_t>(toward)] && open[static_cast<std::size_t>(toward)];
  }
};
using ConnectionPointer = std::shared_ptr<Connection>;

// A message as it is on the wire. The epoch of what does not go on stream 0 follows from its
// stream.
struct Packet {
  channel::Epoch epoch = 0;
  function::EndStream stream = function::EndStream::control;
  std::vector<std::byte> head;
  channel::SharedBytes body;
};

class Network {
 public:
  using Arrived = std::function<void(const ConnectionPointer&, std::uint32_t module,
                                     channel::EndMessage message)>;

  Network(const Scenario& scenario, Agenda& agenda, Random& random)
      : scenario_(scenario), agenda_(agenda), random_(random) {}
  // Must be set before the first message; a message that cannot be read is told to `broken`.
  Arrived at_place;
  Arrived at_device;
  std::function<void(const std::string&)> broken;

  // Through the bytes of the real protocol. `attached`: false for what comes before Attached.
  void send(const ConnectionPointer& connection, Connection::Toward toward, std::uint32_t module,
            const channel::EndMessage& message, bool attached = true);

 private:
  void carry(const ConnectionPointer& connection, Connection::Toward toward, std::uint32_t module,
             Packet packet);
  void arrive(const ConnectionPointer& connection, Connection::Toward toward, std::uint32_t module,
              Packet packet);

  const Scenario& scenario_;
  Agenda& agenda_;
  Random& random_;
};

}  // namespace aloft::sim
