// One TCP connection after its handshake: moves frames between a socket and a receiver until it
// fails or is closed.
//
// Reading and all calls of the receiver happen on the I/O thread, or on a thread that waits for
// what is to be read and assists meanwhile. Whichever it is holds the role: a mutex that covers all
// that reading concerns, and is not held while a thread sleeps. What ends the link is left to the
// I/O thread, which also reads when nobody assists. Writing happens on whichever thread has
// something to write, as far as the kernel takes it at once; the I/O thread goes on where that
// stopped. So a message that meets an idle link is in the kernel when send() returns, and no thread
// had to be woken for it. One mutex covers what is to be written; it is never held while the
// receiver is called.
//
// A heartbeat takes no role, nor does it wait for the mutex, so that its coming late says something
// of the machine, and nothing of what a receiver does.
//
// TCP_NOTSENT_LOWAT keeps at most 128 KiB in the kernel that are not on the way yet, so that an
// urgent message waits for little else than what the network itself holds; on a slow link a Pace
// holds back more.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/eventfd.h>

#include "channel/endpoint.h"
#include "channel/handshake.h"
#include "channel/inbox.h"
#include "channel/link_counters.h"
#include "channel/liveness.h"
#include "channel/outbox.h"
#include "channel/pace.h"
#include "channel/patience.h"
#include "channel/role.h"
#include "channel/socket_watch.h"
#include "channel/tcp_gauge.h"
#include "channel/transport.h"
#include <aloft/result.h>

namespace aloft::channel {

// Told once that the link has failed, on the I/O thread, after the receiver's on_sent and
// on_message_abandoned.
class LinkOwner {
 public:
  virtual ~LinkOwner() = default;
  virtual void link_down(const Error& why, std::chrono::steady_clock::time_point last_heard) = 0;
};

class Link final : public std::enable_shared_from_this<Link>, private Inbox::Sink {
 public:
  using Time = Liveness::Time;

  // `io` runs on `io_thread`. `receiver`, `owner` and `counters` must live until detach() or
  // link_down().
  Link(boost::asio::io_context& io, Connection connection, const EndpointOptions& options,
       CreditRule peer_rule, Receiver& receiver, LinkOwner& owner,
       std::shared_ptr<LinkCounters> counters);
  ~Link() override;

  // Any thread. As the members of Endpoint.
  [[nodiscard]] Result<void> send(const Outgoing& message);
  [[nodiscard]] Result<Sending> send_quietly(const Outgoing& message);
  void grant(StreamId stream, std::uint64_t capacity);
  void reset(StreamId stream, const Error& why);
  void close(const Error& why);
  [[nodiscard]] bool assist(const std::atomic<bool>& done, Time until);
  void nudge();

  // I/O thread only.
  void start();
  // Neither receiver nor owner is called any more, nor a buffer of theirs touched. What close()
  // asked for goes on.
  void detach();

 private:
  enum class State { open, closing, down };

  // Holds the role as long as it lives; within one of the same thread it does nothing.
  class Visit {
   public:
    explicit Visit(Link& link);            // waits for it
    Visit(Link& link, std::adopt_lock_t);  // which this thread has just taken
    ~Visit();
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    Link* link_;
  };

  // Inbox::Sink
  Result<void> spend_credit(StreamId stream, std::uint64_t body_size) override;
  Result<std::span<std::byte>> message_begin(StreamId stream, std::span<const std::byte> head,
                                             std::uint64_t body_size) override;
  void message_end(StreamId stream) override;
  void message_abandoned(StreamId stream, const Error& why) override;
  Result<void> got_credit(StreamId stream, std::uint32_t capacity) override;
  void got_reset(StreamId stream, std::uint32_t seen, const Error& why) override;
  void got_ping(std::span<const std::byte, wire::kPingSize> payload) override;
  void got_pong(std::span<const std::byte, wire::kPingSize> payload) override;
  void got_close(const Error& why) override;

