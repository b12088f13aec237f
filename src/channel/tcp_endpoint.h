// The endpoint of a TCP link that is there already, and what it has in common with one that
// connects again and again.
//
// An Endpoint that users hold is a handle on a core, which the I/O thread's pending operations keep
// alive until they have ended. Destroying the handle detaches the core on the I/O thread; that is
// what makes it safe at any time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>

#include "channel/endpoint.h"
#include "channel/handshake.h"
#include "channel/io_thread.h"
#include "channel/link.h"
#include <aloft/result.h>

namespace aloft::channel {

class EndpointCore : public LinkOwner, public std::enable_shared_from_this<EndpointCore> {
 public:
  EndpointCore(IoThread::Impl& io, EndpointOptions options, Receiver& receiver);

  // Any thread. As the members of Endpoint.
  [[nodiscard]] Result<void> send(const Outgoing& message);
  [[nodiscard]] Result<Sending> send_quietly(const Outgoing& message);
  void grant(StreamId stream, std::uint64_t capacity);
  void reset(StreamId stream, const Error& why);
  void close(const Error& why);
  [[nodiscard]] EndpointStats stats() const;
  [[nodiscard]] bool assist(const std::atomic<bool>& done,
                            std::chrono::steady_clock::time_point until);
  void nudge();

  // I/O thread. Takes a connection whose handshake is done; from here on messages may be sent.
  void take(Connection connection, const Peer& peer);
  // I/O thread. Follows take(): on_up, then whatever the link brings.
  void go_up(const Peer& peer);
  // I/O thread. No call of the receiver comes after.
  void detach();

  [[nodiscard]] IoThread::Impl& io() { return io_; }

 protected:
  // I/O thread. The link is gone, or detach() or close() left none to wait for.
  virtual void no_link() {}
  // Whether another link may follow one that is gone; else on_down is told once, and is the last.
  [[nodiscard]] virtual bool connects_again() const { return false; }

  [[nodiscard]] const EndpointOptions& options() const { return options_; }
  // I/O thread. Nothing is to be done for the receiver any more.
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] bool has_link() const { return current_ != nullptr; }
  // I/O thread. Tells the receiver; final if this end closed it or `why` says so.
  void tell_down(const Error& why, std::chrono::steady_clock::time_point last_heard);

 private:
  void link_down(const Error& why, std::chrono::steady_clock::time_point last_heard) override;
  [[nodiscard]] std::shared_ptr<Link> link() const;

  IoThread::Impl& io_;
  const EndpointOptions options_;
  Receiver* receiver_;
  bool ended_ = false;
  std::shared_ptr<Link> current_;  // the I/O thread's; link_ is the same for all threads
  const std::shared_ptr<LinkCounters> counters_ = std::make_shared<LinkCounters>();

  mutable std::mutex mutex_;
  std::shared_ptr<Link> link_;
  bool closed_ = false;
};

// Owns a core.
class TcpEndpoint final : public Endpoint {
 public:
  explicit TcpEndpoint(std::shared_ptr<EndpointCore> core) : core_(std::move(core)) {}
  ~TcpEndpoint() override;
  Result<void> send(const Outgoing& message) override { return core_->send(message); }
  Result<Sending> send_quietly(const Outgoing& message) override {
    return core_->send_quietly(message);
  }
  void grant(StreamId stream, std::uint64_t capacity) override { core_->grant(stream, capacity); }
  void reset(StreamId stream, const Error& why) override { core_->reset(stream, why); }
  void close(const Error& why) override { core_->close(why); }
  [[nodiscard]] EndpointStats stats() const override { return core_->stats(); }
  [[nodiscard]] bool assist(const std::atomic<bool>& done,
                            std::chrono::steady_clock::time_point until) override {
    return core_->assist(done, until);
  }
  void nudge() override { core_->nudge(); }

 private:
  std::shared_ptr<EndpointCore> core_;
};

}  // namespace aloft::channel
