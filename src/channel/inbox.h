// Takes the bytes of one link apart: says where the next ones go, and tells a sink what has
// arrived.
//
// Headers, heads and the payloads of small frames are read into the inbox's own memory and parsed
// only there. The body of a message goes straight into the memory that the sink named for it, up to
// the end of the fragment; the same read takes the next header along, or, where the message ends,
// up to kReadAhead bytes of what follows. Only body bytes that came along in such a read-ahead are
// copied once more.
//
// Everything that a peer may send is either understood or a protocol error that names the frame's
// field; memory that a peer can make the inbox hold is bounded by the credits given to it and by
// kMaxUnfinished.
//
// Pure: no socket, no clock, no lock. Thread rule: one at a time (the I/O thread).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <sys/uio.h>

#include "channel/endpoint.h"
#include <aloft/result.h>

namespace aloft::channel {

// Messages under way at one time, on as many streams.
inline constexpr std::size_t kMaxUnfinished = 1024;

class Inbox {
 public:
  // Told what arrives, in order. Any call may give up or stop the inbox.
  class Sink {
   public:
    virtual ~Sink() = default;
    // A message begins that needs a credit: takes it out of those that were granted. Errors:
    // protocol, there is none.
    virtual Result<void> spend_credit(StreamId stream, std::uint64_t body_size) = 0;
    // As Receiver::on_message_begin. After an Error nothing more is told of the message; the sink
    // resets the stream.
    virtual Result<std::span<std::byte>> message_begin(StreamId stream,
                                                       std::span<const std::byte> head,
                                                       std::uint64_t body_size) = 0;
    virtual void message_end(StreamId stream) = 0;
    virtual void message_abandoned(StreamId stream, const Error& why) = 0;
    virtual Result<void> got_credit(StreamId stream, std::uint32_t capacity) = 0;
    // The peer gave up what it sends on `stream`, and wants our message there given up if it began
    // among the first `seen` ones of this link. message_abandoned came before.
    virtual void got_reset(StreamId stream, std::uint32_t seen, const Error& why) = 0;
    virtual void got_ping(std::span<const std::byte, wire::kPingSize> payload) = 0;
    virtual void got_pong(std::span<const std::byte, wire::kPingSize> payload) = 0;
    virtual void got_close(const Error& why) = 0;
  };

  // `sink` must outlive the inbox.
  Inbox(CreditRule rule, aloft::Bytes max_body, Sink& sink);

  // Where the next bytes go; never empty. Valid until received(); where give_up() or stop() comes
  // between, a read that has not begun yet must not begin, and one that is done is still told to
  // received().
  [[nodiscard]] std::span<const iovec> where();
  // The first `size` bytes of where() are there. Errors: protocol; the link is of no use then.
  [[nodiscard]] Result<void> received(std::size_t size);

  // Drops the message under way on `stream`, if it began among the first `seen` ones: the sink is
  // told, and what still comes of it goes nowhere.
  void give_up(StreamId stream, std::uint32_t seen, const Error& why);
  // The same for all streams.
  void give_up_all(const Error& why);
  // Nothing is told and no memory of others is written any more.
  void stop();

  // How many messages have begun on this link, modulo 2^32. Any thread.
  [[nodiscard]] std::uint32_t seen() const { return seen_; }

 private:
  struct Incoming {
    StreamId stream;
    std::span<std::byte> body;
    std::uint64_t body_size;
    std::uint64_t received;
    std::uint32_t ordinal;  // among all messages of the link, from 1
    bool given_up;          // its bytes go nowhere, nobody is told
  };

  [[nodiscard]] Result<void> parse();
  [[nodiscard]] Result<bool> parse_one();
  [[nodiscard]] Result<void> begin_fragment();
  [[nodiscard]] Result<void> begin_message();
  [[nodiscard]] Result<void> take_credit(std::uint64_t body_size);
  [[nodiscard]] Result<void> finish_small_frame(std::span<const std::byte> payload);
  void take_body(std::size_t size);
  void end_fragment();
  [[nodiscard]] Incoming* find(StreamId stream);
  void forget(StreamId stream);
  // Bytes that have to be in the buffer before anything can be done.
  [[nodiscard]] std::size_t needed() const;
  [[nodiscard]] std::size_t buffered() const { return buffer_end_ - buffer_begin_; }

  static constexpr std::size_t kReadAhead = 4096;  // bytes
  static constexpr std::size_t kBuffer = wire::kHeaderSize + kMaxHead;

  CreditRule rule_;
  aloft::Bytes max_body_;
  Sink& sink_;
  bool stopped_ = false;
  std::atomic<std::uint32_t> seen_{0};
  std::vector<Incoming> incoming_;  // few at a time

  std::optional<wire::FrameHeader> header_;  // of the frame under way
  bool in_body_ = false;                     // what comes next are body bytes
  std::size_t current_ = 0;                  // in incoming_, while in_body_
  std::size_t body_left_ = 0;                // of this fragment, while in_body_

  std::array<std::byte, kBuffer> buffer_;
  std::size_t buffer_begin_ = 0;
  std::size_t buffer_end_ = 0;
  std::array<iovec, 2> places_{};
  std::size_t direct_ = 0;  // of what where() gave: bytes of body, at their place
};

}  // namespace aloft::channel