  [[nodiscard]] bool on_io_thread() const;
  // This thread holds the role, and will settle() before it gives it back.
  [[nodiscard]] bool visiting() const { return role_.is_mine(); }
  void close_socket();
  void cancel_timers();
  void wait_socket();
  void on_socket();
  void read_on();
  void resume_soon();
  void resume();
  void wait_paced();
  // I/O thread: does `task` in a visit, now or when the role is free; not if the link has ended
  // then.
  template <class Task>
  void visit(Task task) {
    if (role_.try_take()) {
      const Visit visit(*this, std::adopt_lock);
      if (!ended_) task(*this);
    } else {
      role_.leave(std::move(task));
      visit_waiting();
    }
  }
  void visit_waiting();
  void wait_timer();
  void on_timer();
  void wait_beat(Time due);
  void beat();
  // Of who reads, and may keep the I/O thread from its processor: settle() follows.
  void beat_if_due(Time now);
  // Reads and takes apart what is there, within bounds. Answers what became of it; only `nothing`
  // and `more` leave something to read for later.
  enum class Reading { nothing, more, lost, broken };
  [[nodiscard]] Reading read_some();
  [[nodiscard]] bool understand(std::size_t size);
  // One look of a thread that assists: writes on what waits for the kernel, and reads.
  struct Look {
    Reading reading = Reading::nothing;
    bool moved = false;  // something was read or written
    bool ended = false;  // the link is
  };
  [[nodiscard]] Look look();
  // Looks again and again until something moves, or `until`; then, or at `limit`, sleeps till then.
  [[nodiscard]] Look look_or_sleep(const std::atomic<bool>& done, Time limit);
  void sleep(Time until);
  // On the I/O thread: what reading found out about the link's end.
  void end_if_lost(Reading reading);
  // Ends every visit: writes, tells on_sent, waits for what there is to wait for.
  void settle();
  void deliver_done();
  void fail_link(const Error& why);
  // Tells a peer that broke the protocol so, as far as that goes, and fails.
  void fail_peer(const Error& why);

  // With the mutex held:
  [[nodiscard]] Result<std::uint64_t> push(const Outgoing& message);
  void write_some();
  [[nodiscard]] bool can_go_on(Transport::Then then);
  void measure();
  [[nodiscard]] Outbox::Room room();
  void go_on_closing();
  // Grants what was to follow messages that were dropped.
  void grant_untold();
  // The I/O thread hears when the kernel takes more, unless an assistant waits for it.
  void watch_writable();
  void push_urgent(const wire::FrameHeader& header, std::span<const std::byte> payload);
  void push_error(wire::FrameType type, StreamId stream, std::uint32_t number, const Error& why);
  void push_ping(Time now);
  void count_segments(Time now);
  [[nodiscard]] bool needs_io_thread() const;
  // Ends a change of what is to be written, by any thread: writes what the kernel takes, and has
  // the I/O thread settle what is left to do. Releases the mutex.
  void written(std::unique_lock<std::mutex> lock);
  void wake_if_needed(std::unique_lock<std::mutex> lock);
  void post_settle();

  boost::asio::io_context& io_;
  int socket_;
  std::unique_ptr<Transport> transport_;
  SocketWatch watch_;
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer beat_timer_;  // I/O thread
  boost::asio::steady_timer pace_timer_;
  boost::asio::steady_timer resume_timer_;
  Receiver* receiver_;
  LinkOwner* owner_;
  std::shared_ptr<LinkCounters> counters_;
  Inbox inbox_;

  Role role_;  // taken before all mutexes
  // With the role:
  bool started_ = false;
  bool ended_ = false;      // nothing happens any more
  bool last_look_ = false;  // the peer seems dead, and the socket is looked at once more
  std::string lost_;        // why the connection is, once it is
  std::optional<Error> violation_;
  std::optional<Error> closed_by_peer_;
  bool told_ = false;                                     // the receiver was called in this visit
  Time assisted_until_;                                   // when the last assistant left
  std::atomic<std::thread::id> assistant_;                // the thread that assists
  bool read_ = false;                                     // something, since this was cleared
  Patience patience_;                                     // the assistant's
  int nudge_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);  // what wakes it
  std::vector<Outbox::Done> delivering_;

  std::mutex granted_mutex_;
  CreditTable granted_;  // to the peer

  std::mutex mutex_;  // of all that follows
  State state_ = State::open;
  Outbox outbox_;
  Liveness liveness_;
  std::vector<Outbox::Done> done_;
  bool blocked_ = false;           // the kernel takes no more for now
  bool waiting_writable_ = false;  // and the I/O thread hears when it does
  bool assistant_writes_ = false;  // and the assistant does
  bool wrote_ = false;             // something, since this was cleared
  bool resuming_ = false;          // resume_timer_ runs: what waits is looked at soon
  Pace pace_;
  SegmentCount counted_;  // what the counters have of this connection
  Time counted_at_;
  bool paced_ = false;              // there is no room for what waits
  bool waiting_paced_ = false;      // and the I/O thread looks again soon
  bool unwritable_ = false;         // the connection is lost, which reading will tell
  std::optional<Error> broken_;     // the peer does not read
  std::optional<Error> close_why_;  // state_ == closing
  bool close_queued_ = false;       // its frame is in the outbox or beyond
  bool shut_ = false;               // our FIN is sent
  Time close_deadline_;
  bool wake_posted_ = false;
};

}  // namespace aloft::channel
