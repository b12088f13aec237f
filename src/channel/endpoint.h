// An elastic channel's endpoint: messages with a small head and a bulk body, over a link that may
// come and go.
//
// A message is a `head` (parsed by the host, at most kMaxHead bytes) and a `body` (bulk bytes, up
// to 4 GiB - 1). Bodies are sent gathered from the caller's own buffers and received straight into
// memory that the receiver names when the message begins, in fragments of at most 64 KiB, so that a
// small urgent message never waits behind a frame. Heads never share memory with bodies: a body may
// land in a guest's memory, which the guest can write at any time.
//
// Streams: messages of one stream arrive in the order they were sent. Stream 0 (control) goes
// first; then strictly what is more urgent (Outgoing::priority); streams of one priority share the
// link fairly, fragment by fragment. On a link slower than what is sent, at most a few milliseconds
// of less urgent bytes are ahead of an urgent message (pace.h). Stream 0 always has
// credit for small messages. On any other stream towards a peer with CreditRule::required, each
// message uses up one credit that the peer granted: the oldest one whose capacity holds the
// message's body. Both ends apply that rule, so both know which credit is gone.
//
// A link that is lost takes everything with it: messages under way, streams and credits start again
// with the next one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/units.h"
#include "wire/frame.h"
#include "wire/greeting.h"
#include <aloft/result.h>

namespace aloft::channel {

class TlsContext;

using wire::kControlStream;
using wire::kMaxControlBody;
using wire::kMaxFragment;
using wire::kMaxHead;
using wire::StreamId;

// How many messages without credit (stream 0, or towards CreditRule::not_required) one link holds
// unsent before send() says `overloaded`.
inline constexpr std::size_t kMaxUnsentWithoutCredit = 1024;

// Whether the peer needs a credit for each message that it sends to this end; told to the peer in
// the handshake.
using wire::CreditRule;

// What an endpoint tells its owner. All calls come from the endpoint's I/O thread or from one that
// assists it (Endpoint::assist), one at a time, and must not block. Inside any of them the owner
// may call the endpoint; inside one on the I/O thread it may destroy it, and so may an owner that
// never assists.
class Receiver {
 public:
  virtual ~Receiver() = default;

