// Calls of elastic functions from everywhere go through the dispatcher: real builds of one module,
// linked as applications link it, plainly and with -flto.

#include "calls.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "calls.aloft.h"
#include "function/binding.h"
#include <aloft/dispatch.h>

namespace {

// Names the calls that reach the dispatcher, and computes them here.
class Calls : public ::testing::Test {
 protected:
  void SetUp() override {
    aloft::RuntimeOptions options;
    options.on_call = [this](const aloft::CallRecord& record) {
      seen_.emplace_back(record.function);
    };
    auto runtime = aloft::Runtime::create(std::move(options));
    ASSERT_TRUE(runtime.has_value()) << runtime.error().message;
    runtime_ = *std::move(runtime);
    aloft::bind(*runtime_);
  }

  // The calls since the last time.
  std::vector<std::string> seen() { return std::exchange(seen_, {}); }

  std::vector<std::string> seen_;
  std::unique_ptr<aloft::Runtime> runtime_;
};

using Names = std::vector<std::string>;

TEST_F(Calls, from_the_same_file_dispatch) {
  EXPECT_EQ(calls::call_in_same_file(1), 13);
  EXPECT_EQ(seen(), Names({"calls::add", "calls::defined_only_here"}));
}

TEST_F(Calls, from_before_the_definition_dispatch) {
  EXPECT_EQ(calls::call_before_definition(1), 2);
  EXPECT_EQ(seen(), Names({"calls::add"}));
}

TEST_F(Calls, from_another_file_dispatch) {
  EXPECT_EQ(calls::call_in_other_file(1), 3);
  EXPECT_EQ(seen(), Names({"calls::add"}));
}

TEST_F(Calls, from_a_static_library_dispatch) {
  EXPECT_EQ(calls::call_in_static_library(1), 4);
  EXPECT_EQ(seen(), Names({"calls::add"}));
}

TEST_F(Calls, through_a_pointer_dispatch) {
  int (*const pointer)(int, int) = &calls::add;
  EXPECT_EQ(pointer(1, 4), 5);
  EXPECT_EQ(seen(), Names({"calls::add"}));
}

TEST_F(Calls, of_overloads_reach_the_right_one) {
  EXPECT_EQ(calls::overloaded(7), 7);
  EXPECT_EQ(calls::overloaded("four"), 4);
  EXPECT_EQ(seen(), Names({"calls::overloaded", "calls::overloaded"}));
}

TEST_F(Calls, inside_a_tagged_body_stay_in_place) {
  EXPECT_EQ(calls::sum(std::vector<std::int32_t>{1, 2, 3}), 6);
  EXPECT_EQ(calls::factorial(5), 120);
  EXPECT_EQ(seen(), Names({"calls::sum", "calls::factorial"}));
}

TEST_F(Calls, keep_default_arguments) {
  EXPECT_EQ(calls::add(1), 11);
  EXPECT_EQ(seen(), Names({"calls::add"}));
}

TEST_F(Calls, in_the_asynchronous_form_give_a_future) {
  aloft::Future<int> future = calls::add_async(1, 2);
  const aloft::Result<int> result = future.get();
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(*result, 3);
}

TEST_F(Calls, that_cannot_go_on_throw_what_the_function_said) {
  try {
    calls::gives_up(3);
    FAIL() << "returned";
  } catch (const aloft::CallFailed& failure) {
    EXPECT_STREQ(failure.what(), "no use: 3");
  }
}

TEST(Unbound, calls_run_here) {
  EXPECT_EQ(calls::call_in_same_file(1), 13);
  EXPECT_EQ(calls::add_async(2, 2).get().value(), 4);
}

TEST(Descriptor, of_the_module_has_the_functions_of_its_sources) {
  const std::vector<const aloft::ModuleDescriptor*> modules = aloft::function::registered_modules();
  ASSERT_EQ(modules.size(), 1U);
  const aloft::ModuleDescriptor& module = *modules[0];
  EXPECT_TRUE(module.name.starts_with("compiler_calls"));
  EXPECT_TRUE(module.digest.starts_with("sha256:"));
  EXPECT_EQ(module.functions.size(), 16U);
  for (std::uint32_t i = 0; i < module.functions.size(); ++i) {
    EXPECT_EQ(module.functions[i].index, i);
    EXPECT_EQ(module.functions[i].module, &module);
    for (std::uint32_t j = 0; j < i; ++j)
      EXPECT_NE(module.functions[i].export_name, module.functions[j].export_name);
  }
}

}  // namespace
