#include "host/process/restart_pause.h"

#include <gtest/gtest.h>

namespace aloft::host {
namespace {

using namespace std::chrono_literals;

TEST(RestartPause, there_is_none_after_a_process_that_ran_for_a_while) {
  RestartPause pause;
  EXPECT_EQ(pause.after_end(1h), 0ms);
  EXPECT_EQ(pause.after_end(1s), 0ms);
}

TEST(RestartPause, it_doubles_up_to_a_bound_while_processes_end_at_once_or_do_not_start) {
  RestartPause pause;
  EXPECT_EQ(pause.after_end(0s), 100ms);
  EXPECT_EQ(pause.after_failure(), 200ms);
  EXPECT_EQ(pause.after_end(999ms), 400ms);
  for (int i = 0; i < 100; ++i) (void)pause.after_failure();
  EXPECT_EQ(pause.after_end(0s), 5s);
}

TEST(RestartPause, it_begins_anew_after_a_process_that_ran) {
  RestartPause pause;
  for (int i = 0; i < 10; ++i) (void)pause.after_failure();
  EXPECT_EQ(pause.after_end(2s), 0ms);
  EXPECT_EQ(pause.after_end(0s), 100ms);
}

}  // namespace
}  // namespace aloft::host
