// The half of Link that reads: from the socket through the inbox to the receiver.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>
#include <poll.h>
#include <sched.h>
#include <sys/uio.h>
#include <unistd.h>

#include "channel/link.h"
#include "wire/little_endian.h"

namespace aloft::channel {
namespace {

using std::chrono::steady_clock;

// What one visit reads at most before other links have their turn.
constexpr int kReadsPerVisit = 16;

constexpr std::chrono::microseconds kResume{300};

const std::thread::id kNobody{};

}  // namespace

// Waits, for ever, for what the watch is told to look for.
void Link::wait_socket() {
  watch_.wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error) return;  // closed
    self->visit([](Link& link) {
      link.on_socket();
      if (!link.ended_) link.settle();
      if (!link.ended_) link.wait_socket();
    });
  });
}

void Link::on_socket() {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_writable_) {
      waiting_writable_ = false;
      blocked_ = false;
      watch_.write(false);
    }
  }
  if (assistant_.load(std::memory_order_relaxed) == kNobody) read_on();
}

// What is left for another visit may be in the transport, where the watch does not see it.
void Link::read_on() {
  const Reading reading = read_some();
  if (reading == Reading::more) {
    boost::asio::post(io_, [self = shared_from_this()] {
      self->visit([](Link& link) {
        if (link.assistant_.load(std::memory_order_relaxed) == kNobody) link.read_on();
        if (!link.ended_) link.settle();
      });
    });
  }
  end_if_lost(reading);
}

Link::Reading Link::read_some() {
  if (violation_ || closed_by_peer_) return Reading::broken;
  for (int reads = 0; reads < kReadsPerVisit; ++reads) {
    const Transport::Moved moved = transport_->read(inbox_.where());
    if (moved.bytes > 0 && !understand(moved.bytes)) return Reading::broken;
    switch (moved.then) {
      case Transport::Then::full: break;
      case Transport::Then::empty: return Reading::nothing;
      case Transport::Then::ended: lost_ = "the peer closed the connection"; return Reading::lost;
      case Transport::Then::lost:
        lost_ = "the connection was lost: " + transport_->why();
        return Reading::lost;
    }
  }
  return Reading::more;
}

// False: nothing more is to be read.
bool Link::understand(std::size_t size) {
  counters_->rx_bytes.fetch_add(size, std::memory_order_relaxed);
  liveness_.heard(steady_clock::now());
  read_ = true;
  if (auto understood = inbox_.received(size); !understood)
    violation_ = std::move(understood).error();
  return !ended_ && !violation_ && !closed_by_peer_;
}

void Link::end_if_lost(Reading reading) {
  if (ended_) return;
  if (violation_) return fail_peer(Error{*violation_});
  if (closed_by_peer_) return fail_link(Error{*closed_by_peer_});
  if (reading == Reading::lost) fail_link({Errc::unreachable, lost_});
}

// --- a thread that assists ---

bool Link::assist(const std::atomic<bool>& done, Time until) {
  // Who is turned away does not stand in the way of who reads, nor of heartbeats.
  if (assistant_.load(std::memory_order_relaxed) != kNobody) return false;
  {
    const Visit visit(*this);
    if (ended_ || !started_ || assistant_.load(std::memory_order_relaxed) != kNobody) return false;
    assistant_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    watch_.read(false);
    // Those without haste may not have been told yet.
    settle();
  }
  // Whoever sets `done` from now on finds an assistant to nudge; or this thread finds it set.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Look last;
  while (!done.load(std::memory_order_acquire) && !last.ended) {
    // The end of the link is for the I/O thread, which comes to the same.
    if (last.reading == Reading::lost || last.reading == Reading::broken) break;
    if (steady_clock::now() >= until) break;
    last = last.reading == Reading::more ? look() : look_or_sleep(done, until);
  }
  const Visit visit(*this);
  assistant_.store(kNobody, std::memory_order_relaxed);
  if (ended_) return true;
  assisted_until_ = steady_clock::now();
  bool resuming = false;
  {
    const std::lock_guard lock(mutex_);
    watch_writable();
    resuming = std::exchange(resuming_, true);
  }
  if (!resuming) resume_soon();
  if (last.reading == Reading::nothing) return true;
  boost::asio::post(
      io_, [self = shared_from_this()] { self->visit([](Link& link) { link.read_on(); }); });
  return true;
}

