#include "network.h"

#include <algorithm>
#include <string>
#include <utility>

namespace aloft::sim {
namespace {

using function::EndStream;
using std::chrono::microseconds;
using std::chrono::milliseconds;

Packet pack(const channel::EndMessage& message, std::uint32_t module, const Scenario& scenario,
            bool attached) {
  function::EndHead head;
  head.message = message;
  head.terms.module_id = module;
  if (scenario.options.has_state) head.terms.object_class = 0;
  head.terms.in_flight = static_cast<std::uint32_t>(scenario.options.in_flight);
  head.terms.has_state = scenario.options.has_state;
  head.terms.has_effects = scenario.options.has_effects;
  head.streams = {.stream = 16, .state_stream = 17};
  Packet packet;
  packet.epoch = message.epoch;
  packet.stream = function::stream_of(message);
  if (!attached && std::holds_alternative<channel::Lost>(message.content))
    packet.stream = EndStream::control;
  packet.head = function::encode(head);
  packet.body = function::body_of(message);
  return packet;
}

}  // namespace

void Network::send(const ConnectionPointer& connection, Connection::Toward toward,
                   std::uint32_t module, const channel::EndMessage& message, bool attached) {
  if (!connection->works(toward)) return;
  Packet packet = pack(message, module, scenario_, attached);
  const bool repeatable = std::holds_alternative<channel::Deliver>(message.content) ||
                          std::holds_alternative<channel::Answer>(message.content) ||
                          std::holds_alternative<channel::Acknowledge>(message.content);
  if (repeatable && random_.chance(scenario_.rates.repeat)) {
    // It takes its turn in its stream, maybe behind what is sent later.
    agenda_.after(random_.skewed(Duration(0), scenario_.delay),
                  [this, connection, toward, module, packet]() mutable {
                    if (connection->works(toward))
                      carry(connection, toward, module, std::move(packet));
                  });
  }
  carry(connection, toward, module, std::move(packet));
}

void Network::carry(const ConnectionPointer& connection, Connection::Toward toward,
                    std::uint32_t module, Packet packet) {
  const std::size_t size = packet.body == nullptr ? 0 : packet.body->size();
  const bool here = connection->place == channel::kHere;
  Duration delay = here ? random_.between(Duration(0), Duration(microseconds(20)))
                        : random_.between(scenario_.delay / 4, scenario_.delay);
  auto& last = connection->last_arrival[static_cast<std::size_t>(toward)];
  // Stream 0 is sent before all others: what is sent after it does not overtake it.
  const auto lane = static_cast<std::size_t>(packet.stream);
  if (!here) delay += milliseconds(1) * size / scenario_.bytes_per_ms + scenario_.lag.at(lane);
  const Time arrival = std::max(
      {agenda_.now() + delay, last[lane], last[static_cast<std::size_t>(EndStream::control)]});
  last[lane] = arrival;
  agenda_.at(arrival, [this, connection, toward, module, packet = std::move(packet)]() mutable {
    arrive(connection, toward, module, std::move(packet));
  });
}

void Network::arrive(const ConnectionPointer& connection, Connection::Toward toward,
                     std::uint32_t module, Packet packet) {
  if (!connection->works(toward)) return;
  const std::size_t size = packet.body == nullptr ? 0 : packet.body->size();
  auto head = function::decode_end(packet.head, size);
  if (!head) {
    broken("a message cannot be read: " + head.error().message);
    return;
  }
  if (packet.body != nullptr) function::put_body(head->message, packet.body);
  if (packet.stream != EndStream::control) head->message.epoch = packet.epoch;
  if (head->message.epoch != packet.epoch) broken("a message arrives with another epoch");
  if (std::holds_alternative<channel::Attach>(head->message.content))
    module = head->terms.module_id;
  (toward == Connection::Toward::place ? at_place : at_device)(connection, module,
                                                               std::move(head->message));
}

}  // namespace aloft::sim
