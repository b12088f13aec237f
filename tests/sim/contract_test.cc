// That the contract is broken by what it does not allow, and by nothing else. A simulation that
// finds nothing proves no more than these tests do.
#include "contract.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace aloft::sim {
namespace {

using std::chrono::milliseconds;

class ContractTest : public ::testing::Test {
 protected:
  static Scenario scenario_of(Plot plot) {
    Scenario scenario;
    scenario.plot = plot;
    scenario.options.has_state = plot == Plot::stateful;
    scenario.options.has_effects = plot == Plot::once;
    if (plot == Plot::latest) scenario.options.kind = channel::Kind::latest;
    scenario.options.max_messages = 4;
    return scenario;
  }
  void begin(Plot plot) {
    scenario = scenario_of(plot);
    contract = std::make_unique<Contract>(scenario, 7);
    object = std::make_unique<Object>(7);
  }
  static SharedBytes body(std::uint64_t id, bool traps = false) {
    return Task{.id = id, .traps = traps}.encode(0);
  }
  void send(Sequence sequence, bool traps = false) {
    contract->sent(sequence, 0, body(sequence, traps), std::nullopt, now);
  }
  void run(Sequence sequence, Epoch epoch = 1) {
    contract->left(sequence, 1, now);
    contract->runs({1, 1, epoch, 0}, sequence, 0, *body(sequence));
  }
  // As an object that never moved would answer.
  SharedBytes answer(Sequence sequence) {
    return scenario.options.has_state ? object->run(0, *body(sequence), 0).encode()
                                      : Object::run_stateless(0, *body(sequence), 0).encode();
  }
  void end(Sequence sequence, Result<SharedBytes> result, bool dropped = false) {
    contract->ended({sequence, std::move(result), now, 1, dropped}, now);
  }
  void end_dropped(Sequence sequence, Errc why) {
    end(sequence, std::unexpected(Error{why, "dropped"}), true);
  }
  [[nodiscard]] std::string complaint() const {
    std::string all;
    for (const std::string& violation : contract->violations()) all += violation + "\n";
    return all;
  }
  void expect_complaint(std::string_view part) const {
    EXPECT_NE(complaint().find(part), std::string::npos) << "instead: " << complaint();
  }

