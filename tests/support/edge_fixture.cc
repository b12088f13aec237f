#include "support/edge_fixture.h"

#include <iostream>
#include <utility>

namespace aloft::testing {

using namespace std::chrono_literals;

void EdgeFixture::TearDown() {
  if (HasFailure() && edge_) std::cerr << edge_->process().transcript() << "\n";
}

void EdgeFixture::start(std::vector<std::string> arguments) {
  edge_.reset();
  auto started = DemoEdge::start({.cache = cache_.path(),
                                  .host = "127.0.0.1",
                                  .port = 0,
                                  .repository = {},
                                  .arguments = std::move(arguments),
                                  .on = {}});
  ASSERT_TRUE(started) << started.error().message;
  edge_.emplace(std::move(*started));
}

void EdgeFixture::expect_served(RawUe& ue) {
  ASSERT_TRUE(ue.wait_up(5s)) << edge_->process().transcript();
  const auto module = ue.open(probe_, {});
  ASSERT_TRUE(module) << module.error().message;
  EXPECT_EQ(ue.call(*module, "probe::join", arguments("a", "b")).get<std::string>(), "ab");
}

}  // namespace aloft::testing
