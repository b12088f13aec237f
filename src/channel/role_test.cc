#include "channel/role.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace aloft::channel {
namespace {

// This thread is the I/O thread of these tests.
TEST(RoleTest, one_thread_at_a_time_has_it) {
  Role role;
  ASSERT_TRUE(role.try_take());
  EXPECT_TRUE(role.is_mine());
  std::atomic<bool> taken = false;
  std::thread other([&] {
    EXPECT_FALSE(role.is_mine());
    role.take();
    taken = true;
    EXPECT_FALSE(role.give_back());
  });
  EXPECT_FALSE(taken);
  EXPECT_FALSE(role.give_back());
  other.join();
  EXPECT_TRUE(taken);
  EXPECT_FALSE(role.is_mine());
}

TEST(RoleTest, the_io_thread_is_called_when_what_it_found_taken_is_free) {
  Role role;
  std::atomic<bool> has = false;
  std::atomic<bool> enough = false;
  std::atomic<bool> called = false;
  std::thread other([&] {
    role.take();
    has = true;
    has.notify_all();
    enough.wait(false);
    called = role.give_back();
  });
  has.wait(false);
  EXPECT_FALSE(role.try_take());
  role.leave([](Link&) {});
  std::vector<Role::Task> tasks;
  EXPECT_FALSE(role.try_take_for(tasks));
  enough = true;
  enough.notify_all();
  other.join();
  EXPECT_TRUE(called);

  // It goes first: what waits is done before anything new.
  EXPECT_FALSE(role.try_take());
  EXPECT_TRUE(role.try_take_for(tasks));
  EXPECT_EQ(tasks.size(), 1U);
  EXPECT_FALSE(role.give_back());
  role.let_others();
}

TEST(RoleTest, others_wait_until_the_io_thread_has_been) {
  Role role;
  role.take_first();
  std::vector<Role::Task> tasks;
  std::thread comes([&] { EXPECT_FALSE(role.try_take_for(tasks)); });
  comes.join();
  EXPECT_TRUE(role.give_back());

  std::atomic<bool> taken = false;
  std::thread other([&] {
    role.take();
    taken = true;
    (void)role.give_back();
  });
  // The role is free, and still the other one does not get it before the I/O thread.
  EXPECT_TRUE(role.try_take_for(tasks));
  EXPECT_FALSE(taken);
  EXPECT_FALSE(role.give_back());
  role.let_others();
  other.join();
  EXPECT_TRUE(taken);
}

// Threads that take it again and again, and an I/O thread that never waits for it, but is called.
TEST(RoleTest, no_turn_of_the_io_thread_is_lost) {
  constexpr int kTimesInVain = 100;
  Role role;
  std::atomic<bool> end = false;
  std::atomic<int> calls = 0;
  int inside = 0;  // the role's
  std::vector<std::thread> others;
  for (int i = 0; i < 2; ++i) {
    others.emplace_back([&] {
      while (!end) {
        role.take();
        EXPECT_EQ(inside++, 0);
        std::this_thread::yield();
        --inside;
        if (role.give_back()) {
          calls.fetch_add(1);
          calls.notify_all();
        }
      }
    });
  }
  int left = 0;
  int turns = 0;
  std::vector<Role::Task> tasks;
  for (int in_vain = 0; in_vain < kTimesInVain;) {
    role.leave([](Link&) {});
    ++left;
    for (;;) {
      const int before = calls;
      if (role.try_take_for(tasks)) break;
      ++in_vain;
      calls.wait(before);
    }
    EXPECT_EQ(inside++, 0);
    turns += static_cast<int>(tasks.size());
    --inside;
    EXPECT_FALSE(role.give_back());
    role.let_others();
  }
  end = true;
  for (std::thread& other : others) other.join();
  EXPECT_EQ(turns, left);
}

}  // namespace
}  // namespace aloft::channel
