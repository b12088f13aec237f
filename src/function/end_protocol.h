// How messages of the ends of elastic channels (channel/end_message.h) travel over an endpoint.
//
// Each is a head and, for some, a body of bulk bytes. Which stream one takes follows from what it
// is: what has no body and may overtake goes on stream 0 and names its end; what has a body, or
// must not overtake one, goes on one of two streams that the handler names in `Attached`, so that a
// large state never delays an answer.
//
//   stream 0        Attach, Acknowledge, SnapshotWanted, Detach ->     <- Attached, Lost (refused)
//   `stream`        Deliver + arguments ->                             <- Answer + result, Lost
//   `state_stream`  Install + blocks ->                                <- State + blocks, Installed
//
// Towards the handler each message on the last two takes a credit, of which it grants as many as it
// lets be under way; stream 0 needs none. What comes for an end or a stream that the receiver does
// not know (any more) is late, no error: it is dropped, but for an Attach, which is answered.
//
// A Lost that comes before Attached, since the end could not be made, is on stream 0; afterwards it
// is on `stream`, behind the answers that were sent before it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "channel/end_message.h"
#include <aloft/result.h>

namespace aloft::function {

// Of one elastic channel, chosen at random by the device: never the same twice.
using EndId = std::array<std::byte, 16>;

// What Attach says beyond the message: with resume as without.
struct AttachTerms {
  std::uint32_t module_id = 0;                  // as OpenModule chose it in this session
  std::optional<std::uint32_t> object_class{};  // index in the guest of the class to make one of
  std::uint32_t in_flight = 1;                  // deliveries that may be unanswered
  std::uint8_t priority = 1;                    // of the answers: 0 bulk, 1 normal, 2 urgent
  bool has_state = false;
  bool has_effects = false;
};

// What Attached says beyond the message. Both are 0 where a resumed end is not known.
struct EndStreams {
  std::uint32_t stream = 0;
  std::uint32_t state_stream = 0;
};

struct EndHead {
  EndId end{};  // of messages on stream 0 and of Lost; all zeros otherwise
  channel::EndMessage message;
  AttachTerms terms{};   // of Attach
  EndStreams streams{};  // of Attached
};

enum class EndStream : std::uint8_t { control, calls, state };
// Where a message goes. Lost goes on `calls`, or on `control` before Attached.
[[nodiscard]] EndStream stream_of(const channel::EndMessage& message);

// Whether a head is one of these: its type begins with "end_". False for what is no map.
[[nodiscard]] bool is_end_head(std::span<const std::byte> head);

// A map {"t": type name, ...fields}; never longer than wire::kMaxHead (a state has at most
// channel::kMaxStateRuns runs of blocks).
[[nodiscard]] std::vector<std::byte> encode(const EndHead& head);
// The body that goes with it; null: none. Never null for Deliver, Answer without error, Install and
// State, though it may be empty.
[[nodiscard]] channel::SharedBytes body_of(const channel::EndMessage& message);

// A message without its body, which is to come with `body_size` bytes. Errors: protocol, saying
// which field was missing, of another type or impossible, or that the body's size does not fit it
// (blocks of a state are checked against its size and the body, so that no head says how much
// memory is taken).
[[nodiscard]] Result<EndHead> decode_end(std::span<const std::byte> head, std::uint64_t body_size);
// Completes a message that decode_end() made; no effect on one without a body.
void put_body(channel::EndMessage& message, channel::SharedBytes body);

// 32 hexadecimal digits, as heads and logs show it.
[[nodiscard]] std::string to_string(const EndId& end);

}  // namespace aloft::function
