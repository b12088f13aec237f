// A bound function that runs here costs no heap allocation of aloft's own: counted by a replaced
// operator new.
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "device/testing/demo_module.h"
#include <aloft/runtime.h>

namespace {

thread_local int allocations = 0;

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace aloft {
namespace {

TEST(Allocation, a_bound_call_that_runs_here_allocates_nothing) {
  const demo::Registered module;
  int recorded = 0;
  RuntimeOptions options;
  options.policy = every_policy(1'000'000);
  options.on_call = [&](const CallRecord& record) {
    recorded += record.place == Place::here ? 1 : 0;
  };
  const auto runtime = Runtime::create(std::move(options)).value();
  bind(*runtime);
  const int before = allocations;
  ASSERT_EQ(demo::add(1, 2), 3);
  ASSERT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(allocations - before, 0);
  EXPECT_EQ(recorded, 2);
}

}  // namespace
}  // namespace aloft
