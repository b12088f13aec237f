// A trap names the line of the guest's source, whether the module was compiled just now or comes
// from the cache.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <unistd.h>

#include "runtime/testing/fixture.h"
#include "test_paths.h"

namespace aloft::runtime {
namespace {

namespace fs = std::filesystem;

Trap trap_of_guest(const fs::path& cache, std::uint64_t expected_compilations) {
  auto engine = Engine::create({.cache_dir = cache});
  if (!engine) {
    ADD_FAILURE() << engine.error().message;
    return {};
  }
  std::ifstream file(aloft::testing::binary_dir() / "tests/divide.wasm", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto module = (*engine)->load(std::as_bytes(std::span(text)));
  EXPECT_TRUE(module.has_value());
  EXPECT_EQ((*engine)->compilations(), expected_compilations);
  testing::Services services;
  auto instance = Instance::create(*module, {}, services, testing::soon());
  EXPECT_TRUE(instance.has_value());
  const auto result = (*instance)->run("run", testing::soon());
  EXPECT_FALSE(result.has_value());
  return std::get<Trap>(result.error());
}

TEST(Backtrace, names_the_line_in_the_guests_source_also_from_the_cache) {
  std::string name = fs::temp_directory_path() / "aloft-backtrace-test-XXXXXX";
  const fs::path folder = ::mkdtemp(name.data());
  for (const std::uint64_t compilations : {std::uint64_t{1}, std::uint64_t{0}}) {
    const Trap trap = trap_of_guest(folder / "cache", compilations);
    EXPECT_EQ(trap.kind, TrapKind::arithmetic);
    ASSERT_GE(trap.backtrace.size(), 2U) << trap.backtrace_text();
    EXPECT_EQ(trap.backtrace[0].function, "divide");
    EXPECT_TRUE(trap.backtrace[0].file.ends_with("divide.c")) << trap.backtrace_text();
    EXPECT_EQ(trap.backtrace[0].line, 3U);
    EXPECT_EQ(trap.backtrace[1].function, "run");
    EXPECT_NE(to_error(trap).message.find("divide.c:3"), std::string::npos)
        << to_error(trap).message;
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace aloft::runtime
