#include "cluster/resource_manager.h"

#include <deque>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aloft::cluster {
namespace {

using ::testing::HasSubstr;

v1::Resources resources(std::uint64_t memory, std::uint32_t cpu, std::uint32_t gpus = 0) {
  v1::Resources all;
  all.set_memory_bytes(memory);
  all.set_cpu_millicores(cpu);
  all.set_gpus(gpus);
  return all;
}

// Hosts and a question, as a table; all of them alike until a test changes one.
class Placement : public ::testing::Test {
 protected:
  struct Host {
    v1::Resources capacity = resources(1000, 1000, 1);
    v1::Resources reserved;
    v1::Capabilities capabilities;
    std::vector<std::string> compiled;
    double load = 0;
    bool draining = false;
  };

  Host& host(const std::string& id) {
    ids_.push_back(id);
    return hosts_.emplace_back();
  }

  PlacementAnswer place(ResourceManager manager = ResourceManager()) {
    std::deque<std::vector<const std::string*>> compiled;
    std::vector<HostState> states;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      auto& digests = compiled.emplace_back();
      for (const auto& digest : hosts_[i].compiled) digests.push_back(&digest);
      states.push_back({.id = ids_[i],
                        .capacity = &hosts_[i].capacity,
                        .reserved = &hosts_[i].reserved,
                        .capabilities = &hosts_[i].capabilities,
                        .compiled = digests,
                        .load = hosts_[i].load,
                        .draining = hosts_[i].draining});
    }
    std::vector<const v1::ModuleRef*> modules;
    for (const auto& module : modules_) modules.push_back(&module);
    return manager.place({.wanted = &wanted_,
                          .needs = &needs_,
                          .modules = modules,
                          .round_trip_us = &round_trip_us_,
                          .avoid = avoid_,
                          .only = only_},
                         states);
  }

  static std::string refusal_of(const PlacementAnswer& answer, const std::string& host) {
    for (const auto& score : answer.reason.scores()) {
      if (score.host_id() == host) return score.refused_because();
    }
    return "not in the answer";
  }

  v1::Resources wanted_ = resources(100, 100);
  v1::Capabilities needs_;
  std::vector<v1::ModuleRef> modules_;
  google::protobuf::Map<std::string, std::uint32_t> round_trip_us_;
  std::vector<std::string> avoid_;
  std::string only_;

 private:
  std::vector<std::string> ids_;
  std::deque<Host> hosts_;
};

TEST_F(Placement, without_hosts_there_is_no_choice_and_the_reason_says_so) {
  const auto answer = place();
  EXPECT_FALSE(answer.host);
  EXPECT_EQ(answer.refusal(), "no host is registered");
}

TEST_F(Placement, of_equal_hosts_the_lower_name_wins) {
  host("b");
  host("a");
  EXPECT_EQ(place().host, "a");
}

TEST_F(Placement, of_equal_hosts_managers_do_not_all_take_the_same_but_never_a_worse_one) {
  for (int i = 0; i < 20; ++i) host("host-" + std::to_string(i));
  host("a-busy").load = 0.9;
  std::set<std::string> taken;
  for (int i = 0; i < 10; ++i) {
    const ResourceManager manager(Preference::spread, {}, "m" + std::to_string(i));
    const auto answer = place(manager);
    ASSERT_TRUE(answer.host);
    EXPECT_EQ(place(manager).host, answer.host) << "a manager has one order";
    EXPECT_NE(*answer.host, "a-busy");
    taken.insert(*answer.host);
  }
  EXPECT_GT(taken.size(), 3U);
}

TEST_F(Placement, what_does_not_fit_is_refused_with_the_reason) {
  host("memory").reserved = resources(901, 0);
  host("cpu").reserved = resources(0, 901);
  host("gpu").reserved = resources(0, 0, 1);
  host("draining").draining = true;
  host("avoided");
  host("good");
  wanted_ = resources(100, 100, 1);
  avoid_ = {"avoided"};
  const auto answer = place();
  EXPECT_EQ(answer.host, "good");
  EXPECT_THAT(refusal_of(answer, "memory"), HasSubstr("memory"));
  EXPECT_THAT(refusal_of(answer, "cpu"), HasSubstr("processor"));
  EXPECT_THAT(refusal_of(answer, "gpu"), HasSubstr("GPU"));
  EXPECT_EQ(refusal_of(answer, "draining"), "draining");
  EXPECT_THAT(refusal_of(answer, "avoided"), HasSubstr("reach"));
  EXPECT_EQ(refusal_of(answer, "good"), "");
}

