// A fixed end, places, and the movable ends at them, in one thread and without a clock: for tests
// that say step by step what happens. Messages wait in a queue for each place and direction, calls
// and copies of states wait to be run; the test says when what goes on.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "channel/fixed_end.h"
#include "channel/movable_end.h"
#include "channel/testing/end_object.h"

namespace aloft::channel::testing {

class World final : public FixedEndPort {
 public:
  // One attachment at a place.
  struct Instance final : MovableEndHost, MovableEndPort {
    Instance(World& world_, PlaceIndex place_, Epoch epoch, MovableEndOptions options)
        : world(world_),
          place(place_),
          object(world_.state_size),
          end(epoch, options, *this, *this) {}

    void execute(Sequence sequence, std::uint32_t method, SharedBytes body) override {
      job = [this, sequence, method, body] {
        world.executed[sequence] += 1;
        if (method == kTrap) {
          object.spoil();
          return end.executed(fail(Errc::trapped, "unreachable"), false);
        }
        if (method == kRefuse) return end.executed(fail(Errc::invalid_argument, "no"), true);
        Object stateless;
        Object& on = world.fixed_options.has_state ? object : stateless;
        end.executed(bytes_of(on.add(number_of(body))), true);
      };
    }
    void save() override {
      job = [this] {
        if (world.refuses_save) return end.saved(fail(Errc::resource_exhausted, "too long"));
        end.saved(std::make_shared<const Bytes>(object.state()));
      };
    }
    void load(SharedBytes state) override {
      job = [this, state] {
        if (world.refuses_load) return end.loaded(fail(Errc::protocol, "not a state"));
        object.load(*state);
        end.loaded({});
      };
    }
    void transmit(EndMessage message) override {
      world.places[place].from.push_back(std::move(message));
    }

    World& world;
    PlaceIndex place;
    Object object;
    std::function<void()> job;  // what runs
    MovableEnd end;
  };
  struct Place {
    bool up = false;
    std::deque<EndMessage> to, from;
    std::map<Epoch, std::unique_ptr<Instance>> ends;
    std::map<Epoch, std::uint32_t> modules;  // as they were attached
  };

  explicit World(FixedEndOptions options, std::size_t state_bytes = 64)
      : state_size(state_bytes),
        fixed_options(options),
        fixed(options, *this,
              options.here_may_fail ? std::make_shared<const Bytes>(Object(state_bytes).state())
                                    : nullptr) {
    places[kHere].up = true;
    make(kHere, FixedEnd::kFirstEpoch, /*serves=*/true);
  }

  // --- FixedEndPort
  void transmit(PlaceIndex place, std::uint32_t module, EndMessage message) override {
    EXPECT_TRUE(places[place].up) << "sent to a place that is down";
    if (std::holds_alternative<Attach>(message.content))
      places[place].modules[message.epoch] = module;
    places[place].to.push_back(std::move(message));
  }
  void ended(Outcome outcome) override { outcomes.push_back(std::move(outcome)); }
  void moved(const MoveReport& report) override { reports.push_back(report); }

  // --- what happens
  Sequence send(std::uint64_t argument, std::uint32_t method = kAdd) {
    auto sequence = fixed.send(method, bytes_of(argument), now);
    EXPECT_TRUE(sequence.has_value()) << sequence.error().message;
    return sequence.value_or(0);
  }
  void up(PlaceIndex place) {
    places[place].up = true;
    fixed.place_up(place, now);
  }
  // The link goes, with all that is on its way.
  void down(PlaceIndex place) {
    Place& p = places[place];
    p.up = false;
    p.to.clear();
    p.from.clear();
    for (auto& [epoch, instance] : p.ends) instance->end.link_down();
    fixed.place_down(place, now);
  }
  void kill(PlaceIndex place) {
    places[place].ends.clear();
    down(place);
  }
  void later(Duration time) {
    now += time;
    fixed.on_timer(now);
  }

