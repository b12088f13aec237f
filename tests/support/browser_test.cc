#include "browser.h"

#include <chrono>
#include <memory>

#include <gtest/gtest.h>
#include <signal.h>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

TEST(BrowserTest, is_ended_at_once_also_where_it_does_nothing_more) {
  auto browser = Browser::start();
  ASSERT_TRUE(browser.has_value()) << browser.error().message;
  ASSERT_TRUE((*browser)->open("about:blank").has_value());
  ASSERT_GT((*browser)->process(), 1);
  ASSERT_EQ(::kill((*browser)->process(), SIGSTOP), 0);
  const auto begun = std::chrono::steady_clock::now();
  browser->reset();
  // Asked to end, it would have had 30 s for it.
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 20s);
}

}  // namespace
}  // namespace aloft::testing
