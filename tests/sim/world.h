// One run of a simulation: a device with an application that sends, moves, cancels and closes, its
// places, and all that goes wrong between them. A pure function of its seed.
//
// A run has four acts. In the first everything happens: messages, moves in every state, faults. In
// the second all faults are healed, and what was begun has to end within kPatience. In the third
// the channel has to be as good as new: one more message is answered, a move to each edge succeeds,
// and the state is compared with that of an object that never moved. In the fourth the channel is
// closed, and nothing of it is left anywhere. Some runs are closed in the first act instead.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "agenda.h"
#include "channel/fixed_end.h"
#include "contract.h"
#include "network.h"
#include "scenario.h"
#include "site.h"
#include "trace.h"

namespace aloft::sim {

struct RunOptions {
  std::uint64_t seed = 0;
  std::optional<Plot> plot;       // the seed's where none is given
  std::ostream* trace = nullptr;  // an event a line
};

struct RunResult {
  Plot plot = Plot::stateful;
  std::vector<std::string> violations;
  std::uint64_t events = 0;
  std::uint64_t fingerprint = 0;  // of all that happened
  // What the run saw, so that a test can say that nothing goes untested.
  struct Seen {
    std::uint64_t ok = 0, dropped = 0, trapped = 0, interrupted = 0, failed = 0;
    std::uint64_t moves = 0, failed_moves = 0, recoveries = 0, resumed = 0, repeated = 0;
    std::uint64_t faults = 0, loads = 0, overloaded = 0;
  } seen;
};

[[nodiscard]] RunResult run(const RunOptions& options);

class World final : private channel::FixedEndPort {
 public:
  explicit World(const RunOptions& options);
  [[nodiscard]] RunResult run();

 private:
  // The device's side of one place.
  struct Link {
    ConnectionPointer connection;  // null: none
    bool up = false;               // the fixed end knows of it
    bool network = true;           // a new connection can be made
    bool connecting = false;
    std::set<Epoch> attached;  // on this connection
  };

  // --- FixedEndPort
  void transmit(PlaceIndex place, std::uint32_t module, channel::EndMessage message) override;
  void ended(channel::Outcome outcome) override;
  void moved(const channel::MoveReport& report) override;

  // --- the application (world_application.cc)
  void application_step();
  void send_one(bool last);
  void ask_for_a_move();
  void take_one();
  void close();

  // --- connections and what befalls them (world_faults.cc)
  void connect(PlaceIndex place, Duration delay);
  void connected(PlaceIndex place);
  void connection_seen_lost(PlaceIndex place, const ConnectionPointer& connection);
  // Both ends see it within these times.
  void cut(PlaceIndex place, Duration device_sees, Duration place_sees);
  void fault_step();
  void strike(PlaceIndex place);
  void heal();

  // --- the acts
  void prepare();
  void settle();
  void prove();
  void finish();
  // Has things happen until `done`, no longer than `limit`. False: not done.
  template <class Done>
  bool go_on_until(Duration limit, Done done);

  void arrived(const ConnectionPointer& connection, channel::EndMessage message);
  // Every call into the fixed end: never from within another, and whatever it says about itself
  // afterwards is looked at.
  template <class Call>
  auto with_fixed_end(Call call) {
    before_call();
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      after_call();
    } else {
      auto result = call();
      after_call();
      return result;
    }
  }
  void before_call();
  void after_call();
  void look_closed();  // by itself
  void set_timer();
  [[nodiscard]] std::uint32_t a_version();
  [[nodiscard]] std::uint32_t a_good_version();

  std::uint64_t seed_;
  Random random_;
  Scenario scenario_;
  Agenda agenda_;
  Contract contract_;
  Trace trace_;
  Network network_;
  Stage stage_;
  std::vector<Site> sites_;
  std::vector<Link> links_;
  std::optional<channel::FixedEnd> fixed_;

  std::size_t left_to_send_ = 0;
  bool healed_ = false;
  bool closed_ = false;
  bool in_fixed_end_ = false;
  std::uint64_t timer_ = 0;  // the one that counts
  std::uint64_t fruitless_timers_ = 0;
  Sequence last_sequence_ = 0;
  std::map<Epoch, std::set<Sequence>> under_way_;  // delivered and not answered
  std::set<Sequence> left_;
  bool home_in_trouble_ = false;  // its link was lost, and it was neither resumed nor recovered
  bool steady_ = false;           // home has had no trouble since the last move was asked for
  RunResult::Seen seen_;
};

}  // namespace aloft::sim
