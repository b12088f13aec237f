// The examples of guest/: modules in four languages, called by one program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assemblyscript/example/scale.h"
#include "c/example/scale.h"
#include "go/example/scale.h"
#include "rust/example/scale.h"
#include "scale_assemblyscript.aloft.h"
#include "scale_c.aloft.h"
#include "scale_go.aloft.h"
#include "scale_rust.aloft.h"
#include "support/demo.h"
#include "support/temp_dir.h"
#include <aloft/function.h>
#include <aloft/runtime.h>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Examples, in_four_languages_answer_one_program) {
  const TempDir cache;
  auto edge = DemoEdge::start(cache.path());
  ASSERT_TRUE(edge) << edge.error().message;
  RuntimeOptions options;
  options.edges = {"127.0.0.1:" + std::to_string(edge->port())};
  options.policy = remote_policy();
  options.call_timeout = 60s;
  auto runtime = Runtime::create(std::move(options));
  ASSERT_TRUE(runtime) << runtime.error().message;
  bind(**runtime);
  const auto ready = (*runtime)->wait_for_edge(120s);
  ASSERT_TRUE(ready) << ready.error().message << edge->process().transcript();

  const std::vector<double> numbers{1, -2, 0.5};
  EXPECT_THAT(in_c::scaled(numbers, 2), ElementsAre(2, -4, 1));
  EXPECT_THAT(in_rust::scaled(numbers, 3), ElementsAre(3, -6, 1.5));
  EXPECT_THAT(in_go::scaled(numbers, 4), ElementsAre(4, -8, 2));
  EXPECT_THAT(in_assemblyscript::scaled(numbers, 5), ElementsAre(5, -10, 2.5));
  EXPECT_THAT(in_go::scaled_async({}, 4).get().value(), ElementsAre());
}

TEST(Examples, say_what_to_do_where_there_is_no_edge) {
  const auto here = in_rust::scaled_async({}, 1).get();
  ASSERT_FALSE(here);
  EXPECT_EQ(here.error().code, Errc::refused);
  EXPECT_THAT(here.error().message, HasSubstr("in_rust::scaled has no version for this device"));
  EXPECT_THAT(here.error().message, HasSubstr("wait_for_edge"));
}

}  // namespace
}  // namespace aloft::testing
