// One elastic end of this process: the fixed end of a channel (channel/fixed_end.h) with a lock, a
// timer, links to the edges, and the place here, where its movable end runs natively.
//
// Sends, moves and closes come from any thread, answers from the sessions' I/O threads; all of them
// step the state machines under one lock, and none waits for a run. What runs here runs on the
// executor, one at a time for each attachment, with one exception: while everything is quiet and
// the end is here, its owner may run one message directly (begin_here), for a call that costs
// hardly more than a plain one.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "channel/fixed_end.h"
#include "function/elastic_places.h"
#include "function/end_links.h"
#include <aloft/detail/object_link.h>
#include <aloft/place.h>
#include <aloft/result.h>

namespace aloft::function {

struct EndSetup {
  const ModuleDescriptor* module = nullptr;
  // Of an object: its class, and it itself, which lives until the end is closed.
  const detail::ObjectClass* object_class = nullptr;
  detail::NativeObject* object = nullptr;
  std::string_view name;  // for people; static storage
  channel::FixedEndOptions options;
  std::uint8_t priority = channel::kNormal;
};

// Who sent a message, and is told what became of it.
class EndSender {
 public:
  virtual ~EndSender() = default;
  // Once for each message; answers in the order of the messages. Under the end's lock: short, and
  // calls nothing of the end.
  virtual void on_outcome(channel::Outcome outcome) = 0;
};

// Thread rule: any thread.
class ElasticEnd final : public EndPeer,
                         public ElasticTimed,
                         public std::enable_shared_from_this<ElasticEnd>,
                         private channel::FixedEndPort {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using OnMoved = std::function<void(Result<MoveReport>)>;

  // Use EndPlaces::open(), which does this and connect().
  ElasticEnd(std::shared_ptr<EndPlaces> places, const EndSetup& setup);
  ~ElasticEnd() override;
  void connect();

  // Sends a message; its sender is told of its outcome, unless this fails. Errors: overloaded,
  // deadline_exceeded, refused (closed).
  [[nodiscard]] Result<channel::Sequence> send(std::uint32_t method, channel::SharedBytes body,
                                               std::shared_ptr<EndSender> sender,
                                               std::optional<TimePoint> deadline = {});
  // Gives a message up that has not left.
  void cancel(channel::Sequence sequence);

  // Moves one after the other. `then` is called once, from any thread. Errors: invalid_argument (no
  // such edge), unreachable (it is down), refused (closed, or the place does not take it), and what
  // else was in the way; the end is then where it was.
  void move(Location to, OnMoved then);
  [[nodiscard]] Result<MoveReport> move(Location to);  // waits
  // An end that is at an edge with another version of its module than EndPlaces::version() takes
  // that one, by a move to where it is. `then` as above.
  void follow_version(OnMoved then);
  [[nodiscard]] bool follows_version() const;
  // Comes here, if need be by recovery, and waits until nothing is under way.
  void come_home();

  // True: everything is quiet and here, and the caller runs one message on the object, then calls
  // end_here().
  [[nodiscard]] bool begin_here();
  void end_here();

  // It is here since its edge was lost, and nobody has moved it since.
  [[nodiscard]] bool is_stranded() const { return stranded_.load(std::memory_order_acquire); }
  // With the edge where it is, whose link brings its answers: null where it is here.
  [[nodiscard]] RemoteSession* session() const;

  // Ends what is under way with `why`, and waits for what runs here. More than once is allowed.
  void close(const Error& why);
  [[nodiscard]] bool is_closed() const { return closed_.load(std::memory_order_acquire); }

  [[nodiscard]] bool has_state() const { return setup_.options.has_state; }
  [[nodiscard]] const ModuleDescriptor& module() const { return *setup_.module; }
  [[nodiscard]] Location location() const;
  // The last move() that was asked for went to an edge.
  [[nodiscard]] bool wanted_at_edge() const {
    return wanted_at_edge_.load(std::memory_order_acquire);
  }
  [[nodiscard]] channel::FixedEnd::Counters counters() const;
  [[nodiscard]] EndPlaces& places() const { return *places_; }

  void on_place_up(channel::PlaceIndex place) override;
  void on_place_down(channel::PlaceIndex place) override;
  void on_end_message(channel::PlaceIndex place, channel::EndMessage message) override;
  void on_no_room(channel::PlaceIndex place, channel::Epoch epoch, const Error& why) override;
  void on_timer() override;

 private:
  class Here;
  class Step;
  struct Move {
    std::optional<Location> to;  // none: where it is, with the version that it is to have
    OnMoved then;
  };
  struct Said {
    channel::PlaceIndex place = 0;
    channel::EndMessage message;
    enum class To : std::uint8_t { here, fixed, no_room } to = To::fixed;
  };

  void transmit(channel::PlaceIndex place, std::uint32_t module,
                channel::EndMessage message) override;
  void ended(channel::Outcome outcome) override;
  void moved(const channel::MoveReport& report) override;

  // Under the lock.
  void settle(TimePoint now);
  void hand_over(TimePoint now);
  void start_moves(TimePoint now);
  void leave(channel::PlaceIndex place, channel::EndMessage lost, TimePoint now);
  void to_here(channel::EndMessage message);
  void tell(OnMoved then, Result<MoveReport> report);
  void sweep_here();
  [[nodiscard]] bool runs_here() const;
  [[nodiscard]] bool is_quiet() const;
  [[nodiscard]] bool has_its_version() const;

  const std::shared_ptr<EndPlaces> places_;
  const EndSetup setup_;
  const EndId id_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  channel::FixedEnd fixed_;
  std::vector<std::unique_ptr<Here>> here_;  // attachments, by rising epoch
  struct Sent {
    channel::Sequence sequence = 0;
    std::shared_ptr<EndSender> sender;
  };
  std::deque<Sent> sent_;                    // without outcome, by rising sequence
  std::deque<Said> said_;                    // among the ends here, not yet handed over
  std::deque<Move> moves_;                   // asked for
  std::optional<OnMoved> moving_;            // of the move under way
  std::vector<std::function<void()>> told_;  // to be called without the lock
  std::optional<TimePoint> timer_;           // as the thread knows it
  bool direct_ = false;                      // between begin_here() and end_here()
  bool alone_ = false;                       // no edge counts any more
  // Edges that had no room for a message: not recovered to, until asked for or connected anew.
  std::set<channel::PlaceIndex> too_small_;
  std::atomic<bool> closed_ = false;
  std::atomic<bool> wanted_at_edge_ = false;
  std::atomic<bool> stranded_ = false;
};

}  // namespace aloft::function
