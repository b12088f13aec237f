// An elastic object that aloft-cc made for both places: its state goes from one to the other and
// back, bit by bit, and its methods compute the same there.

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "calls.aloft.h"
#include "counter.h"
#include "runtime/testing/fixture.h"
#include "test_paths.h"
#include <aloft/codec.h>
#include <aloft/object.h>

namespace aloft::compiler {
namespace {

using Bytes = std::vector<std::byte>;
using calls::Counter;
using runtime::testing::soon;
using runtime::testing::text_of;

constexpr std::uint32_t kCounter = 0;
constexpr std::uint32_t kSwitch = 1;

Bytes joined(std::span<const std::span<const std::byte>> segments) {
  Bytes bytes;
  for (const auto segment : segments) bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

template <class... P>
Bytes encoded(const P&... arguments) {
  codec::Writer writer;
  codec::write_arguments(writer, arguments...);
  return joined(writer.segments());
}

template <class T>
Bytes saved(T& object) {
  codec::Writer writer;
  detail::ObjectAccess::called(object).native()->save(writer);
  return joined(writer.segments());
}

template <class T>
Result<void> loaded(T& object, std::span<const std::byte> state) {
  return detail::ObjectAccess::called(object).native()->load(state);
}

// Does something to an object, the same whatever it is given.
class Steps {
 public:
  explicit Steps(std::uint64_t seed) : random_(seed) {}
  std::int64_t number() { return static_cast<std::int64_t>(random_() % 1000) - 500; }
  std::string name() { return std::string(random_() % 40, 'a') + std::to_string(random_() % 7); }
  std::vector<float> weights() {
    std::vector<float> weights(random_() % 100);
    for (float& weight : weights) weight = static_cast<float>(number()) / 7;
    return weights;
  }
  std::vector<double> values() {
    std::vector<double> values(random_() % 50);
    for (double& value : values) value = static_cast<double>(number()) / 3;
    return values;
  }
  std::size_t choice(std::size_t of) { return random_() % of; }

 private:
  std::mt19937_64 random_;
};

class ObjectTest : public runtime::testing::RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    std::ifstream in(testing::binary_dir() / "modules/compiler_calls.wasm", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const auto bytes = std::as_bytes(std::span(text));
    auto module = engine_->load({bytes.begin(), bytes.end()});
    ASSERT_TRUE(module.has_value()) << module.error().message;
    ASSERT_TRUE((*module)->check_abi().has_value());
    module_ = *module;
    instance_ = instantiate(module_);
    ASSERT_NE(instance_, nullptr);
  }

  // The export of the `index`th method called `name`.
  std::string export_of(const std::string& name, std::size_t index = 0) const {
    for (const auto& function : module_->manifest()->functions) {
      if (function.name == "calls::" + name && index-- == 0) return function.export_name;
    }
    ADD_FAILURE() << "no method " << name;
    return {};
  }

  // The address of a buffer with these bytes; freed with the next.
  std::uint32_t put(std::span<const std::byte> bytes) {
    if (buffer_ != 0) EXPECT_TRUE(instance_->free_buffer(buffer_, soon()).has_value());
    buffer_ = 0;
    auto buffer = instance_->make_buffer(static_cast<std::uint32_t>(bytes.size()), soon());
    if (!buffer) {
      ADD_FAILURE() << text_of(buffer.error());
      return 0;
    }
    std::ranges::copy(bytes, buffer->bytes.begin());
    return buffer_ = buffer->address;
  }

  void make(std::uint32_t index = kCounter) {
    const auto made = instance_->make_object(index, soon());
    ASSERT_TRUE(made.has_value()) << text_of(made.error());
  }
  runtime::CallResult<void> load_there(std::span<const std::byte> state) {
    const std::uint32_t address = put(state);
    return instance_->load_state(address, static_cast<std::uint32_t>(state.size()), soon());
  }
  Bytes save_there() {
    auto state = instance_->save_state(soon());
    if (!state) {
      ADD_FAILURE() << text_of(state.error());
      return {};
    }
    segments_ = state->segments.size();
    Bytes bytes = joined(state->segments);
    EXPECT_TRUE(instance_->release(state->descriptor, soon()).has_value());
    return bytes;
  }
  runtime::CallResult<runtime::Reply> call_bytes(const std::string& export_name,
                                                 std::span<const std::byte> arguments) {
    const std::uint32_t address = put(arguments);
    return instance_->call(export_name, address, static_cast<std::uint32_t>(arguments.size()),
                           soon());
  }
  // The encoded result of a method there.
  template <class... P>
  Bytes call_there(const std::string& export_name, const P&... arguments) {
    auto reply = call_bytes(export_name, encoded(arguments...));
    if (!reply) {
      ADD_FAILURE() << text_of(reply.error());
      return {};
    }
    Bytes result = joined(reply->segments);
    EXPECT_TRUE(instance_->release(reply->descriptor, soon()).has_value());
    return result;
  }

  std::shared_ptr<const runtime::Module> module_;
  std::unique_ptr<runtime::Instance> instance_;
  std::uint32_t buffer_ = 0;
  std::size_t segments_ = 0;
};

template <class T>
Bytes result_bytes(const T& result) {
  codec::Writer writer;
  codec::write(writer, result);
  return joined(writer.segments());
}

TEST_F(ObjectTest, begins_with_the_same_state_in_both_places) {
  Counter counter;
  make();
  EXPECT_EQ(save_there(), saved(counter));
  calls::Switch other;
  make(kSwitch);
  EXPECT_EQ(save_there(), saved(other));
}

TEST_F(ObjectTest, goes_there_and_back_bit_by_bit) {
  Counter here(40);
  here.add("a", {1.5F, -0.0F});
  here.add("a", {});
  here.add("b", std::vector<float>(1000, 0.1F));
  here.mix(std::vector<double>{0.1, 0.2, 1e300});
  const Bytes before = saved(here);
  make();
  ASSERT_TRUE(load_there(before).has_value());
  EXPECT_EQ(save_there(), before);
  EXPECT_EQ(call_there(export_of("Counter::add", 0), std::int64_t{2}),
            result_bytes(std::int64_t{45}));
  EXPECT_EQ(call_there(export_of("Counter::entries")), result_bytes(here.entries()));
  const Bytes after = save_there();
  EXPECT_NE(after, before);
  Counter back;
  ASSERT_TRUE(loaded(back, after).has_value());
  EXPECT_EQ(saved(back), after);
  EXPECT_EQ(back.total(), 45);
  EXPECT_EQ(here.add(2), 45);
  EXPECT_EQ(saved(here), after);
}

// The object that moves against one that never does.
TEST_F(ObjectTest, that_moves_between_calls_is_as_one_that_stays) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Steps steps(seed);
    Counter stays;
    Counter native;
    bool is_here = true;
    for (int i = 0; i < 60; ++i) {
      if (steps.choice(4) == 0) {
        if (is_here) {
          make();  // whatever was left there is gone
          ASSERT_TRUE(load_there(saved(native)).has_value());
        } else {
          ASSERT_TRUE(loaded(native, save_there()).has_value());
        }
        is_here = !is_here;
      }
      Bytes expected;
      Bytes actual;
      const auto step = [&](const auto& call, const std::string& there, const auto&... arguments) {
        expected = result_bytes(call(stays));
        actual = is_here ? result_bytes(call(native)) : call_there(there, arguments...);
      };
      switch (steps.choice(4)) {
        case 0: {
          const std::int64_t by = steps.number();
          step([&](Counter& on) { return on.add_twice(by); }, export_of("Counter::add_twice"), by);
          break;
        }
        case 1: {
          const std::string name = steps.name();
          const std::vector<float> weights = steps.weights();
          step([&](Counter& on) { return on.add(name, weights); }, export_of("Counter::add", 1),
               name, weights);
          break;
        }
        case 2: {
          const std::vector<double> values = steps.values();
          step([&](Counter& on) { return on.mix(values); }, export_of("Counter::mix"), values);
          break;
        }
        default:
          step([](Counter& on) { return on.entries(); }, export_of("Counter::entries"));
          break;
      }
      ASSERT_EQ(actual, expected);
    }
    ASSERT_EQ(is_here ? saved(native) : save_there(), saved(stays));
  }
}

