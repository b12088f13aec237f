#include "channel/link.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/error_text.h"

namespace aloft::channel {
namespace {

using std::chrono::steady_clock;

constexpr int kUnsentInKernel = 128 * 1024;  // bytes
constexpr std::chrono::seconds kCloseTimeout{2};

// A peer counts as dead this much before its time is over, so that the last look at the socket and
// a timer that is a little late still fall within it.
constexpr std::chrono::milliseconds kMargin{5};
constexpr std::chrono::milliseconds kLastLook{1};

// When a heartbeat looks again that found somebody at writing.
constexpr std::chrono::milliseconds kBeatAgain{1};

// Asio waits for it no more.
int release(Socket& socket) {
  boost::system::error_code error;
  socket.native_non_blocking(true, error);
  return socket.release(error);
}

void set_option(int socket, int level, int name, int value) {
  // Without them the link is slower, and works.
  (void)::setsockopt(socket, level, name, &value, sizeof value);
}

}  // namespace

Link::Link(boost::asio::io_context& io, Connection connection, const EndpointOptions& options,
           CreditRule peer_rule, Receiver& receiver, LinkOwner& owner,
           std::shared_ptr<LinkCounters> counters)
    : io_(io),
      socket_(release(connection.socket)),
      transport_(connection.tls ? std::move(connection.tls) : plain_transport(socket_)),
      watch_(io, socket_),
      timer_(io),
      beat_timer_(io),
      pace_timer_(io),
      resume_timer_(io),
      receiver_(&receiver),
      owner_(&owner),
      counters_(std::move(counters)),
      inbox_(options.receive, options.max_body, *this),
      patience_(options.look),
      outbox_(peer_rule),
      liveness_(options.heartbeat, std::max(options.dead_after - kMargin, kMargin),
                steady_clock::now()) {
  set_option(socket_, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(socket_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentInKernel);
}

Link::~Link() {
  close_socket();
  ::close(nudge_);
}

void Link::close_socket() {
  watch_.close();
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

bool Link::on_io_thread() const { return io_.get_executor().running_in_this_thread(); }

Link::Visit::Visit(Link& link) : link_(link.visiting() ? nullptr : &link) {
  if (!link_) return;
  if (link_->on_io_thread()) {
    link_->role_.take_first();
  } else {
    link_->role_.take();
  }
  link_->told_ = false;
}

Link::Visit::Visit(Link& link, std::adopt_lock_t) : link_(&link) { link_->told_ = false; }

Link::Visit::~Visit() {
  if (!link_) return;
  const bool told = link_->told_;
  const bool io_thread_comes = link_->role_.give_back();
  // What it waits for may have been told, here or by whoever assisted before.
  if (told) link_->nudge();
  if (io_thread_comes)
    boost::asio::post(link_->io_, [self = link_->shared_from_this()] { self->visit_waiting(); });
}

void Link::visit_waiting() {
  std::vector<Role::Task> tasks;
  if (!role_.try_take_for(tasks)) return;
  {
    const Visit visit(*this, std::adopt_lock);
    for (const Role::Task& task : tasks) {
      if (!ended_) task(*this);
    }
  }
  role_.let_others();
}

// --- what endpoints ask for ---

Result<std::uint64_t> Link::push(const Outgoing& message) {
  auto id = outbox_.push(message);
  if (id && message.then_grant && message.stream != kControlStream) {
    // Before any of it is written, and the peer can know of it.
    const std::lock_guard lock(granted_mutex_);
    granted_.add(message.stream, std::min(*message.then_grant, wire::kMaxBody));
  }
  return id;
}

Result<void> Link::send(const Outgoing& message) {
  std::unique_lock lock(mutex_);
  if (state_ != State::open) return fail(Errc::unreachable, "the link is down or closing");
  const auto id = push(message);
  written(std::move(lock));
  if (!id) return std::unexpected(id.error());
  return {};
}

Result<Sending> Link::send_quietly(const Outgoing& message) {
  std::unique_lock lock(mutex_);
  if (state_ != State::open) return fail(Errc::unreachable, "the link is down or closing");
  const auto id = push(message);
  // What waits is written with the next message, or when the I/O thread looks.
  const bool held = id && message.haste == Haste::none && resuming_ && !blocked_;
  if (!visiting() && !held) write_some();
  const std::size_t told =
      !id ? 0 : std::erase_if(done_, [&](const Outbox::Done& done) { return done.id == *id; });
  wake_if_needed(std::move(lock));
  if (!id) return std::unexpected(id.error());
  return told > 0 ? Sending::done : Sending::under_way;
}

void Link::grant(StreamId stream, std::uint64_t capacity) {
  if (stream == kControlStream) return;
  capacity = std::min(capacity, wire::kMaxBody);
  {
    // Before the peer can know of it.
    const std::lock_guard lock(granted_mutex_);
    granted_.add(stream, capacity);
  }
  std::unique_lock lock(mutex_);
  if (state_ != State::open) return;
  push_urgent({.type = wire::FrameType::credit,
               .stream = stream,
               .number = static_cast<std::uint32_t>(capacity)},
              {});
  written(std::move(lock));
}

void Link::reset(StreamId stream, const Error& why) {
  if (stream == kControlStream) return;
  std::unique_lock lock(mutex_);
  if (state_ != State::open) return;
  const std::uint32_t seen = inbox_.seen();
  outbox_.drop(stream, why, done_);
  push_error(wire::FrameType::reset, stream, seen, why);
  grant_untold();
  written(std::move(lock));
  boost::asio::post(io_, [self = shared_from_this(), stream, seen, why] {
    self->visit([=](Link& link) { link.inbox_.give_up(stream, seen, why); });
  });
}

void Link::close(const Error& why) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::open) return;
  state_ = State::closing;
  close_why_ = why;
  close_deadline_ = steady_clock::now() + kCloseTimeout;
  boost::asio::post(io_, [self = shared_from_this()] {
    self->visit([](Link& link) {
      link.settle();
      link.wait_timer();
    });
  });
}

void Link::start() {
  const Visit visit(*this);
  if (ended_) return;
  started_ = true;
  {
    // The first one measures the round trip.
    const std::lock_guard lock(mutex_);
    if (state_ == State::open) push_ping(steady_clock::now());
  }
  settle();
  if (ended_) return;
  watch_.read(true);
  // What came with the handshake's last bytes may be in TLS already.
  read_on();
  if (ended_) return;
  wait_socket();
  wait_timer();
  wait_beat(liveness_.ping_due());
}

void Link::detach() {
  const Visit visit(*this);
  if (ended_) return;
  receiver_ = nullptr;
  owner_ = nullptr;
  told_ = true;
  inbox_.stop();
  delivering_.clear();
  const std::lock_guard lock(mutex_);
  if (state_ == State::closing && outbox_.messages() == 0 && !broken_) {
    // The peer is still to be told why. What keeps the link alive is what it waits for.
    write_some();
    return;
  }
  if (state_ == State::down) return;
  state_ = State::down;
  ended_ = true;
  outbox_.drop_all({Errc::cancelled, "the endpoint is gone"}, done_);
  done_.clear();
  close_socket();
  cancel_timers();
}

void Link::cancel_timers() {
  timer_.cancel();
  beat_timer_.cancel();
  pace_timer_.cancel();
  resume_timer_.cancel();
}

// --- time ---

void Link::wait_beat(Time due) {
  beat_timer_.expires_at(due);
  beat_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->beat();
  });
}

