#include "host/process/bounded_log.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

namespace aloft::host {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class BoundedLogTest : public ::testing::Test {
 protected:
  BoundedLogTest() { log_.set_pattern("%l: %v"); }

  BoundedLog::Clock::time_point now_{};
  std::ostringstream out_;
  spdlog::logger log_{
      "guest", std::make_shared<BoundedLog>(std::make_shared<spdlog::sinks::ostream_sink_mt>(out_),
                                            LogBounds{.at_once = 10'000, .per_second = 1000},
                                            [this] { return now_; })};
};

TEST_F(BoundedLogTest, what_is_little_is_written_as_it_is) {
  log_.info("one");
  log_.error("two");
  EXPECT_EQ(out_.str(), "info: one\nerror: two\n");
}

TEST_F(BoundedLogTest, a_guest_that_prints_without_end_fills_no_disk) {
  const std::string line(100, 'x');
  for (int second = 0; second < 10; ++second) {
    for (int i = 0; i < 10'000; ++i) log_.info(line);
    now_ += 1s;
  }
  EXPECT_LT(out_.str().size(), 25'000U);
  EXPECT_THAT(out_.str(), HasSubstr("lines were too many"));
  // After a rest there is room, and what is written says how many are missing.
  now_ += 60s;
  log_.warn("after all that");
  EXPECT_THAT(out_.str(),
              EndsWith("lines were too many, and are not here\nwarning: after all that\n"));
  out_.str("");
  log_.info("again");
  EXPECT_THAT(out_.str(), Not(HasSubstr("too many")));
}

}  // namespace
}  // namespace aloft::host
