// What waits to be written to one link, and which bytes go next.
//
// Order of what is written: the rest of a frame that is under way; urgent frames (credit, reset,
// ping, pong, close); messages of stream 0; then, of the streams with the most urgent messages, one
// fragment of each in turn. A stream is as urgent as the most urgent message that waits on it,
// since its messages leave in order. Nothing is decided before the kernel has taken the bytes: what
// one call of plan() put behind a short write is planned anew, so that whatever became urgent in
// the meantime overtakes all but the frame under way.
//
// A dropped message whose fragment is under way cannot take that fragment back, as its length has
// been told. Its body bytes are replaced by zeros, so that the caller's buffers are free at once;
// the RESET that follows makes the receiver forget them. A last fragment under way is not dropped:
// it completes its message, which must not end in zeros.
//
// Pure: no socket, no clock, no lock. Thread rule: one at a time (the link has a mutex around it).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include <sys/uio.h>

#include "channel/credit_table.h"
#include "channel/endpoint.h"
#include <aloft/result.h>

namespace aloft::channel {

// Bytes of urgent frames unsent; a peer for which there are more reads nothing.
inline constexpr std::size_t kMaxUrgent = 256 * 1024;
// What a peer may give: unused credits on one stream, and streams that it names in credits.
inline constexpr std::size_t kMaxCreditsPerStream = 64;
inline constexpr std::size_t kMaxCreditStreams = 4096;

class Outbox {
 public:
  // A message that the outbox no longer needs the buffers of.
  struct Done {
    StreamId stream;
    std::uint64_t token;
    std::uint64_t id;  // as push() gave it
    Result<void> outcome;
    std::optional<std::uint32_t> untold{};  // a credit that was to follow it, and did not
    Haste haste = Haste::now;
  };

  explicit Outbox(CreditRule peer_rule);
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox();

  // Queues a message, and answers a number that no other message of this outbox has; errors as
  // Endpoint::send, without `unreachable`.
  [[nodiscard]] Result<std::uint64_t> push(const Outgoing& message);
  // Queues a frame that carries no message. Errors: overloaded beyond kMaxUrgent.
  [[nodiscard]] Result<void> push_urgent(const wire::FrameHeader& header,
                                         std::span<const std::byte> payload = {});
  // The peer grants a credit. Errors: protocol beyond the limits above.
  [[nodiscard]] Result<void> add_credit(StreamId stream, std::uint32_t capacity);

  // Gives up every message on `stream`, but for one whose last fragment is under way; credits of
  // those that had not begun are there again.
  void drop(StreamId stream, const Error& why, std::vector<Done>& done);
  // Gives up the message on `stream` that had begun among the first `seen` ones of this link, if it
  // is unfinished.
  void drop_begun(StreamId stream, std::uint32_t seen, const Error& why, std::vector<Done>& done);
  // Gives up everything; nothing may be planned after.
  void drop_all(const Error& why, std::vector<Done>& done);

  // How much of what is not urgent may be written now, and in fragments of which size: see pace.h.
  struct Room {
    std::size_t bytes = std::numeric_limits<std::size_t>::max();  // 0: none of it
    std::size_t fragment = kMaxFragment;
  };
  // What to write next, in order; empty when nothing waits, or only what there is no room for. The
  // last fragment may go beyond the room. Valid until any other member is called.
  [[nodiscard]] std::span<const iovec> plan(const Room& room);
  [[nodiscard]] std::span<const iovec> plan() { return plan(Room{}); }
  // The kernel took the first `size` bytes of the plan.
  void wrote(std::size_t size, std::vector<Done>& done);

  [[nodiscard]] bool empty() const;
  [[nodiscard]] std::size_t messages() const { return messages_; }

 private:
  // Where in a message's body something is.
  struct Cursor {
    std::uint64_t sent = 0;   // body bytes before it
    std::size_t segment = 0;  // of Message::body
    std::size_t offset = 0;   // in that segment
    void advance(std::span<const std::span<const std::byte>> body, std::size_t size);
  };
  struct Message;
  struct Stream;
  // One frame of a message as it is being written.
  struct Frame {
    Stream* stream = nullptr;
    wire::HeaderBytes header{};
    std::uint32_t head_size = 0;  // bytes of the message's head in it
    std::uint32_t body_size = 0;  // bytes of body in it
    Cursor body;                  // where they start
    bool last = false;            // fragment of its message
    wire::HeaderBytes credit{};   // the frame behind it, if there is one
    std::uint32_t credit_size = 0;
    std::size_t written = 0;  // bytes of all of these that the kernel has
    [[nodiscard]] std::size_t size() const {
      return wire::kHeaderSize + head_size + body_size + credit_size;
    }
  };

  static constexpr std::size_t kMaxSegments = 64;          // of one write
  static constexpr std::size_t kMaxFrames = 16;            // of one write
  static constexpr std::size_t kEnoughBytes = 128 * 1024;  // of one write

  Stream& stream(StreamId id);
  Message* take_message();
  Result<void> take_credit(Message& message);
  void count(Stream& stream, const Message& message, int change);
  void start_plan(Stream& stream);
  bool plan_next(Stream& stream, std::size_t fragment);
  void add_segments(const Frame& frame, const Message& message);
  void add_segment(const std::byte* data, std::size_t size);
  [[nodiscard]] bool room() const;
  std::size_t advance(Frame& frame, std::size_t size, std::vector<Done>& done);
  void finish(Frame& frame, std::vector<Done>& done);
  void pop(Stream& stream);
  void give_up(Message& message, const Error& why, std::vector<Done>& done);
  void give_up_under_way(const Error& why, std::vector<Done>& done);

  CreditRule peer_rule_;
  CreditTable credits_;
  std::unordered_map<StreamId, std::unique_ptr<Stream>> streams_;
  // Those other than 0 that have messages, by priority; the first one of each is next.
  std::array<std::vector<Stream*>, kUrgent + 1> active_;
  std::vector<std::unique_ptr<Message>> storage_;
  Message* free_ = nullptr;
  std::size_t messages_ = 0;
  std::size_t without_credit_ = 0;
  std::uint64_t pushed_ = 0;
  std::uint32_t begun_ = 0;

  std::vector<std::byte> urgent_;
  std::size_t urgent_written_ = 0;
  Frame under_way_;  // stream == nullptr: none

  std::array<iovec, kMaxSegments> segments_{};
  std::size_t segment_count_ = 0;
  std::size_t planned_bytes_ = 0;
  std::size_t planned_urgent_ = 0;
  std::array<Frame, kMaxFrames> planned_{};
  std::size_t planned_count_ = 0;
};

}  // namespace aloft::channel
