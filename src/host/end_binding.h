// A movable end on one session: the two streams that its messages take, the buffers that these are
// received into, and the bodies that leave.
//
//   endpoint --- begin, end, sent (I/O thread) ---> EndBinding --- received ---> the end
//   endpoint <-- send, grant -------------------- EndBinding <-- transmit ---- the end
//
// An end outlives its sessions and has one binding at a time, so that what is late on an earlier
// one is told from what counts: a binding that was let go of passes nothing on. It lives on in its
// session until the endpoint uses no memory of its any more.
//
// Credits are granted when `Attached` has left and not before: a credit may overtake a message that
// waits for the kernel, and the UE learns from Attached which streams it is about.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "channel/endpoint.h"
#include "function/end_protocol.h"
#include "host/held_bytes.h"
#include <aloft/result.h>

namespace aloft::host {

// One attachment of one elastic channel. Whoever knows the id (128 random bits) may speak for it.
struct EndKey {
  function::EndId end{};
  channel::Epoch epoch = 0;
  auto operator<=>(const EndKey&) const = default;
};
[[nodiscard]] std::string to_string(const EndKey& key);

class EndBinding;

// The end behind a binding. I/O thread; must not block.
class BoundEnd {
 public:
  virtual void received(EndBinding& from, channel::EndMessage message) = 0;
  // The binding cannot keep the order of messages any more: this attachment is over.
  virtual void broken(EndBinding& from, const Error& why) = 0;
  // Its link is gone. False: the end has another binding by now.
  [[nodiscard]] virtual bool unbind(const EndBinding& from) = 0;

 protected:
  ~BoundEnd() = default;
};

class EndBinding {
 public:
  struct Terms {
    EndKey key;
    function::EndStreams streams;
    std::uint32_t deliveries = 1;              // credits on `streams.stream`
    std::uint64_t delivery_size = 0;           // bytes of one body there
    std::uint64_t state_size = 0;              // bytes of one body on the other
    std::uint8_t priority = channel::kNormal;  // of what is not a state
    bool resumed = false;                      // made for an end that is to be known
  };
  // `endpoint` is used until the end lets go of the binding or calls no more; `held` outlives it.
  EndBinding(channel::Endpoint& endpoint, Terms terms, HeldBytes& held,
             std::shared_ptr<BoundEnd> end);

  [[nodiscard]] const EndKey& key() const { return terms_.key; }
  [[nodiscard]] const function::EndStreams& streams() const { return terms_.streams; }

  // Whose a token of the endpoint is that on_sent gives back for stream 0, where all ends send: the
  // `stream` of the binding; 0: nobody's.
  [[nodiscard]] static channel::StreamId sender_of(std::uint64_t token) {
    return static_cast<channel::StreamId>(token >> 32U);
  }

  // --- I/O thread; `stream` is one of the two ------------------------------------------
  [[nodiscard]] Result<std::span<std::byte>> begin(channel::StreamId stream,
                                                   std::span<const std::byte> head,
                                                   std::uint64_t body_size);
  void end(channel::StreamId stream);
  void abandon(channel::StreamId stream);
  void reset(const Error& why);
  void sent(std::uint64_t token);
  // What came for it on stream 0.
  void control(channel::EndMessage message);
  // The link is gone. Whether the end is without one now.
  [[nodiscard]] bool down();
  // Released, and the endpoint has none of its memory.
  [[nodiscard]] bool idle() const;

  // --- any thread, one at a time: the end ---------------------------------------------
  // A link that is down drops it; so does one that is full, which ends.
  void transmit(const channel::EndMessage& message);
  // A line for the caller's log: the head of a function::GuestLog.
  void send_line(std::span<const std::byte> head);
  // Passes nothing on from here on. Any thread.
  void release();

 private:
  struct Incoming {
    channel::EndMessage message;
    std::shared_ptr<channel::Bytes> body;  // null: nothing is coming in
  };
  struct Leaving {
    std::uint64_t token = 0;
    channel::SharedBytes body;
    bool attached = false;
  };

  [[nodiscard]] std::shared_ptr<BoundEnd> bound() const;
  [[nodiscard]] Incoming& incoming(channel::StreamId stream);
  // Gives the peer back the credit that a message took.
  void grant(channel::StreamId stream);
  void grant_all();
  void break_off(const Error& why);

  channel::Endpoint& endpoint_;
  const Terms terms_;
  HeldBytes& held_;
  std::array<Incoming, 2> incoming_;  // on `stream`, on `state_stream`; I/O thread
  bool attached_ = false;             // said so; the end's thread

  mutable std::mutex mutex_;
  std::shared_ptr<BoundEnd> end_;  // null: released
  std::vector<Leaving> leaving_;
  std::uint32_t last_token_ = 0;
};

}  // namespace aloft::host
