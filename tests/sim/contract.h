// What elastic channels promise (docs/contract.md), as something that can be broken: it is shown
// all that the application asks and is told, and all that runs anywhere, and says what of it the
// promise does not allow.
//
// It knows nothing of the protocol. The one thing it takes from it is the first time that a
// message leaves, since dropping is allowed until then.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "channel/fixed_end.h"
#include "object.h"
#include "scenario.h"

namespace aloft::sim {

using channel::Epoch;
using channel::Sequence;

// An attachment runs messages at a place; `life` tells processes of that place apart.
struct RunsAt {
  PlaceIndex place = 0;
  std::uint64_t life = 0;
  Epoch epoch = 0;
  std::uint32_t version = 0;
};

class Contract {
 public:
  Contract(const Scenario& scenario, std::uint64_t object_seed);

  // --- asked by the application
  // What is asked for is told before it is: it may have come true within the call.
  void sent(Sequence sequence, std::uint32_t method, SharedBytes body, std::optional<Time> deadline,
            Time now);
  // It was not taken, with these counters before the call.
  void not_sent(const Error& why, const channel::FixedEnd::Counters& counters, Time now);
  void cancelled(Sequence sequence);
  void moving(PlaceIndex to, std::uint32_t module);
  void not_moving();  // it was not accepted
  void closing(const Error& why);
  // The application has run this message by itself on the object here.
  void took_here(Sequence sequence, std::uint32_t method, const Bytes& body, const Reply& reply);

  // --- told to the application
  void ended(const channel::Outcome& outcome, Time now);
  void moved(const channel::MoveReport& report);
  void gave_up();  // the channel is closed, and nobody closed it
  // After each call into the fixed end.
  void looks(PlaceIndex home, bool moving, const channel::FixedEnd::Counters& counters);

  // --- elsewhere
  void left(Sequence sequence, PlaceIndex place, Time now);  // a delivery, first or repeated
  void runs(const RunsAt& at, Sequence sequence, std::uint32_t method, const Bytes& body);
  void state_became(std::uint64_t fingerprint);  // somewhere, after a message
  void state_loads(std::uint64_t fingerprint);   // somewhere, to go on from
  void fault(PlaceIndex place, Time now);        // anything that may lose what is under way there
  void mishap();                                 // a place could not do what another one can
  void run_failed(Sequence sequence);            // at one place only

  // --- at the end
  [[nodiscard]] std::size_t unanswered() const { return unanswered_; }
  [[nodiscard]] std::size_t moves_untold() const { return moves_.size(); }
  void all_told();
  void last_state(std::uint64_t fingerprint);  // of the object that would run the next message

  void broken(std::string what);
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct Message {
    Sequence sequence = 0;
    std::uint32_t method = 0;
    SharedBytes body;
    std::optional<Time> deadline;
    Time sent{};
    std::optional<Time> left;
    std::map<PlaceIndex, Time> left_to;  // the first time to each place
    bool cancelled = false;
    bool ended = false;
    bool failed = false;  // a run of it, for a reason that is not its own
    std::uint32_t runs = 0;
  };

  [[nodiscard]] Message* find(Sequence sequence);
  void ended_ok(Message& message, const channel::Outcome& outcome);
  void ended_badly(Message& message, const channel::Outcome& outcome, Time now);
  void dropped(Message& message, const channel::Outcome& outcome, Time now);

  const Scenario& scenario_;
  std::deque<Message> messages_;  // all that were sent, in order
  std::size_t next_ = 0;          // in messages_: all before it have ended
  std::size_t unanswered_ = 0;
  std::uint64_t count_dropped_ = 0;
  Object reference_;  // never moved: runs each message when its end is told
  std::uint64_t reference_state_ = 0;
  std::unordered_set<std::uint64_t> states_;  // that some object ever had
  std::map<Epoch, Sequence> last_run_;        // at each attachment
  std::map<PlaceIndex, Time> last_fault_;
  struct Asked {
    PlaceIndex to = 0;
    std::uint32_t module = 0;
  };
  std::deque<Asked> moves_;  // accepted and not told
  PlaceIndex home_ = channel::kHere;
  std::optional<Error> closed_;
  bool gave_up_ = false;
  std::uint64_t mishaps_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace aloft::sim
