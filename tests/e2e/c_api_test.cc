// <aloft/aloft.h> as those use it whom it is for: a program in C and one in Python, against the
// shared library and an edge in a process of its own.
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "support/edge_fixture.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

class CApi : public EdgeFixture {
 protected:
  static void expect_ok(std::vector<std::string> command) {
    auto program = Process::start(std::move(command));
    ASSERT_TRUE(program) << program.error().message;
    EXPECT_EQ(program->wait(50s), 0) << program->transcript();
    EXPECT_EQ(program->standard_output(), "ok\n");
  }
  // A scenario of c_device.c, or of another program in C.
  void plays(const std::string& scenario, const char* program = "c_device") const {
    expect_ok({binary_dir() / "tests" / program, scenario, binary_dir() / "modules",
               address().host + ":" + std::to_string(address().port)});
  }
};

TEST_F(CApi, a_program_in_c_calls_a_function_at_the_edge) { plays("at_the_edge"); }
TEST_F(CApi, a_native_version_runs_where_the_policy_says_here) { plays("with_a_native_version"); }
TEST_F(CApi, without_an_edge_the_native_version_runs_or_the_reason_is_told) {
  edge_.reset();
  expect_ok({binary_dir() / "tests/c_device", "without_an_edge", binary_dir() / "modules",
             "127.0.0.1:1"});
}
TEST_F(CApi, each_mistake_has_a_code_and_says_what_to_do) { plays("mistakes"); }
TEST_F(CApi, an_object_moves_with_its_state) { plays("objects"); }
TEST_F(CApi, calls_are_begun_cancelled_and_bounded_in_time) { plays("begun_calls"); }

TEST_F(CApi, results_of_a_channel_come_in_order_while_its_function_moves) {
  plays("to_a_function", "c_channel");
}
TEST_F(CApi, messages_of_a_channel_that_is_here_are_the_native_versions) {
  plays("to_a_native_version", "c_channel");
}
TEST_F(CApi, a_channel_to_an_object_moves_with_its_state) { plays("to_an_object", "c_channel"); }
TEST_F(CApi, a_channel_calls_its_receiver) { plays("with_a_receiver", "c_channel"); }
TEST_F(CApi, each_mistake_with_a_channel_says_what_to_do) { plays("mistakes", "c_channel"); }

TEST_F(CApi, a_cluster_takes_the_place_of_edges) {
  const TempDir folder;
  auto up = Process::start({binary_dir() / "bin/aloft", "up", "--dir", folder.path(), "--listen",
                            "127.0.0.1:0", "--module", binary_dir() / "modules/tally.wasm"});
  ASSERT_TRUE(up) << up.error().message;
  const auto line = up->wait_for_line("its manager at ", 40s);
  ASSERT_TRUE(line) << up->transcript();
  const std::size_t begin = line->find("its manager at ") + 15;
  const std::string manager = line->substr(begin, line->find(". Ctrl-C") - begin);
  expect_ok({binary_dir() / "tests/c_device", "in_a_cluster", binary_dir() / "modules",
             manager + "," + (folder.path() / "cluster").string()});
  up->signal(SIGTERM);
  EXPECT_EQ(up->wait(20s), 0) << up->transcript();
}

TEST_F(CApi, a_program_in_python_needs_the_library_alone) {
  expect_ok({"python3", source_dir() / "tests/e2e/c_device.py",
             binary_dir() / "src/device/libaloft.so", binary_dir() / "modules/tally.wasm",
             address().host + ":" + std::to_string(address().port)});
}

TEST(SharedLibrary, shows_nothing_but_the_public_names_each_with_its_version) {
  auto list = Process::start({"nm", "--dynamic", "--defined-only", "--demangle",
                              "--with-symbol-versions", binary_dir() / "src/device/libaloft.so"});
  ASSERT_TRUE(list) << list.error().message;
  ASSERT_EQ(list->wait(20s), 0) << list->transcript();
  std::istringstream lines(list->standard_output());
  std::size_t of_c = 0;
  std::size_t of_cxx = 0;
  for (std::string line; std::getline(lines, line);) {
    // ADDRESS KIND NAME@@VERSION
    std::string name = line.substr(line.find_first_of("ABDRTVWu", 17) + 2);
    if (name.starts_with("ALOFT_")) continue;
    if (name.ends_with("@@ALOFT_C_1")) {
      EXPECT_TRUE(name.starts_with("aloft_")) << line;
      ++of_c;
      continue;
    }
    EXPECT_TRUE(name.ends_with("@@ALOFT_CXX_0.1")) << line;
    for (const char* const inside : {"aloft::device::", "aloft::function::", "aloft::channel::",
                                     "aloft::inference::", "aloft::wire::", "aloft::c_api::"})
      EXPECT_FALSE(name.starts_with(inside)) << line;
    ++of_cxx;
  }
  EXPECT_EQ(of_c, 68U);
  EXPECT_GT(of_cxx, 50U);
}

}  // namespace
}  // namespace aloft::testing
