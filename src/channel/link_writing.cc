// The half of Link that writes: from the outbox to the socket, by whichever thread is there.
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>

#include "channel/link.h"
#include "channel/tcp_gauge.h"
#include "wire/error_text.h"
#include "wire/little_endian.h"

namespace aloft::channel {
namespace {

using std::chrono::steady_clock;

// What one visit does at most before other links have their turn.
constexpr std::size_t kWritesPerVisit = 32;
constexpr int kRoundsPerVisit = 8;
constexpr std::chrono::milliseconds kCountSegments{100};

}  // namespace

void Link::write_some() {
  if (state_ == State::down || broken_ || unwritable_ || blocked_ || shut_) return;
  if (!can_go_on(transport_->flush())) return;
  for (std::size_t writes = 0;; ++writes) {
    const std::span<const iovec> plan = outbox_.plan(room());
    if (plan.empty()) {
      if (outbox_.empty()) break;
      paced_ = true;
      return;
    }
    if (writes == kWritesPerVisit) {
      blocked_ = true;  // not by the kernel: it says at once that there is room
      return;
    }
    const Transport::Moved moved = transport_->write(plan);
    if (moved.bytes > 0) {
      wrote_ = true;
      counters_->tx_bytes.fetch_add(moved.bytes, std::memory_order_relaxed);
      liveness_.sent(steady_clock::now());
      outbox_.wrote(moved.bytes, done_);
    }
    if (!can_go_on(moved.then)) return;
  }
  pace_.idle();
  if (state_ == State::closing) go_on_closing();
}

bool Link::can_go_on(Transport::Then then) {
  switch (then) {
    case Transport::Then::full: return true;
    case Transport::Then::empty:
      blocked_ = true;
      measure();
      return false;
    case Transport::Then::ended:
    case Transport::Then::lost: break;
  }
  // Reading will meet it as well, after all that the peer has said before.
  unwritable_ = true;
  return false;
}

// More waits than the link takes at once: that is when it shows how fast it is.
void Link::measure() {
  const Time now = steady_clock::now();
  if (!pace_.due(now)) return;
  if (const auto reading = read_gauge(socket_)) pace_.waits(now, *reading);
}

Outbox::Room Link::room() {
  if (!pace_.slow()) return {};
  const auto reading = read_gauge(socket_);
  if (!reading) return {};
  if (const Time now = steady_clock::now(); pace_.due(now)) pace_.waits(now, *reading);
  return pace_.room(*reading);
}

// All that was queued is written: the CLOSE comes last, then our FIN.
void Link::go_on_closing() {
  if (!close_queued_) {
    close_queued_ = true;
    push_error(wire::FrameType::close, kControlStream, 0, *close_why_);
    write_some();
    return;
  }
  shut_ = true;
  transport_->end();
}

void Link::push_urgent(const wire::FrameHeader& header, std::span<const std::byte> payload) {
  if (auto queued = outbox_.push_urgent(header, payload); !queued && !broken_)
    broken_ = queued.error();
}

void Link::grant_untold() {
  for (Outbox::Done& done : done_) {
    if (!done.untold) continue;
    push_urgent({.type = wire::FrameType::credit, .stream = done.stream, .number = *done.untold},
                {});
    done.untold.reset();
  }
}

void Link::push_error(wire::FrameType type, StreamId stream, std::uint32_t number,
                      const Error& why) {
  const std::vector<std::byte> payload = wire::pack_error(why);
  push_urgent({.type = type,
               .stream = stream,
               .length = static_cast<std::uint32_t>(payload.size()),
               .number = number},
              payload);
}

void Link::beat_if_due(Time now) {
  if (now < liveness_.ping_due()) return;
  const std::lock_guard lock(mutex_);
  if (state_ == State::open && outbox_.empty()) push_ping(now);
}

void Link::push_ping(Time now) {
  std::array<std::byte, wire::kPingSize> payload;
  wire::store(payload, 0, static_cast<std::uint64_t>(now.time_since_epoch().count()));
  push_urgent({.type = wire::FrameType::ping, .length = wire::kPingSize}, payload);
}

void Link::count_segments(Time now) {
  // A busy link is looked at as seldom as an idle one sends heartbeats.
  if (now < counted_at_ + kCountSegments) return;
  counted_at_ = now;
  const auto count = read_segments(socket_);
  if (!count) return;
  counters_->segments.fetch_add(count->sent - counted_.sent, std::memory_order_relaxed);
  counters_->resent.fetch_add(count->resent - counted_.resent, std::memory_order_relaxed);
  counted_ = *count;
}

bool Link::needs_io_thread() const {
  const auto waits = [](const Outbox::Done& done) { return done.haste == Haste::now; };
  return std::ranges::any_of(done_, waits) || broken_ || (paced_ && !waiting_paced_);
}

void Link::watch_writable() {
  if (!blocked_ || waiting_writable_ || assistant_writes_) return;
  waiting_writable_ = true;
  watch_.write(true);
}

void Link::written(std::unique_lock<std::mutex> lock) {
  // Inside a visit of the I/O thread, more may come before it ends; all of it is then written at
  // once.
  if (visiting()) return;
  write_some();
  wake_if_needed(std::move(lock));
}

void Link::wake_if_needed(std::unique_lock<std::mutex> lock) {
  if (visiting()) return;
  watch_writable();
  if (!needs_io_thread() || wake_posted_) return;
  wake_posted_ = true;
  lock.unlock();
  post_settle();
}

void Link::post_settle() {
  boost::asio::post(io_, [self = shared_from_this()] {
    {
      const std::lock_guard lock(self->mutex_);
      self->wake_posted_ = false;
    }
    self->visit([](Link& link) {
      link.end_if_lost(Reading::nothing);
      if (!link.ended_) link.settle();
    });
  });
}

void Link::settle() {
  for (int round = 0;; ++round) {
    std::optional<Error> broken;
    {
      // Whoever else has the mutex, without the role, writes all that waits, and asks for another
      // visit if there is more to do: see written(). Waiting for it would cost two context
      // switches.
      const std::unique_lock lock(mutex_, std::try_to_lock);
      if (!lock) break;
      write_some();
      broken = broken_;
      if (!broken && done_.empty()) {
        // A thread that assists sees to it when it sleeps.
        if (assistant_.load(std::memory_order_relaxed) != std::this_thread::get_id())
          watch_writable();
        if (paced_ && !waiting_paced_) wait_paced();
        break;
      }
      if (!broken && round == kRoundsPerVisit) {
        if (!std::exchange(wake_posted_, true)) post_settle();
        break;
      }
      delivering_.swap(done_);
    }
    deliver_done();
    if (!ended_ && broken) {
      if (on_io_thread()) {
        fail_link(*broken);
      } else {
        post_settle();
      }
      break;
    }
    if (ended_) break;
  }
}

void Link::deliver_done() {
  // A callback may destroy the endpoint, which empties the list.
  for (std::size_t i = 0; i < delivering_.size() && receiver_; ++i) {
    const Outbox::Done& done = delivering_[i];
    told_ = true;
    receiver_->on_sent(done.stream, done.token, done.outcome);
  }
  delivering_.clear();
}

void Link::wait_paced() {
  waiting_paced_ = true;
  pace_timer_.expires_after(pace_.pause());
  pace_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error) return;
    self->visit([](Link& link) {
      {
        const std::lock_guard lock(link.mutex_);
        link.waiting_paced_ = false;
        link.paced_ = false;
      }
      link.settle();
    });
  });
}

}  // namespace aloft::channel
