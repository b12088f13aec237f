// What `aloft new` writes whatever the language of the function is: each file's name and text, in
// which @NAME@ is the project's, and the rest is the language's (project_languages.h).
#pragma once

#include <array>
#include <string_view>

namespace aloft::cli {

struct ProjectFile {
  std::string_view name;
  std::string_view text;
};

inline constexpr std::array kCommonFiles = std::to_array<ProjectFile>({
    {"CMakeLists.txt", R"(cmake_minimum_required(VERSION 3.25)
project(@NAME@ LANGUAGES C CXX)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_package(aloft REQUIRED)

@MODULE@
add_executable(@NAME@_app main.cc)
target_link_libraries(@NAME@_app PRIVATE @NAME@)
@TEST@)"},
    {"@NAME@.h", R"(#pragma once

#include <cstdint>

#include <aloft/offload.h>

namespace @NAME@ {

// How many primes there are below `limit`.
ALOFT_OFFLOAD std::uint32_t primes_below(std::uint32_t limit);

}  // namespace @NAME@
)"},
    {"main.cc",
     R"(// Calls primes_below once a second. ALOFT_EDGE=HOST:PORT says where an edge is; without it, everything runs here.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include <aloft/function.h>
#include <aloft/live_modules.h>
#include <aloft/runtime.h>

#include "@NAME@.h"

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void tell(const aloft::ModuleChange& change) {
  if (change.report)
    std::printf("module %s: a new version is at the edge\n", change.module.c_str());
  else
    std::printf("module %s: the version before goes on: %s\n", change.module.c_str(),
                change.report.error().message.c_str());
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  aloft::RuntimeOptions options;
  if (const std::string edge = variable("ALOFT_EDGE"); !edge.empty()) {
    options.edges = {edge};
    options.policy = aloft::remote_policy();
  }
  std::string where;  // of the last call
  options.on_call = [&where](const aloft::CallRecord& call) {
    where = call.place == aloft::Place::edge ? "at the edge" : "here";
  };
  auto runtime = aloft::Runtime::create(options);
  if (!runtime) {
    std::fprintf(stderr, "error: %s\n", runtime.error().message.c_str());
    return 1;
  }
  if (!options.edges.empty()) {
    if (auto ready = (*runtime)->wait_for_edge(std::chrono::seconds(30)); !ready)
      std::fprintf(stderr, "warning: %s; calls run here until it is\n", ready.error().message.c_str());
  }
  aloft::bind(**runtime);

  // `aloft dev` puts new versions of the module there.
  std::unique_ptr<aloft::LiveModules> live;
  if (const std::string folder = variable("ALOFT_MODULES"); !folder.empty()) {
    auto followed = aloft::LiveModules::follow(**runtime, folder, tell);
    if (!followed) {
      std::fprintf(stderr, "error: %s\n", followed.error().message.c_str());
      return 1;
    }
    live = *std::move(followed);
  }

  for (;;) {
    try {
      const std::uint32_t count = @NAME@::primes_below(1'000'000);
      std::printf("primes_below(1000000) = %u, %s\n", count, where.c_str());
    } catch (const aloft::CallFailed& failure) {
      std::printf("primes_below(1000000): %s\n", failure.what());
    }
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}
)"},
    {"README.md", R"(# @NAME@

`primes_below` in `@NAME@.h` is tagged `ALOFT_OFFLOAD`: it runs here or at an edge. It is made in `@SOURCE@`.

```
aloft dev ./build/@NAME@_app
```
builds everything, starts an edge on this machine and the program against it, and watches the sources. Change `@SOURCE@` and save: some
seconds later the edge runs the new version, and the program has not stopped. A version that does not compile leaves the one before in place.

By hand:
```
cmake -S . -B build
cmake --build build
ctest --test-dir build
aloft-exec --listen 127.0.0.1:7411 --repository build/modules &
ALOFT_EDGE=127.0.0.1:7411 ./build/@NAME@_app
```
)"},
    {".gitignore", "/build/\n/node_modules/\n/target/\n"},
});

// Of functions that run on the device as well.
inline constexpr std::string_view kTestLines = R"(
enable_testing()
add_executable(@NAME@_test @NAME@_test.cc)
target_link_libraries(@NAME@_test PRIVATE @NAME@)
add_test(NAME @NAME@ COMMAND @NAME@_test)
)";
inline constexpr std::array kTestFiles = std::to_array<ProjectFile>({
    {"@NAME@_test.cc",
     R"(// A tagged function is an ordinary one where no runtime is bound: it is tested as such.
#include <cstdio>

#include "@NAME@.h"

int main() {
  const std::uint32_t count = @NAME@::primes_below(100);
  if (count == 25) return 0;
  std::fprintf(stderr, "primes_below(100) is %u, and should be 25\n", count);
  return 1;
}
)"},
});

}  // namespace aloft::cli