Link::Look Link::look() {
  const Visit visit(*this);
  if (ended_) return {.ended = true};
  bool writes = false;
  {
    const std::lock_guard lock(mutex_);
    wrote_ = false;
    assistant_writes_ = false;
    writes = std::exchange(blocked_, false);
    if (std::exchange(waiting_writable_, false)) watch_.write(false);
  }
  read_ = false;
  const Reading reading = read_some();
  if (read_) beat_if_due(liveness_.last_heard());
  if (read_ || writes) settle();
  const std::lock_guard lock(mutex_);
  return {.reading = reading, .moved = read_ || wrote_, .ended = ended_};
}

Link::Look Link::look_or_sleep(const std::atomic<bool>& done, Time limit) {
  const Time begun = steady_clock::now();
  const Time look_until = std::min(limit, begun + patience_.begin());
  Look last;
  for (Time now = begun; now < look_until; now = steady_clock::now()) {
    last = look();
    if (last.moved || last.ended || last.reading != Reading::nothing) break;
    if (done.load(std::memory_order_acquire)) return last;
    // Whoever else has work for this processor may be who it is that this thread waits for.
    ::sched_yield();
  }
  if (!last.moved && !last.ended && last.reading == Reading::nothing) {
    sleep(limit);
    last = look();
  }
  const auto waited = steady_clock::now() - begun;
  if (last.moved || waited > patience_.most()) patience_.end(waited);
  return last;
}

void Link::sleep(Time until) {
  int socket = -1;
  short wanted = POLLIN;
  {
    // With the role: a settle() that finds the mutex taken counts on what has it to write.
    const Visit visit(*this);
    const std::lock_guard lock(mutex_);
    if (state_ == State::down) return;
    socket = socket_;
    assistant_writes_ = blocked_;
    if (blocked_) wanted |= POLLOUT;
    if (blocked_ && std::exchange(waiting_writable_, false)) watch_.write(false);
  }
  const auto left = std::max(until - steady_clock::now(), Time::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec time{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
  // Where the link ends meanwhile, the number may be another's; nothing but time comes of that.
  std::array<pollfd, 2> waiting{{{socket, wanted, 0}, {nudge_, POLLIN, 0}}};
  (void)::ppoll(waiting.data(), waiting.size(), &time, nullptr);
  if (waiting[1].revents != 0) {
    std::uint64_t nudges = 0;
    (void)!::read(nudge_, &nudges, sizeof nudges);
  }
}

// Who assists mostly does so again at once, as one call follows another. What comes in between (a
// credit, say) is then read along with what that one waits for, and wakes nobody; so the I/O thread
// takes the reading over a moment later, and looks whether it has to only that often.
void Link::resume_soon() {
  resume_timer_.expires_after(kResume);
  resume_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error) return;
    {
      // With the mutex, whatever it takes: who holds it may just be putting more there; and who
      // assists looks in it, as it leaves, whether it has to call resume_soon().
      std::unique_lock lock(self->mutex_);
      if (self->assistant_.load(std::memory_order_relaxed) != kNobody) {
        self->resuming_ = false;
        // What had no haste has waited long enough.
        return self->written(std::move(lock));
      }
    }
    self->visit([](Link& link) { link.resume(); });
  });
}

void Link::resume() {
  const bool again = assistant_.load(std::memory_order_relaxed) == kNobody &&
                     steady_clock::now() - assisted_until_ < kResume;
  {
    const std::lock_guard lock(mutex_);
    resuming_ = again;
    write_some();
  }
  settle();
  if (ended_ || assistant_.load(std::memory_order_relaxed) != kNobody) return;
  if (again) {
    resume_soon();
  } else {
    watch_.read(true);
  }
}

void Link::nudge() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const std::thread::id assistant = assistant_.load(std::memory_order_relaxed);
  if (assistant == kNobody || assistant == std::this_thread::get_id()) return;
  const std::uint64_t one = 1;
  (void)!::write(nudge_, &one, sizeof one);
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
  told_ = true;
  if (receiver_) receiver_->on_message_end(stream);
}

void Link::message_abandoned(StreamId stream, const Error& why) {
  told_ = true;
  if (receiver_) receiver_->on_message_abandoned(stream, why);
}

Result<void> Link::got_credit(StreamId stream, std::uint32_t capacity) {
  {
    const std::lock_guard lock(mutex_);
    if (auto added = outbox_.add_credit(stream, capacity); !added) return added;
  }
  told_ = true;
  if (receiver_) receiver_->on_credit(stream, capacity);
  return {};
}

void Link::got_reset(StreamId stream, std::uint32_t seen, const Error& why) {
  {
    const std::lock_guard lock(mutex_);
    outbox_.drop_begun(stream, seen, why, done_);
    grant_untold();
    delivering_.swap(done_);
  }
  // on_sent of all that came before on_reset.
  deliver_done();
  told_ = true;
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
