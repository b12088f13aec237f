// The half of Link that reads: from the socket through the inbox to the receiver.
#include <array>
#include <string>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <sys/uio.h>

#include "channel/link.h"
#include "wire/little_endian.h"

namespace aloft::channel {
namespace {

using std::chrono::steady_clock;

// What one visit reads at most before other links have their turn.
constexpr int kReadsPerVisit = 16;

}  // namespace

// The system reads as soon as there is something, without another call that would ask for it.
void Link::wait_readable() {
  const std::span<const iovec> places = inbox_.where();
  std::array<boost::asio::mutable_buffer, 2> buffers;
  wanted_ = 0;
  for (std::size_t i = 0; i < places.size(); ++i) {
    buffers[i] = {places[i].iov_base, places[i].iov_len};
    wanted_ += places[i].iov_len;
  }
  socket_.async_read_some(buffers, [self = shared_from_this()](
                                       const boost::system::error_code& error, std::size_t size) {
    if (self->ended_) return;
    self->visiting_ = true;
    if (!error) {
      self->on_read(size);
    } else if (error == boost::asio::error::eof) {
      self->fail_link({Errc::unreachable, "the peer closed the connection"});
    } else if (error != boost::asio::error::operation_aborted) {
      self->fail_link({Errc::unreachable, "the connection was lost: " + error.message()});
    }
    if (!self->ended_) self->settle();
    self->visiting_ = false;
    if (!self->ended_) self->wait_readable();
  });
}

// From here on no byte goes where the inbox wanted it; it is asked anew. A read that was done
// before is still told.
void Link::stop_reading() {
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Link::on_read(std::size_t size) {
  bool all = size == wanted_;
  if (!understand(size)) return;
  // A read that got less than it wanted has emptied the socket.
  for (int reads = 1; all && reads < kReadsPerVisit; ++reads) {
    const std::span<const iovec> places = inbox_.where();
    const std::size_t wanted =
        places[0].iov_len + (places.size() > 1 ? places[1].iov_len : std::size_t{0});
    const ssize_t count =
        ::readv(socket_.native_handle(), places.data(), static_cast<int>(places.size()));
    // Whatever else this is, the next asynchronous read meets it too.
    if (count <= 0) return;
    all = static_cast<std::size_t>(count) == wanted;
    if (!understand(static_cast<std::size_t>(count))) return;
  }
}

bool Link::understand(std::size_t size) {
  counters_->rx_bytes.fetch_add(size, std::memory_order_relaxed);
  liveness_.heard(steady_clock::now());
  const auto understood = inbox_.received(size);
  if (!ended_ && !understood) fail_peer(understood.error());
  if (!ended_ && closed_by_peer_) fail_link(Error{*closed_by_peer_});
  return !ended_;
}

Result<void> Link::spend_credit(StreamId stream, std::uint64_t body_size) {
  const std::lock_guard lock(granted_mutex_);
  const auto credit = granted_.take(stream, body_size);
  if (credit) return {};
  const std::string where = "message frame on stream " + std::to_string(stream) + ": ";
  if (!credit.error().any) return fail(Errc::protocol, where + "the stream has no credit");
  return fail(Errc::protocol, where + "number is a body of " + std::to_string(body_size) +
                                  " bytes, the largest credit is " +
                                  std::to_string(credit.error().largest));
}

Result<std::span<std::byte>> Link::message_begin(StreamId stream, std::span<const std::byte> head,
                                                 std::uint64_t body_size) {
  if (!receiver_) return fail(Errc::cancelled, "the endpoint is gone");
  auto body = receiver_->on_message_begin(stream, head, body_size);
  if (body && body->size() != body_size) {
    body = fail(Errc::internal, "the receiver gave " + std::to_string(body->size()) +
                                    " bytes of memory for " + std::to_string(body_size));
  }
  if (!body && receiver_ && stream != kControlStream) {
    const std::lock_guard lock(mutex_);
    push_error(wire::FrameType::reset, stream, inbox_.seen(), body.error());
  }
  return body;
}

void Link::message_end(StreamId stream) {
  if (receiver_) receiver_->on_message_end(stream);
}

void Link::message_abandoned(StreamId stream, const Error& why) {
  if (receiver_) receiver_->on_message_abandoned(stream, why);
}

Result<void> Link::got_credit(StreamId stream, std::uint32_t capacity) {
  {
    const std::lock_guard lock(mutex_);
    if (auto added = outbox_.add_credit(stream, capacity); !added) return added;
  }
  if (receiver_) receiver_->on_credit(stream, capacity);
  return {};
}

void Link::got_reset(StreamId stream, std::uint32_t seen, const Error& why) {
  {
    const std::lock_guard lock(mutex_);
    outbox_.drop_begun(stream, seen, why, done_);
    delivering_.swap(done_);
  }
  // on_sent of all that came before on_reset.
  deliver_done();
  if (receiver_) receiver_->on_reset(stream, why);
}

void Link::got_ping(std::span<const std::byte, wire::kPingSize> payload) {
  const std::lock_guard lock(mutex_);
  if (state_ == State::open)
    push_urgent({.type = wire::FrameType::pong, .length = wire::kPingSize}, payload);
}

void Link::got_pong(std::span<const std::byte, wire::kPingSize> payload) {
  const auto sent = static_cast<std::int64_t>(wire::load<std::uint64_t>(payload, 0));
  const std::int64_t sample = steady_clock::now().time_since_epoch().count() - sent;
  constexpr std::int64_t kPlausible = std::chrono::nanoseconds(std::chrono::minutes(1)).count();
  if (sample <= 0 || sample > kPlausible) return;
  const std::int64_t old = counters_->round_trip_ns.load(std::memory_order_relaxed);
  counters_->round_trip_ns.store(old == 0 ? sample : old + (sample - old) / 8,
                                 std::memory_order_relaxed);
}

void Link::got_close(const Error& why) { closed_by_peer_ = why; }

}  // namespace aloft::channel
