// An object's state: kept from call to call, and carried between edges and home, whatever language
// the guest is in.
#include <gtest/gtest.h>

#include "world.h"
#include <aloft/object.h>

namespace aloft::testing {
namespace {

using conformance::Notebook;

class State : public ConformanceTest {
 protected:
  static void move(Notebook& notebook, Location to) {
    const auto moved = move_to(notebook, to);
    ASSERT_TRUE(moved) << moved.error().message;
  }
};
class Move : public State {};

TEST_F(State, is_what_the_calls_before_made_it) {
  Notebook notebook;
  move(notebook, guest_location());
  std::int64_t weight = 0;
  Random random;
  std::vector<std::string> lines;
  for (std::uint32_t i = 1; i <= 200; ++i) {
    lines.push_back(random.text());
    const auto more = random.integer<std::int32_t>();
    weight += more;
    ASSERT_EQ(notebook.write(lines.back(), more), i);
    ASSERT_EQ(notebook.weight(), weight);
  }
  for (std::uint32_t i = 0; i < lines.size(); ++i) ASSERT_EQ(notebook.line(i), lines[i]);
  notebook.clear();
  EXPECT_EQ(notebook.weight(), 0);
  EXPECT_EQ(notebook.write("anew", 1), 1U);
  move(notebook, Location::here());
}

TEST_F(State, of_two_objects_is_not_mixed_up) {
  Notebook first;
  Notebook second;
  move(first, guest_location());
  move(second, guest_location());
  for (std::uint32_t i = 1; i <= 20; ++i) {
    ASSERT_EQ(first.write("first", 1), i);
    ASSERT_EQ(second.write("second", 2), i);
  }
  EXPECT_EQ(first.weight(), 20);
  EXPECT_EQ(second.weight(), 40);
  EXPECT_EQ(first.line(19), "first");
  EXPECT_EQ(second.line(0), "second");
  move(first, Location::here());
  move(second, Location::here());
}

TEST_F(Move, carries_the_state_between_two_edges_and_home) {
  Notebook notebook;
  std::vector<std::string> lines;
  std::int64_t weight = 0;
  Random random;
  for (std::uint32_t round = 0; round < 6; ++round) {
    // Where the guest runs here as well, the state comes by here, and is changed here.
    const bool is_here = guest_place() == Place::here && round % 3 == 2;
    move(notebook, is_here ? Location::here() : Location::edge(round % 2));
    for (int i = 0; i < 5; ++i) {
      lines.push_back(random.text());
      weight += random.integer<std::int8_t>() + std::int64_t{1} * round;
      const std::int64_t before = notebook.weight();
      ASSERT_EQ(notebook.write(lines.back(), weight - before), lines.size());
    }
  }
  ASSERT_EQ(notebook.weight(), weight);
  move(notebook, Location::here());
  EXPECT_EQ(notebook.weight_here(), weight);
  EXPECT_EQ(notebook.lines_here(), lines);
}

TEST_F(Move, of_a_fresh_object_carries_what_its_constructor_made) {
  Notebook notebook;
  move(notebook, Location::edge(1));
  move(notebook, Location::edge(0));
  EXPECT_EQ(notebook.weight(), 0);
  move(notebook, Location::here());
  EXPECT_TRUE(notebook.lines_here().empty());
}

}  // namespace
}  // namespace aloft::testing
