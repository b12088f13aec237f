// Guests in other languages as versions of a C++ module: the program has the native version, an
// edge goes from one language to the next, and an object takes its state along.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "conformance.aloft.h"
#include "conformance.h"
#include "inference/testing/onnx_writer.h"
#include "support/demo.h"
#include "support/temp_dir.h"
#include "test_paths.h"
#include <aloft/function.h>
#include <aloft/object.h>
#include <aloft/runtime.h>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

TEST(Versions, of_a_module_are_in_any_language_while_its_object_goes_on) {
  const TempDir cache;
  const auto model = inference::testing::doubling_model({1});
  write_file(cache.path() / "doubling.onnx", model);
  auto edge = DemoEdge::start(cache.path());
  ASSERT_TRUE(edge) << edge.error().message;
  RuntimeOptions options;
  options.edges = {"127.0.0.1:" + std::to_string(edge->port())};
  options.models = {{"doubling", cache.path() / "doubling.onnx"}};
  options.policy = remote_policy();
  options.call_timeout = 60s;
  options.functions["conformance::language"].fallback = Fallback::none;
  auto runtime = Runtime::create(std::move(options));
  ASSERT_TRUE(runtime) << runtime.error().message;
  bind(**runtime);
  const auto ready = (*runtime)->wait_for_edge(120s);
  ASSERT_TRUE(ready) << ready.error().message << edge->process().transcript();

  conformance::Notebook notebook;
  const auto moved = move_to(notebook, Location::edge(0));
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(conformance::language(), "cpp");
  std::int64_t weight = 0;
  std::uint32_t lines = 0;
  for (const std::string& language : ALOFT_TEST_LANGUAGES) {
    UpgradeOptions patient;
    patient.timeout = 120s;
    const auto upgraded = (*runtime)->upgrade(
        "conformance", binary_dir() / ("modules/conformance_" + language + ".wasm"), patient);
    ASSERT_TRUE(upgraded) << language << ": " << upgraded.error().message;
    EXPECT_EQ(conformance::language(), language);
    weight += 7;
    ASSERT_EQ(notebook.write(language, 7), ++lines);
    ASSERT_EQ(notebook.weight(), weight);
    ASSERT_EQ(notebook.line(0), "c") << "the line that the first version wrote";
  }
  {
    const PlaceScope here(Place::here);
    EXPECT_EQ(conformance::language(), "cpp") << "what runs here stays the native version";
  }
  const auto home = move_to(notebook, Location::here());
  ASSERT_TRUE(home) << home.error().message;
  EXPECT_EQ(notebook.lines_here().size(), lines);
  EXPECT_EQ(notebook.weight_here(), weight);
}

}  // namespace
}  // namespace aloft::testing
