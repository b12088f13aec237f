// Calls of elastic functions from everywhere go through the dispatcher: real builds of one module,
// linked as applications link it, plainly and with -flto.

#include "calls.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "calls.aloft.h"
#include "counter.h"
#include "function/binding.h"
#include <aloft/detail/encoded_run.h>
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

TEST_F(Calls, of_functions_with_effects_dispatch) {
  EXPECT_EQ(calls::draw(1), 2);
  calls::announce("said");
  EXPECT_TRUE(calls::announce_async("said again").get().has_value());
  EXPECT_EQ(seen(), Names({"calls::draw", "calls::announce", "calls::announce"}));
}

TEST_F(Calls, of_methods_from_the_same_file_dispatch) {
  calls::Counter counter;
  EXPECT_EQ(calls::count_in_same_file(counter), 120);
  EXPECT_EQ(seen(), Names({"calls::Counter::add", "calls::Counter::add"}));
}

TEST_F(Calls, of_methods_from_other_files_and_libraries_dispatch) {
  calls::Counter counter(100);
  EXPECT_EQ(calls::count_in_other_file(counter), 102);
  EXPECT_EQ(calls::count_in_static_library(counter), 105);
  EXPECT_EQ(seen(), Names({"calls::Counter::add", "calls::Counter::add"}));
}

TEST_F(Calls, of_overloaded_methods_reach_the_right_one) {
  calls::Counter counter;
  EXPECT_EQ(counter.add(), 1);
  EXPECT_EQ(counter.add("a", {1, 2}), 2);
  EXPECT_EQ(counter.entries(), (std::vector<calls::Counter::Entry>{{"a", {1, 2}, {}}}));
  counter.clear();
  EXPECT_TRUE(counter.entries().empty());
  EXPECT_EQ(seen(), Names({"calls::Counter::add", "calls::Counter::add", "calls::Counter::entries",
                           "calls::Counter::clear", "calls::Counter::entries"}));
}

TEST_F(Calls, inside_a_tagged_method_stay_in_place) {
  calls::Counter counter;
  EXPECT_EQ(counter.add_twice(4), 8);
  EXPECT_EQ(seen(), Names({"calls::Counter::add_twice"}));
}

TEST_F(Calls, through_a_pointer_to_member_dispatch) {
  calls::Counter counter(3);
  std::int64_t (calls::Counter::* const pointer)() const = &calls::Counter::total;
  EXPECT_EQ((counter.*pointer)(), 3);
  EXPECT_EQ(seen(), Names({"calls::Counter::total"}));
}

TEST_F(Calls, of_methods_in_the_asynchronous_form_keep_their_order) {
  calls::Counter counter;
  aloft::Future<std::int64_t> first = add_async(counter, 1);
  aloft::Future<std::int64_t> second = add_async(counter, 2);
  aloft::Future<std::int64_t> third = total_async(std::as_const(counter));
  aloft::Future<std::monostate> fourth = clear_async(counter);
  EXPECT_EQ(first.get().value(), 1);
  EXPECT_EQ(second.get().value(), 3);
  EXPECT_EQ(third.get().value(), 3);
  EXPECT_TRUE(fourth.get().has_value());
}

TEST_F(Calls, of_methods_that_cannot_go_on_throw_what_they_said) {
  calls::Counter counter;
  try {
    (void)counter.gives_up(3);
    FAIL() << "returned";
  } catch (const aloft::CallFailed& failure) {
    EXPECT_STREQ(failure.what(), "no use: 3");
  }
}

TEST(Unbound, methods_run_here) {
  calls::Counter counter(1);
  EXPECT_EQ(calls::count_in_same_file(counter), 122);
  EXPECT_EQ(add_async(counter, 2).get().value(), 113);
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
  EXPECT_EQ(module.functions.size(), 28U);
  for (std::uint32_t i = 0; i < module.functions.size(); ++i) {
    EXPECT_EQ(module.functions[i].index, i);
    EXPECT_EQ(module.functions[i].module, &module);
    for (std::uint32_t j = 0; j < i; ++j)
      EXPECT_NE(module.functions[i].export_name, module.functions[j].export_name);
  }
}

const aloft::FunctionDescriptor* find(const aloft::detail::Identity& identity) {
  const auto& functions = aloft::function::registered_modules().at(0)->functions;
  const auto found = std::ranges::find(functions, identity, &aloft::FunctionDescriptor::identity);
  return found == functions.end() ? nullptr : &*found;
}

