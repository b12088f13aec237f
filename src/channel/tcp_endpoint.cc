#include "channel/tcp_endpoint.h"

#include <utility>

#include <boost/asio/post.hpp>

#include "channel/io_thread_impl.h"

namespace aloft::channel {
namespace {

// What no later attempt would change.
bool is_final(Errc code) { return code == Errc::refused || code == Errc::version_mismatch; }

}  // namespace

EndpointCore::EndpointCore(IoThread::Impl& io, EndpointOptions options, Receiver& receiver)
    : io_(io), options_(std::move(options)), receiver_(&receiver) {}

std::shared_ptr<Link> EndpointCore::link() const {
  const std::lock_guard lock(mutex_);
  return link_;
}

Result<void> EndpointCore::send(const Outgoing& message) {
  if (const auto link = this->link()) return link->send(message);
  return fail(Errc::unreachable, "the link is down");
}

Result<Sending> EndpointCore::send_quietly(const Outgoing& message) {
  if (const auto link = this->link()) return link->send_quietly(message);
  return fail(Errc::unreachable, "the link is down");
}

void EndpointCore::grant(StreamId stream, std::uint64_t capacity) {
  if (const auto link = this->link()) link->grant(stream, capacity);
}

void EndpointCore::reset(StreamId stream, const Error& why) {
  if (const auto link = this->link()) link->reset(stream, why);
}

void EndpointCore::close(const Error& why) {
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    link = link_;
  }
  if (link) link->close(why);
  boost::asio::post(io_.context, [self = shared_from_this(), why] {
    if (self->ended_) return;
    // The link may have come up meanwhile; without one there is nothing that would end by itself.
    if (self->current_) {
      self->current_->close(why);
    } else {
      self->tell_down(why, {});
    }
  });
}

bool EndpointCore::assist(const std::atomic<bool>& done,
                          std::chrono::steady_clock::time_point until) {
  const auto link = this->link();
  return link && link->assist(done, until);
}

void EndpointCore::nudge() {
  if (const auto link = this->link()) link->nudge();
}

EndpointStats EndpointCore::stats() const {
  return {.tx_bytes = counters_->tx_bytes.load(std::memory_order_relaxed),
          .rx_bytes = counters_->rx_bytes.load(std::memory_order_relaxed),
          .round_trip =
              std::chrono::nanoseconds(counters_->round_trip_ns.load(std::memory_order_relaxed)),
          .segments = counters_->segments.load(std::memory_order_relaxed),
          .resent = counters_->resent.load(std::memory_order_relaxed)};
}

void EndpointCore::take(Connection connection, const Peer& peer) {
  counters_->round_trip_ns.store(0, std::memory_order_relaxed);  // the way may be another one
  current_ = std::make_shared<Link>(io_.context, std::move(connection), options_, peer.credit,
                                    *receiver_, *this, counters_);
  const std::lock_guard lock(mutex_);
  link_ = current_;
}

void EndpointCore::go_up(const Peer& peer) {
  if (!current_) return;
  const std::shared_ptr<Link> link = current_;
  receiver_->on_up(peer.hello);
  link->start();
}

void EndpointCore::detach() {
  receiver_ = nullptr;
  ended_ = true;
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock(mutex_);
    link_.swap(link);
  }
  current_ = nullptr;
  if (link) link->detach();
  no_link();
}

void EndpointCore::link_down(const Error& why, std::chrono::steady_clock::time_point last_heard) {
  const auto self = shared_from_this();  // the receiver may destroy the endpoint
  {
    const std::lock_guard lock(mutex_);
    link_ = nullptr;
  }
  current_ = nullptr;
  tell_down(why, last_heard);
}

void EndpointCore::tell_down(const Error& why, std::chrono::steady_clock::time_point last_heard) {
  bool closed = false;
  {
    const std::lock_guard lock(mutex_);
    closed = closed_;
  }
  Receiver* const receiver = receiver_;
  if (closed || is_final(why.code) || !connects_again()) ended_ = true;
  if (receiver) receiver->on_down(why, last_heard);
  no_link();
}

TcpEndpoint::~TcpEndpoint() {
  core_->io().run([this] { core_->detach(); });
}

}  // namespace aloft::channel