TEST_F(Placement, exactly_what_is_left_fits) {
  host("full").reserved = resources(900, 900);
  EXPECT_EQ(place().host, "full");
}

TEST_F(Placement, an_amount_that_would_overflow_does_not_fit) {
  host("h").reserved = resources(900, 0);
  wanted_ = resources(~std::uint64_t{0} - 10, 0);
  EXPECT_FALSE(place().host);
}

TEST_F(Placement, capabilities_are_needed_all_of_them) {
  host("none");
  host("cuda").capabilities.add_accelerators("cuda");
  auto& both = host("both").capabilities;
  both.add_accelerators("cuda");
  both.add_models("sha256:1");
  needs_.add_accelerators("cuda");
  needs_.add_models("sha256:1");
  const auto answer = place();
  EXPECT_EQ(answer.host, "both");
  EXPECT_THAT(refusal_of(answer, "none"), HasSubstr("accelerator"));
  EXPECT_THAT(refusal_of(answer, "cuda"), HasSubstr("model"));
}

TEST_F(Placement, the_host_that_was_asked_for_or_none) {
  host("a");
  host("b");
  only_ = "b";
  EXPECT_EQ(place().host, "b");
  only_ = "c";
  EXPECT_FALSE(place().host);
}

TEST_F(Placement, less_load_is_better) {
  host("a").load = 0.9;
  host("b").load = 0.1;
  EXPECT_EQ(place().host, "b");
}

TEST_F(Placement, a_nearer_host_is_better_and_an_unmeasured_one_in_between) {
  host("far");
  host("near");
  host("unknown");
  round_trip_us_["far"] = 100'000;
  round_trip_us_["near"] = 1'000;
  const auto answer = place();
  EXPECT_EQ(answer.host, "near");
  EXPECT_EQ(answer.reason.scores(1).host_id(), "unknown");
}

TEST_F(Placement, a_host_that_has_the_module_compiled_is_better) {
  host("a");
  host("b").compiled = {"sha256:1", "sha256:2"};
  modules_.emplace_back().set_digest("sha256:2");
  EXPECT_EQ(place().host, "b");
}

TEST_F(Placement, spread_takes_the_emptier_host_and_pack_the_fuller_one) {
  host("empty");
  host("used").reserved = resources(500, 500);
  EXPECT_EQ(place(ResourceManager(Preference::spread)).host, "empty");
  EXPECT_EQ(place(ResourceManager(Preference::pack)).host, "used");
}

TEST_F(Placement, sessions_spread_though_one_host_is_a_little_nearer_and_has_their_module) {
  Host& near = host("near");
  Host& other = host("other");
  modules_.emplace_back().set_digest("sha256:1");
  round_trip_us_["near"] = 60;
  round_trip_us_["other"] = 150;
  wanted_ = resources(50, 50);
  int at_near = 0;
  for (int i = 0; i < 8; ++i) {
    const auto answer = place();
    ASSERT_TRUE(answer.host);
    Host& chosen = *answer.host == "near" ? near : other;
    at_near += &chosen == &near ? 1 : 0;
    chosen.compiled = {"sha256:1"};
    add(chosen.reserved, wanted_);
  }
  EXPECT_GE(at_near, 3);
  EXPECT_LE(at_near, 6);
}

TEST_F(Placement, the_reason_has_the_best_first_and_is_bounded) {
  for (int i = 0; i < 100; ++i) host("h" + std::to_string(i)).load = i / 100.0;
  const auto answer = place();
  ASSERT_EQ(answer.reason.scores_size(), 16);
  EXPECT_EQ(answer.reason.scores(0).host_id(), *answer.host);
  for (int i = 1; i < 16; ++i) {
    EXPECT_GE(answer.reason.scores(i - 1).total(), answer.reason.scores(i).total());
  }
}

TEST_F(Placement, the_refusal_counts_the_reasons) {
  host("a").draining = true;
  host("b").draining = true;
  host("c").reserved = resources(1000, 0);
  EXPECT_EQ(place().refusal(), "no host has room: 2 draining, 1 has not enough memory left");
}

TEST(ResourceSums, never_go_below_zero) {
  v1::Resources sum = resources(5, 5, 0);
  subtract(sum, resources(6, 1, 1));
  EXPECT_EQ(sum.memory_bytes(), 0U);
  EXPECT_EQ(sum.cpu_millicores(), 4U);
  EXPECT_EQ(sum.gpus(), 0U);
}

}  // namespace
}  // namespace aloft::cluster