TEST(Descriptor, is_found_by_what_a_caller_has_of_the_function) {
  using aloft::detail::identity_of;
  using calls::Counter;
  const auto* add = find(identity_of(&calls::add));
  ASSERT_NE(add, nullptr);
  EXPECT_EQ(add->qualified_name, "calls::add");
  EXPECT_EQ(add->object, nullptr);
  EXPECT_FALSE(add->once);
  const auto* draw = find(identity_of(&calls::draw));
  ASSERT_NE(draw, nullptr);
  EXPECT_TRUE(draw->once);
  const auto* by =
      find(identity_of(static_cast<std::int64_t (Counter::*)(std::int64_t)>(&Counter::add)));
  const auto* named = find(
      identity_of(static_cast<std::int64_t (Counter::*)(const std::string&, std::vector<float>)>(
          &Counter::add)));
  ASSERT_NE(by, nullptr);
  ASSERT_NE(named, nullptr);
  EXPECT_NE(by, named);
  EXPECT_EQ(by->qualified_name, "calls::Counter::add");
  EXPECT_EQ(named->qualified_name, "calls::Counter::add");
  ASSERT_NE(by->object, nullptr);
  EXPECT_EQ(by->object, named->object);
  EXPECT_EQ(find(identity_of(&calls::call_in_same_file)), nullptr);
}

TEST(Descriptor, of_the_module_has_its_classes) {
  const aloft::ModuleDescriptor& module = *aloft::function::registered_modules().at(0);
  ASSERT_EQ(module.objects.size(), 2U);
  for (std::uint32_t i = 0; i < module.objects.size(); ++i) {
    EXPECT_EQ(module.objects[i].index, i);
    EXPECT_EQ(module.objects[i].module, &module);
    EXPECT_EQ(module.objects[i].state_hash.size(), 64U);
  }
  EXPECT_EQ(module.objects[0].qualified_name, "calls::Counter");
  EXPECT_EQ(module.objects[1].qualified_name, "calls::Switch");
  EXPECT_NE(module.objects[0].state_hash, module.objects[1].state_hash);
  calls::Counter counter;
  const aloft::detail::CalledObject called = aloft::detail::ObjectAccess::called(counter);
  EXPECT_EQ(called.object_class, module.objects.data());
  EXPECT_EQ(called.object, &counter);
  EXPECT_EQ(called.native()->object(), &counter);
}

template <class... P>
std::vector<std::byte> encoded(const P&... arguments) {
  aloft::codec::Writer writer;
  aloft::codec::write_arguments(writer, arguments...);
  std::vector<std::byte> bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

TEST(EncodedRun, computes_natively_what_the_function_computes) {
  const auto* add = find(aloft::detail::identity_of(&calls::add));
  const auto sum = add->run_encoded(nullptr, encoded(40, 2));
  ASSERT_TRUE(sum.has_value()) << sum.error().message;
  EXPECT_EQ(aloft::codec::decode<int>(*sum).value(), 42);
  const auto* announce = find(aloft::detail::identity_of(&calls::announce));
  EXPECT_EQ(announce->run_encoded(nullptr, encoded(std::string("hello"))).value(),
            std::vector{std::byte{0xc0}});
}

TEST(EncodedRun, runs_a_method_on_the_object_it_is_given) {
  calls::Counter counter(1);
  const auto* add = find(aloft::detail::identity_of(&calls::Counter::add_twice));
  const auto total = add->run_encoded(&counter, encoded(std::int64_t{20}));
  ASSERT_TRUE(total.has_value()) << total.error().message;
  EXPECT_EQ(aloft::codec::decode<std::int64_t>(*total).value(), 41);
  EXPECT_EQ(counter.total(), 41);
}

TEST_F(Calls, within_an_encoded_run_stay_in_place) {
  calls::Counter counter(1);
  const auto* add = find(aloft::detail::identity_of(&calls::Counter::add_twice));
  EXPECT_TRUE(add->run_encoded(&counter, encoded(std::int64_t{20})).has_value());
  EXPECT_EQ(seen(), Names());
  EXPECT_EQ(calls::add(1), 11);  // and later ones do not
  EXPECT_EQ(seen(), Names({"calls::add"}));
}

TEST(EncodedRun, says_why_there_is_no_result) {
  const auto* add = find(aloft::detail::identity_of(&calls::add));
  EXPECT_EQ(add->run_encoded(nullptr, encoded(1)).error().code, aloft::Errc::protocol);
  calls::Counter counter;
  const auto* gives_up = find(aloft::detail::identity_of(&calls::Counter::gives_up));
  const auto given_up = gives_up->run_encoded(&counter, encoded(7));
  ASSERT_FALSE(given_up.has_value());
  EXPECT_EQ(given_up.error().code, aloft::Errc::trapped);
  EXPECT_EQ(given_up.error().message, "no use: 7");
  EXPECT_EQ(find(aloft::detail::identity_of(&calls::out_of_range))
                ->run_encoded(nullptr, encoded(3))
                .error()
                .code,
            aloft::Errc::internal);
}

}  // namespace