void Link::beat() {
  const Time now = steady_clock::now();
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return wait_beat(now + kBeatAgain);
  if (state_ != State::open) return;
  if (now >= liveness_.ping_due()) {
    // Where something waits to be written, that is the sign of life.
    if (outbox_.empty()) push_ping(now);
    liveness_.sent(now);
  }
  wait_beat(liveness_.ping_due());
  count_segments(now);
  written(std::move(lock));
}

void Link::wait_timer() {
  Time due = last_look_ ? steady_clock::now() + kLastLook : liveness_.check_due();
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::closing) due = std::min(due, close_deadline_);
  }
  timer_.expires_at(due);
  timer_.async_wait([self = shared_from_this(), due](const boost::system::error_code& error) {
    if (error) return;
    self->visit([due](Link& link) {
      // A timer that was set anew while this call was on its way has another expiry.
      if (link.timer_.expiry() == due) link.on_timer();
    });
  });
}

void Link::on_timer() {
  const Time now = steady_clock::now();
  const Liveness::Verdict verdict = liveness_.check(now, timer_.expiry());
  bool too_long = false;
  {
    const std::lock_guard lock(mutex_);
    too_long = state_ == State::closing && now >= close_deadline_;
  }
  if (verdict != Liveness::Verdict::peer_is_dead) {
    last_look_ = false;
  } else if (!std::exchange(last_look_, true)) {
    // What came while this thread did not run is in the socket: it is read before the timer comes
    // again.
  } else {
    const auto silence =
        std::chrono::duration_cast<std::chrono::milliseconds>(now - liveness_.last_heard());
    fail_link(
        {Errc::unreachable, "the peer was silent for " + std::to_string(silence.count()) + " ms"});
  }
  if (!ended_ && too_long)
    fail_link({Errc::unreachable, "the peer did not take the end of the link in time"});
  if (!ended_) settle();
  if (!ended_) wait_timer();
}

// --- the end ---

void Link::fail_peer(const Error& why) {
  {
    const std::lock_guard lock(mutex_);
    push_error(wire::FrameType::close, kControlStream, 0, why);
    blocked_ = false;
    write_some();
    transport_->end();
    // Unread bytes would turn our FIN into an RST, which overtakes what we said.
    std::array<std::byte, 16384> rest;
    for (int reads = 0; reads < 16; ++reads) {
      if (::recv(socket_, rest.data(), rest.size(), MSG_DONTWAIT) <= 0) break;
    }
  }
  fail_link(why);
}

void Link::fail_link(const Error& why) {
  if (ended_) return;
  ended_ = true;
  Error reason;
  Time last_heard;
  {
    const std::lock_guard lock(mutex_);
    reason = close_why_ ? *close_why_ : why;
    last_heard = liveness_.last_heard();
    state_ = State::down;
    outbox_.drop_all(reason, done_);
    delivering_.swap(done_);
    close_socket();
  }
  told_ = true;
  cancel_timers();
  deliver_done();
  inbox_.give_up_all(reason);
  if (owner_) owner_->link_down(reason, last_heard);
}

}  // namespace aloft::channel