  Scenario scenario;
  std::unique_ptr<Contract> contract;
  std::unique_ptr<Object> object;
  Time now{milliseconds(5)};
};

TEST_F(ContractTest, is_kept_by_answers_in_order) {
  begin(Plot::stateful);
  for (Sequence sequence = 1; sequence <= 4; ++sequence) {
    send(sequence);
    run(sequence);
  }
  for (Sequence sequence = 1; sequence <= 4; ++sequence) end(sequence, answer(sequence));
  contract->all_told();
  contract->last_state(object->fingerprint());
  EXPECT_EQ(complaint(), "");
}

TEST_F(ContractTest, notices_a_message_that_never_ends) {
  begin(Plot::stateful);
  send(1);
  contract->all_told();
  expect_complaint("message 1 never ended");
}

TEST_F(ContractTest, notices_a_message_that_ends_twice) {
  begin(Plot::stateless);
  send(1);
  run(1);
  end(1, answer(1));
  end(1, answer(1));
  expect_complaint("ended a second time");
}

TEST_F(ContractTest, notices_answers_out_of_order) {
  begin(Plot::stateless);
  send(1);
  send(2);
  run(1);
  run(2);
  end(2, answer(2));
  expect_complaint("message 2 ended before 1");
}

TEST_F(ContractTest, notices_that_a_message_was_lost_on_the_way_to_the_object) {
  begin(Plot::stateful);
  for (const Sequence sequence : {Sequence{1}, Sequence{2}}) {
    send(sequence);
    run(sequence);
  }
  const auto lost = *object;
  end(1, answer(1));
  *object = lost;
  end(2, answer(2));
  expect_complaint("not that of an object that never moved");
}

TEST_F(ContractTest, notices_a_message_that_changed_the_state_twice) {
  begin(Plot::stateful);
  send(1);
  run(1);
  (void)answer(1);
  end(1, answer(1));
  expect_complaint("not that of an object that never moved");
}

TEST_F(ContractTest, notices_one_stale_block) {
  Object fresh(7);
  for (Sequence sequence = 1; sequence <= 20; ++sequence) fresh.run(0, *body(sequence), 0);
  Bytes stale = fresh.save();
  const Bytes old = Object(7).save();
  // The last block that both have, as it was in the beginning.
  const std::size_t block =
      (std::min(stale.size(), old.size()) / channel::kStateBlock - 1) * channel::kStateBlock;
  std::copy_n(old.begin() + static_cast<std::ptrdiff_t>(block), channel::kStateBlock,
              stale.begin() + static_cast<std::ptrdiff_t>(block));
  ASSERT_NE(stale, fresh.save());
  EXPECT_NE(Object(stale).run(0, *body(21), 0), fresh.run(0, *body(21), 0));
}

TEST_F(ContractTest, notices_a_state_that_no_object_ever_had) {
  begin(Plot::stateful);
  contract->state_loads(object->fingerprint());
  EXPECT_EQ(complaint(), "");
  contract->state_loads(1);
  expect_complaint("a state is loaded that no object ever had");
}

TEST_F(ContractTest, notices_effects_that_happen_twice) {
  begin(Plot::once);
  send(1);
  run(1, 1);
  run(1, 2);
  expect_complaint("runs a second time");
}

TEST_F(ContractTest, allows_interrupted_only_after_a_fault) {
  begin(Plot::once);
  send(1);
  run(1);
  end(1, std::unexpected(Error{Errc::interrupted, ""}));
  expect_complaint("nothing had happened to its place");

  begin(Plot::once);
  send(1);
  run(1);
  contract->fault(1, now);
  end(1, std::unexpected(Error{Errc::interrupted, ""}));
  EXPECT_EQ(complaint(), "");
}

TEST_F(ContractTest, never_allows_the_newest_to_be_dropped) {
  begin(Plot::latest);
  send(1);
  end_dropped(1, Errc::cancelled);
  expect_complaint("without a reason");

  begin(Plot::latest);
  send(1);
  send(2);
  end_dropped(1, Errc::cancelled);
  EXPECT_EQ(complaint(), "");
}

TEST_F(ContractTest, notices_that_a_dropped_message_ran_or_left) {
  begin(Plot::latest);
  send(1);
  run(1);
  send(2);
  end_dropped(1, Errc::cancelled);
  expect_complaint("was dropped, and had run");
  expect_complaint("was dropped, and had left");
}

TEST_F(ContractTest, notices_a_stale_message_that_leaves) {
  begin(Plot::latest);
  send(1);
  send(2);
  contract->left(1, 1, now);
  expect_complaint("left, and a newer one was waiting");
}

TEST_F(ContractTest, notices_a_trap_that_was_none) {
  begin(Plot::stateless);
  send(1);
  run(1);
  end(1, std::unexpected(Error{Errc::trapped, ""}));
  expect_complaint("does not trap");
}

TEST_F(ContractTest, notices_moves_that_are_told_wrongly) {
  begin(Plot::stateful);
  contract->moved({.from = 0, .to = 1, .result = {}});
  expect_complaint("nobody asked for");

  begin(Plot::stateful);
  contract->moving(1, 0);
  contract->all_told();
  expect_complaint("1 moves were never told");

  begin(Plot::stateful);
  contract->moving(1, 0);
  contract->moved({.from = 0, .to = 1, .result = fail(Errc::unreachable, "")});
  contract->looks(1, false, {});
  expect_complaint("home is 1, and the last move told made it 0");
}

TEST_F(ContractTest, notices_a_log_beyond_its_bound) {
  begin(Plot::stateless);
  channel::FixedEnd::Counters counters;
  counters.log_messages = 5;
  contract->looks(0, false, counters);
  expect_complaint("5 messages in a log for 4");
}

TEST_F(ContractTest, notices_an_overload_that_is_none) {
  begin(Plot::stateless);
  send(1);
  contract->not_sent({Errc::overloaded, ""}, {}, now);
  expect_complaint("was not taken (overloaded)");
}

}  // namespace
}  // namespace aloft::sim