  // A message begins. Answers where its body goes: exactly `body_size` bytes, written by the
  // endpoint until on_message_end or on_message_abandoned for this stream; an empty span for a
  // body_size of 0. `head` is valid during the call only. An Error makes the endpoint drop the body
  // and reset the stream towards the peer with that error (not stream 0, which has no reset); no
  // further call comes for that message.
  virtual Result<std::span<std::byte>> on_message_begin(StreamId stream,
                                                        std::span<const std::byte> head,
                                                        std::uint64_t body_size) = 0;
  virtual void on_message_end(StreamId stream) = 0;
  // The body will not be completed: the link went down, or either end reset the stream. The memory
  // is the owner's again.
  virtual void on_message_abandoned(StreamId stream, const Error& why) = 0;
  // The peer grants one more message on `stream`, body up to `capacity` bytes.
  virtual void on_credit(StreamId stream, std::uint64_t capacity) = 0;
  // The peer called reset() on `stream`, or answered our message there with an Error. What was
  // under way on the stream in either direction has been told before by on_message_abandoned and
  // on_sent.
  virtual void on_reset(StreamId stream, const Error& why) = 0;
  // The endpoint no longer reads the buffers of a message sent with `token`: its last byte went to
  // the kernel, or it was dropped (the error says why). Called exactly once for each send() that
  // succeeded, possibly before send() returns when that is called from another thread; in the order
  // of the sends within one stream.
  virtual void on_sent(StreamId stream, std::uint64_t token, const Result<void>& outcome) = 0;
  // Handshake done (first time or after a reconnect). `peer_hello` is what the peer gave as
  // EndpointOptions::hello, valid during the call only.
  virtual void on_up(std::span<const std::byte> peer_hello) = 0;
  // The link is gone, or an attempt to make one failed. Everything unsent or unfinished is gone
  // with it (on_sent and on_message_abandoned were called with this error before). `last_heard` is
  // when the last byte of the peer came; the clock's epoch if none did.
  //   unreachable       no connection, FIN, RST, silence, connect_timeout; tried again
  //   protocol          the peer broke the protocol, or speaks another one; tried again
  //   version_mismatch  no common wire version; final
  //   refused           by the peer's Acceptor or close(); final
  //   any other code    what the peer gave in its Acceptor's Error or close(); tried again
  // "Tried again" by an endpoint that connects; the other side's stays down. After close() of this
  // end it comes once more, with the error that close() was given, and is final.
  virtual void on_down(const Error& why, std::chrono::steady_clock::time_point last_heard) = 0;
};

// Priorities. A stream is as urgent as the most urgent message that waits on it: give what has to
// overtake a stream of its own.
inline constexpr std::uint8_t kBulk = 0;    // states, models
inline constexpr std::uint8_t kNormal = 1;  // calls
inline constexpr std::uint8_t kUrgent = 2;  // small messages that somebody waits for

// Whether a message may wait a moment for more to be sent, so that one write does for both.
enum class Haste : std::uint8_t {
  none,  // the endpoint waits for the next message, 300 us at the longest; only send_quietly()
  now,
};

// One message to send. `head` is copied; `body` is not: its buffers stay untouched until
// on_sent(token).
struct Outgoing {
  StreamId stream = kControlStream;
  std::span<const std::byte> head;
  std::span<const std::span<const std::byte>> body;  // the list is copied, the bytes are not
  std::uint64_t token = 0;                           // the caller's own, handed back by on_sent
  std::uint8_t priority = kNormal;                   // kBulk, kNormal, kUrgent
  // Grants a credit on `stream` as grant() does, behind the message's last byte: in the same write,
  // and never before the endpoint has read the body. Also where the message is dropped; not where
  // sending it was refused.
  std::optional<std::uint64_t> then_grant{};
  Haste haste = Haste::now;
};

// What became of a message by the time that send_quietly() returns.
enum class Sending {
  done,       // the kernel has all of it: its buffers are the caller's again, on_sent does not come
  under_way,  // on_sent will tell
};

struct EndpointOptions {
  // A MessagePack map shown to the peer in the handshake, at most wire::kMaxHello bytes.
  std::vector<std::byte> hello{};
  // Of a side that connects: asked for `hello` anew before each handshake, for what changes from
  // one to the next. On the I/O thread; must not block.
  std::function<std::vector<std::byte>()> make_hello{};
  // Stream 0 needs no credit under either rule.
  CreditRule receive = CreditRule::required;
  // Of a received message on any stream but 0.
  aloft::Bytes max_body = 256_MiB;
  // A ping is sent when nothing else was for so long.
  std::chrono::milliseconds heartbeat{50};
  // A peer that was silent for so long is dead; longer by what this end itself slept (liveness.h).
  std::chrono::milliseconds dead_after{200};
  // TCP and handshake together; for a listener, the handshake.
  std::chrono::milliseconds connect_timeout{1000};
  // Before the first attempt after a loss; doubles up to 750 ms until a handshake succeeds.
  std::chrono::milliseconds reconnect_delay{100};
  // A thread that assists looks for bytes for so long before it sleeps, where they mostly come that
  // soon (patience.h). 0: it sleeps at once.
  std::chrono::microseconds look{100};
  // With it (tls.h) the link is TLS 1.3 and nothing else; without it, in clear and nothing else.
  std::shared_ptr<const TlsContext> tls{};
};

// On the link after its handshake, headers included, over all connections.
struct EndpointStats {
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_bytes = 0;
  std::chrono::nanoseconds round_trip{};  // smoothed, from heartbeats; 0 until the first
  // TCP's, as the kernel counts them, looked at with each heartbeat; 0 where it does not say.
  std::uint64_t segments = 0;  // sent
  std::uint64_t resent = 0;    // of these: sent anew
};

// Thread rule: any thread. Destroying it from a thread other than its I/O thread waits for a
// running callback; no callback comes after, buffers of unsent messages are not read after, and
// on_sent does not come for those.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  // Queues a message, and hands to the kernel at once what it takes. Never waits for the peer.
  // Errors (nothing is sent then, on_sent is not called):
  //   unreachable         the link is down or closing
  //   invalid_argument    a head longer than kMaxHead; a body longer than 4 GiB - 1, or on stream 0
  //                       longer than kMaxControlBody
  //   overloaded          no credit is left on this stream, or kMaxUnsentWithoutCredit wait already
  //   resource_exhausted  there is credit, but none of a capacity as large as the body
  [[nodiscard]] virtual Result<void> send(const Outgoing& message) = 0;
  // As send(), for a caller that can go on by itself: where the kernel took all of the message
  // within this call, the I/O thread is not woken to say so.
  [[nodiscard]] virtual Result<Sending> send_quietly(const Outgoing& message) = 0;
  // Lets the peer send one more message on `stream` (not 0) with a body of up to `capacity` bytes
  // (below 4 GiB). No effect while the link is down.
  virtual void grant(StreamId stream, std::uint64_t capacity) = 0;
  // Gives up every message that this end has queued or under way on `stream` (not 0; on_sent comes
  // with `why`), but for one whose last fragment the kernel has begun to take, and the one that the
  // peer has under way to us (on_message_abandoned). The peer hears on_reset(stream, why). Credits
  // that no message has used yet stay, in both directions. No effect while the link is down.
  virtual void reset(StreamId stream, const Error& why) = 0;
  // Sends what is queued, then ends the link for good; the peer is told `why`. Gives up after 2 s.
  // Destroying the endpoint right after close() still tells the peer, unless messages are unsent.
  virtual void close(const Error& why) = 0;
  [[nodiscard]] virtual EndpointStats stats() const = 0;

  // For a thread that waits for something that a message brings: it reads the link itself, in place
  // of the I/O thread, and calls the receiver, until `done` is set. That spares the wait for a
  // second thread to wake up. Returns after `done` was set (by a callback in here, or by another
  // thread followed by nudge()), at `until`, or when the I/O thread is needed; false at once, with
  // nothing done, when another thread assists already or the link is down. The caller looks
  // whether it is done, and waits otherwise. Not from a callback, nor while the endpoint is being
  // destroyed.
  [[nodiscard]] virtual bool assist(const std::atomic<bool>& done,
                                    std::chrono::steady_clock::time_point until) {
    (void)done;
    (void)until;
    return false;
  }
  // Has a thread inside assist() look at its `done`. Cheap when there is none.
  virtual void nudge() {}
};

}  // namespace aloft::channel