TEST_F(ObjectTest, describes_a_large_state_where_it_lies) {
  Counter here;
  here.resize(std::size_t{1} << 20);
  make();
  ASSERT_TRUE(load_there(saved(here)).has_value());
  EXPECT_EQ(save_there(), saved(here));
  EXPECT_EQ(segments_, 2U);
  EXPECT_EQ(call_there(export_of("Counter::resize"), std::uint64_t{10}), Bytes{std::byte{0xc0}});
  here.resize(10);
  EXPECT_EQ(save_there(), saved(here));
}

TEST_F(ObjectTest, does_not_grow_the_guest_by_being_saved_and_loaded) {
  Counter here;
  here.resize(std::size_t{1} << 20);
  const Bytes state = saved(here);
  make();
  std::size_t after_some = 0;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(load_there(state).has_value());
    ASSERT_EQ(save_there().size(), state.size());
    if (i % 10 == 9) make();
    if (i == 20) after_some = instance_->memory().size();
  }
  EXPECT_EQ(instance_->memory().size(), after_some);
}

TEST_F(ObjectTest, is_unchanged_by_a_state_that_does_not_decode) {
  Counter here(7);
  here.add("a", {1});
  make();
  ASSERT_TRUE(load_there(saved(here)).has_value());
  const Bytes good = saved(here);
  calls::Switch other;
  std::vector<Bytes> bad = {{}, saved(other), Bytes(good.begin(), good.end() - 1), good};
  bad.back().push_back(std::byte{0});
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes changed = good;
    changed[i] = std::byte{0xc1};  // a tag that is not used
    bad.push_back(std::move(changed));
  }
  int refused = 0;
  for (const Bytes& state : bad) {
    const Result<void> native = loaded(here, state);
    const auto there = load_there(state);
    EXPECT_EQ(native.has_value(), there.has_value());
    if (native || there) {  // a byte within a number or a string: a state as good as any
      ASSERT_TRUE(loaded(here, good).has_value());
      ASSERT_TRUE(load_there(good).has_value());
      continue;
    }
    ++refused;
    EXPECT_EQ(native.error().code, Errc::protocol);
    EXPECT_EQ(std::get<Error>(there.error()).code, Errc::protocol);
    EXPECT_EQ(saved(here), good);
    EXPECT_EQ(save_there(), good);
  }
  EXPECT_GE(refused, 10);
  ASSERT_FALSE(services_.error_lines.empty());
  EXPECT_EQ(services_.error_lines[0],
            "aloft: this is no state of calls::Counter: byte 0: expected an array, found the end");
}