  // One message from the fixed end arrives; false: none was there.
  bool arrive_there(PlaceIndex place) {
    Place& p = places[place];
    if (p.to.empty()) return false;
    EndMessage message = std::move(p.to.front());
    p.to.pop_front();
    auto found = p.ends.find(message.epoch);
    if (found == p.ends.end()) {
      const auto* const attach = std::get_if<Attach>(&message.content);
      if (attach == nullptr) return true;
      if (attach->resume) {
        p.from.push_back(MovableEnd::unknown(message.epoch));
        return true;
      }
      make(place, message.epoch, false);
      found = p.ends.find(message.epoch);
    }
    found->second->end.received(std::move(message));
    remove_detached(p);
    return true;
  }
  bool arrive_here(PlaceIndex place) {
    Place& p = places[place];
    if (p.from.empty()) return false;
    EndMessage message = std::move(p.from.front());
    p.from.pop_front();
    fixed.received(place, std::move(message), now);
    return true;
  }
  // What one end at the place has to run is run.
  bool run_job(PlaceIndex place) {
    Place& p = places[place];
    for (auto& [epoch, instance] : p.ends) {
      if (!instance->job) continue;
      std::exchange(instance->job, nullptr)();
      remove_detached(p);
      return true;
    }
    return false;
  }
  // All messages arrive; nothing runs.
  void deliver() {
    for (bool any = true; any;) {
      any = false;
      for (PlaceIndex place = 0; place < 4; ++place) {
        any |= arrive_there(place);
        any |= arrive_here(place);
      }
    }
  }
  // Everything that can happen without time does.
  void settle() {
    for (bool any = true; any;) {
      any = false;
      for (PlaceIndex place = 0; place < 4; ++place) {
        any |= arrive_there(place);
        any |= run_job(place);
        any |= arrive_here(place);
      }
    }
  }
  // Until home is there and the destination is ready.
  void move(PlaceIndex to, std::uint32_t module = 0) {
    const auto accepted = fixed.move(to, module, now);
    ASSERT_TRUE(accepted.has_value()) << accepted.error().message;
    settle();
    ASSERT_EQ(fixed.home(), to);
  }

  // --- what came of it
  Instance& at(PlaceIndex place) {
    EXPECT_FALSE(places[place].ends.empty());
    return *places[place].ends.rbegin()->second;
  }
  std::vector<Sequence> told() const {
    std::vector<Sequence> sequences;
    for (const Outcome& outcome : outcomes) sequences.push_back(outcome.sequence);
    return sequences;
  }
  // That messages 1 to `count` were answered as by one object that never moved, with the arguments
  // 1, 2, ...
  void expect_answers(std::uint64_t count) {
    Object reference(state_size);
    ASSERT_EQ(outcomes.size(), count);
    for (std::uint64_t i = 0; i < count; ++i) {
      ASSERT_EQ(outcomes[i].sequence, i + 1);
      ASSERT_TRUE(outcomes[i].result.has_value()) << outcomes[i].result.error().message;
      Object stateless;
      Object& on = fixed_options.has_state ? reference : stateless;
      EXPECT_EQ(number_of(*outcomes[i].result), on.add(i + 1)) << "message " << i + 1;
    }
  }

  const std::size_t state_size;
  const FixedEndOptions fixed_options;
  bool refuses_load = false;
  bool refuses_save = false;
  Time now{std::chrono::hours(1)};
  std::map<PlaceIndex, Place> places;
  std::map<Sequence, int> executed;  // how often
  std::vector<Outcome> outcomes;
  std::vector<MoveReport> reports;
  FixedEnd fixed;

 private:
  void make(PlaceIndex place, Epoch epoch, bool serves) {
    places[place].ends[epoch] = std::make_unique<Instance>(
        *this, place, epoch,
        MovableEndOptions{.has_state = fixed_options.has_state, .serves = serves});
  }
  static void remove_detached(Place& place) {
    std::erase_if(place.ends, [](const auto& entry) { return entry.second->end.detached(); });
  }
};

}  // namespace aloft::channel::testing