TEST_F(ObjectTest, there_is_none_before_it_is_made) {
  const auto saved_state = instance_->save_state(soon());
  ASSERT_FALSE(saved_state.has_value());
  EXPECT_EQ(std::get<Error>(saved_state.error()).code, Errc::refused);
  const auto loaded_state = load_there(encoded(true));
  ASSERT_FALSE(loaded_state.has_value());
  EXPECT_EQ(std::get<Error>(loaded_state.error()).code, Errc::protocol);
  const auto called = call_bytes(export_of("Counter::total"), encoded());
  ASSERT_FALSE(called.has_value());
  EXPECT_EQ(std::get<Error>(called.error()).code, Errc::protocol);
  EXPECT_EQ(services_.error_lines.at(0),
            "aloft: there is no object for a call of calls::Counter::total");
  const auto made = instance_->make_object(2, soon());
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(std::get<Error>(made.error()).code, Errc::not_found);
}

TEST_F(ObjectTest, of_another_class_takes_no_calls) {
  make(kSwitch);
  EXPECT_EQ(call_there(export_of("Switch::flip")), result_bytes(true));
  const auto called = call_bytes(export_of("Counter::total"), encoded());
  ASSERT_FALSE(called.has_value());
  EXPECT_EQ(std::get<Error>(called.error()).code, Errc::protocol);
  EXPECT_EQ(call_there(export_of("Switch::flip")), result_bytes(false));
}

TEST_F(ObjectTest, made_again_is_a_fresh_one) {
  make();
  (void)call_there(export_of("Counter::add", 0), std::int64_t{5});
  make();
  EXPECT_EQ(call_there(export_of("Counter::total")), result_bytes(std::int64_t{0}));
}

TEST_F(ObjectTest, has_the_state_hash_that_the_manifest_says) {
  const auto& manifest = *module_->manifest();
  ASSERT_EQ(manifest.objects.size(), 2U);
  EXPECT_EQ(manifest.objects[kCounter].name, "calls::Counter");
  EXPECT_EQ(manifest.objects[kCounter].state,
            "struct calls::Counter{total_:i64,calls_:u64,entries_:list<struct "
            "calls::Counter::Entry{name:string,weights:list<f32>,mark:optional<i64>}>,seen_:map<"
            "string,u32>,mixed_:f64,bulk_:list<u8>}");
  Counter counter;
  EXPECT_EQ(manifest.objects[kCounter].state_hash,
            detail::ObjectAccess::called(counter).object_class->state_hash);
  for (const auto& function : manifest.functions) {
    const bool is_method = function.name.starts_with("calls::Counter::");
    EXPECT_EQ(function.object == kCounter, is_method) << function.name;
    EXPECT_EQ(function.once, function.name == "calls::draw" || function.name == "calls::announce");
  }
}

}  // namespace
}  // namespace aloft::compiler
