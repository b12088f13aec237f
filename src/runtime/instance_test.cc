#include "runtime/instance.h"

#include <thread>

#include <gmock/gmock.h>

#include "runtime/testing/fixture.h"

namespace aloft::runtime {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::in;
using testing::soon;
using testing::text_of;

class InstanceTest : public testing::RuntimeTest {
 protected:
  Trap trap_of(const CallResult<std::int32_t>& result) {
    if (result || !std::holds_alternative<Trap>(result.error())) {
      ADD_FAILURE() << "no trap: " << (result ? "it succeeded" : text_of(result.error()));
      return {};
    }
    return std::get<Trap>(result.error());
  }
};

// A module of guest ABI 1 in text: hands out memory from a bump pointer; `answer` is the body of
// its one function.
std::string abi_module(std::string_view answer) {
  return R"((module (memory (export "memory") 1) (global $next (mut i32) (i32.const 1024))
    (func (export "aloft_abi_version") (result i32) (i32.const 1))
    (func (export "aloft_buffer") (param i32) (result i32)
      (if (i32.gt_u (i32.add (global.get $next) (local.get 0)) (i32.const 65536)) (then (return (i32.const 0))))
      (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 0))))
    (func (export "aloft_free_buffer") (param i32))
    (func (export "aloft_release") (param i32))
    (func (export "f") (param i32 i32) (result i32) )" +
         std::string(answer) + "))";
}

TEST_F(InstanceTest, a_result_is_read_where_the_guest_left_it) {
  // The descriptor at 16 names one segment: the argument itself.
  auto instance = instantiate(abi_module(R"((i32.store (i32.const 16) (i32.const 1))
      (i32.store (i32.const 20) (local.get 0)) (i32.store (i32.const 24) (local.get 1)) (i32.const 16))"));
  auto buffer = instance->make_buffer(8, soon());
  ASSERT_TRUE(buffer.has_value()) << text_of(buffer.error());
  buffer->bytes[3] = std::byte{42};
  const auto reply = instance->call("f", buffer->address, 8, soon());
  ASSERT_TRUE(reply.has_value()) << text_of(reply.error());
  ASSERT_EQ(reply->segments.size(), 1U);
  EXPECT_EQ(reply->segments[0].data(), buffer->bytes.data());  // no copy
  EXPECT_EQ(reply->segments[0][3], std::byte{42});
  EXPECT_TRUE(instance->release(reply->descriptor, soon()).has_value());
}

TEST_F(InstanceTest, a_buffer_that_the_guest_cannot_give_is_told) {
  auto instance = instantiate(abi_module("(i32.const 0)"));
  const auto buffer = instance->make_buffer(1 << 20, soon());
  ASSERT_FALSE(buffer.has_value());
  EXPECT_EQ(to_error(buffer.error()).code, Errc::resource_exhausted);
}

TEST_F(InstanceTest, results_outside_the_guests_memory_are_a_protocol_error) {
  for (const char* body : {
           "(i32.const 65534)",  // descriptor cut off by the end of memory
           "(i32.const -8)",     // descriptor outside
           "(i32.store (i32.const 16) (i32.const -1)) (i32.const 16)",  // that many segments
           "(i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 65530)) "
           "(i32.store "
           "(i32.const 24) (i32.const 7)) (i32.const 16)",  // segment over the end
           "(i32.const 0)",                                 // "cannot decode"
       }) {
    auto instance = instantiate(abi_module(body));
    const auto reply = instance->call("f", 0, 0, soon());
    ASSERT_FALSE(reply.has_value()) << body;
    EXPECT_EQ(to_error(reply.error()).code, Errc::protocol) << body;
  }
}

// A module with an object of class 0, in text: `save` and `load` are the bodies of the exports.
std::string object_module(std::string_view save, std::string_view load) {
  return R"((module (memory (export "memory") 1)
    (func (export "aloft_object_make") (param i32) (result i32) (i32.eqz (local.get 0)))
    (func (export "aloft_state_save") (result i32) )" +
         std::string(save) + R"()
    (func (export "aloft_state_load") (param i32 i32) (result i32) )" +
         std::string(load) + "))";
}

TEST_F(InstanceTest, an_object_is_made_of_a_class_that_there_is) {
  auto instance = instantiate(object_module("(i32.const 0)", "(i32.const 0)"));
  EXPECT_TRUE(instance->make_object(0, soon()).has_value());
  const auto other = instance->make_object(1, soon());
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(to_error(other.error()).code, Errc::not_found);
  EXPECT_TRUE(instance->make_object(0, soon()).has_value());  // it lives on
}

TEST_F(InstanceTest, a_state_is_read_where_the_guest_has_it) {
  auto instance = instantiate(object_module(R"((i32.store (i32.const 16) (i32.const 2))
      (i32.store (i32.const 20) (i32.const 100)) (i32.store (i32.const 24) (i32.const 3))
      (i32.store (i32.const 28) (i32.const 200)) (i32.store (i32.const 32) (i32.const 1))
      (i32.store8 (i32.const 102) (i32.const 42)) (i32.const 16))",
                                            "(i32.const 0)"));
  const auto state = instance->save_state(soon());
  ASSERT_TRUE(state.has_value()) << text_of(state.error());
  ASSERT_EQ(state->segments.size(), 2U);
  EXPECT_EQ(state->segments[0].size(), 3U);
  EXPECT_EQ(state->segments[0][2], std::byte{42});
  EXPECT_EQ(state->segments[1].data(), instance->memory().data() + 200);
}

TEST_F(InstanceTest, states_outside_the_guests_memory_are_a_protocol_error) {
  for (const char* body : {
           "(i32.const 65534)",
           "(i32.store (i32.const 16) (i32.const -1)) (i32.const 16)",
           "(i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 65530)) "
           "(i32.store (i32.const 24) (i32.const 7)) (i32.const 16)",
       }) {
    auto instance = instantiate(object_module(body, "(i32.const 0)"));
    const auto state = instance->save_state(soon());
    ASSERT_FALSE(state.has_value()) << body;
    EXPECT_EQ(to_error(state.error()).code, Errc::protocol) << body;
  }
}

TEST_F(InstanceTest, a_guest_without_an_object_has_no_state) {
  auto instance = instantiate(object_module("(i32.const 0)", "(i32.const 0)"));
  const auto state = instance->save_state(soon());
  ASSERT_FALSE(state.has_value());
  EXPECT_EQ(to_error(state.error()).code, Errc::refused);
}

TEST_F(InstanceTest, a_state_that_the_guest_does_not_take_is_told) {
  // Takes states of eight bytes; what it answers otherwise is no yes.
  auto instance =
      instantiate(object_module("(i32.const 0)", "(i32.sub (i32.const 9) (local.get 1))"));
  EXPECT_TRUE(instance->load_state(1024, 8, soon()).has_value());
  for (const std::uint32_t size : {0U, 7U, 9U}) {
    const auto loaded = instance->load_state(1024, size, soon());
    ASSERT_FALSE(loaded.has_value()) << size;
    EXPECT_EQ(to_error(loaded.error()).code, Errc::protocol);
  }
}

TEST_F(InstanceTest, a_trap_while_the_state_is_saved_or_loaded_ends_the_instance) {
  auto instance = instantiate(object_module("(i32.const 16)", "unreachable"));
  const auto loaded = instance->load_state(1024, 8, soon());
  ASSERT_FALSE(loaded.has_value());
  EXPECT_TRUE(std::holds_alternative<Trap>(loaded.error()));
  EXPECT_EQ(to_error(instance->save_state(soon()).error()).code, Errc::refused);
  auto other = instantiate(object_module("unreachable", "(i32.const 1)"));
  EXPECT_TRUE(std::holds_alternative<Trap>(other->save_state(soon()).error()));
}

TEST_F(InstanceTest, exports_of_objects_of_another_type_are_not_called) {
  auto instance = instantiate(R"((module
    (func (export "aloft_object_make") (result i32) (i32.const 1))
    (func (export "aloft_state_save") (param i32) (result i32) (i32.const 1))))");
  EXPECT_EQ(to_error(instance->make_object(0, soon()).error()).code, Errc::corrupt);
  EXPECT_EQ(to_error(instance->save_state(soon()).error()).code, Errc::corrupt);
  EXPECT_EQ(to_error(instance->load_state(0, 0, soon()).error()).code, Errc::not_found);
}

TEST_F(InstanceTest, a_guest_that_loops_is_stopped_at_its_deadline) {
  auto instance = instantiate(R"((module (func (export "spin") (loop (br 0)))))");
  const auto begin = std::chrono::steady_clock::now();
  const Trap trap = trap_of(instance->run("spin", in(50ms)));
  EXPECT_EQ(trap.kind, TrapKind::out_of_time);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_EQ(to_error(trap).code, Errc::deadline_exceeded);
}

TEST_F(InstanceTest, an_interrupt_from_another_thread_ends_a_call) {
  auto instance = instantiate(R"((module (func (export "spin") (loop (br 0)))))");
  std::jthread other([&] { instance->interrupt(); });
  EXPECT_EQ(trap_of(instance->run("spin", soon())).kind, TrapKind::interrupted);
}

TEST_F(InstanceTest, a_guest_that_sleeps_wakes_at_its_deadline) {
  auto instance = instantiate(R"((module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "sleep") (result i32)
      (i32.store (i32.const 16) (i32.const 1))                       ;; the monotonic clock
      (i64.store (i32.const 24) (i64.const 3600000000000))           ;; an hour
      (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
    (func (export "nap") (result i32)
      (i32.store (i32.const 16) (i32.const 1))
      (i64.store (i32.const 0) (i64.const 77))
      (i64.store (i32.const 24) (i64.const 1000000))
      (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
      (i32.add (i32.load (i32.const 128)) (i32.load (i32.const 64))))))");
  EXPECT_EQ(instance->run("nap", soon()), 78);  // one event, with the subscription's own data
  EXPECT_EQ(trap_of(instance->run("sleep", in(30ms))).kind, TrapKind::out_of_time);
}

TEST_F(InstanceTest, memory_beyond_the_limit_is_not_given) {
  auto instance = instantiate(R"((module (memory (export "memory") 1)
    (func (export "ask") (result i32) (memory.grow (i32.const 65535)))))",
                              {.memory_bytes = 1 << 20});
  EXPECT_EQ(instance->run("ask", soon()), -1);
  EXPECT_EQ(instance->memory().size(), 65536U);
}

TEST_F(InstanceTest, growing_does_not_move_what_is_there) {
  auto instance = instantiate(R"((module (memory (export "memory") 1)
    (func (export "grow") (result i32) (memory.grow (i32.const 2000)))))");
  const std::byte* before = instance->memory().data();
  EXPECT_EQ(instance->run("grow", soon()), 1);
  EXPECT_EQ(instance->memory().data(), before);
}

TEST_F(InstanceTest, a_module_that_wants_more_than_its_limit_from_the_start_is_refused) {
  auto module = load(R"((module (memory (export "memory") 100)))");
  const auto instance = Instance::create(module, {.memory_bytes = 1 << 20}, services_, soon());
  ASSERT_FALSE(instance.has_value());
  EXPECT_EQ(to_error(instance.error()).code, Errc::resource_exhausted);
}

TEST_F(InstanceTest, a_full_pool_is_told_and_a_place_is_free_again_after_an_instance) {
  auto module = load(R"((module (memory (export "memory") 1)))");
  std::vector<std::unique_ptr<Instance>> all;
  for (int i = 0; i < 4; ++i) all.push_back(instantiate(module));
  const auto fifth = Instance::create(module, {}, services_, soon());
  ASSERT_FALSE(fifth.has_value());
  EXPECT_EQ(to_error(fifth.error()).code, Errc::resource_exhausted);
  all.pop_back();
  EXPECT_NE(instantiate(module), nullptr);
}

TEST_F(InstanceTest, memory_of_an_earlier_instance_is_never_seen_again) {
  auto module = load(R"((module (memory (export "memory") 1)))");
  for (int round = 0; round < 8; ++round) {
    auto instance = instantiate(module);
    for (const std::byte byte : instance->memory()) ASSERT_EQ(byte, std::byte{0});
    std::ranges::fill(instance->memory(), std::byte{0xAA});
  }
}

TEST_F(InstanceTest, each_trap_says_what_it_was_and_the_instance_takes_no_more_calls) {
  const std::pair<const char*, TrapKind> cases[] = {
      {"unreachable", TrapKind::unreachable},
      {"(drop (i32.div_s (i32.const 1) (i32.const 0)))", TrapKind::arithmetic},
      {"(drop (i32.load (i32.const -4)))", TrapKind::out_of_bounds},
      {"(call $again)", TrapKind::stack_overflow},
  };
  for (const auto& [body, kind] : cases) {
    auto instance = instantiate(
        std::string(R"((module (memory (export "memory") 1) (func $again (export "go") )") + body +
        "))");
    EXPECT_EQ(trap_of(instance->run("go", soon())).kind, kind) << body;
    const auto after = instance->run("go", soon());
    ASSERT_FALSE(after.has_value());
    EXPECT_EQ(to_error(after.error()).code, Errc::refused);
  }
}

TEST_F(InstanceTest, what_the_guest_writes_arrives_line_by_line) {
  auto instance = instantiate(R"((module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 32) "first\nsecond")
    (func (export "say") (param) (result i32)
      (i32.store (i32.const 0) (i32.const 32)) (i32.store (i32.const 4) (i32.const 12))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
      (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))))");
  EXPECT_EQ(instance->run("say", soon()), 0);
  EXPECT_THAT(services_.lines, ElementsAre("first", "second"));
  EXPECT_THAT(services_.error_lines, ElementsAre("first", "second"));
}

TEST_F(InstanceTest, a_guest_has_no_files_arguments_or_environment) {
  auto instance = instantiate(R"((module
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "look") (result i32)
      (drop (call $args (i32.const 0) (i32.const 4))) (drop (call $environ (i32.const 8) (i32.const 12)))
      (i32.add (i32.load (i32.const 0)) (i32.add (i32.load (i32.const 8)) (call $prestat (i32.const 3) (i32.const 16))))) ))");
  EXPECT_EQ(instance->run("look", soon()),
            8);  // EBADF: nothing is preopened; no argument, no variable
}

TEST_F(InstanceTest, every_function_of_preview_1_links_and_none_opens_anything) {
  // Of a folder that a guest guessed, and of a stream, which has no files below it.
  auto instance = instantiate(R"((module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_symlink" (func $link (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func $open_at (param i32) (result i32)
      (call $open (local.get 0) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 0) (i64.const 0)
                  (i32.const 0) (i32.const 64)))
    (func (export "open") (result i32) (call $open_at (i32.const 3)))
    (func (export "open_in_a_stream") (result i32) (call $open_at (i32.const 1)))
    (func (export "list") (result i32)
      (call $list (i32.const 4) (i32.const 0) (i32.const 64) (i64.const 0) (i32.const 64)))
    (func (export "link") (result i32)
      (call $link (i32.const 0) (i32.const 1) (i32.const 3) (i32.const 0) (i32.const 1)))
    (func (export "send") (result i32)
      (call $send (i32.const 77) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 64)))
    (func (export "seek") (result i32) (call $seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 64)))))");
  constexpr std::int32_t kBadDescriptor = 8;
  constexpr std::int32_t kNotSupported = 58;
  constexpr std::int32_t kNotSeekable = 70;
  EXPECT_EQ(instance->run("open", soon()), kBadDescriptor);
  EXPECT_EQ(instance->run("open_in_a_stream", soon()), kNotSupported);
  EXPECT_EQ(instance->run("list", soon()), kBadDescriptor);
  EXPECT_EQ(instance->run("link", soon()), kBadDescriptor);
  EXPECT_EQ(instance->run("send", soon()), kBadDescriptor);
  EXPECT_EQ(instance->run("seek", soon()), kNotSeekable);
}

TEST_F(InstanceTest, clocks_run_and_random_numbers_differ) {
  auto instance = instantiate(R"((module
    (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "later") (result i32)
      (drop (call $time (i32.const 1) (i64.const 0) (i32.const 0)))
      (drop (call $time (i32.const 1) (i64.const 0) (i32.const 8)))
      (i64.ge_u (i64.load (i32.const 8)) (i64.load (i32.const 0))))
    (func (export "cpu_time") (result i32) (call $time (i32.const 2) (i64.const 0) (i32.const 0)))
    (func (export "outside") (result i32) (call $random (i32.const 65530) (i32.const 8)))
    (func (export "random") (result i32)
      (drop (call $random (i32.const 0) (i32.const 16)))
      (i64.ne (i64.load (i32.const 0)) (i64.load (i32.const 8))))))");
  EXPECT_EQ(instance->run("later", soon()), 1);
  EXPECT_EQ(instance->run("random", soon()), 1);
  EXPECT_EQ(instance->run("cpu_time", soon()), 28);  // a guest has two clocks
  EXPECT_EQ(instance->run("outside", soon()), 21);
}

TEST_F(InstanceTest, a_guest_that_writes_its_whole_memory_again_and_again_ends_at_its_deadline) {
  // 1,000 pieces of 1 MB each, in a loop: one call alone says a gigabyte.
  auto instance = instantiate(R"((module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 17)
    (func (export "flood") (result i32) (local i32)
      (loop (i32.store (i32.add (i32.const 1048576) (i32.mul (local.get 0) (i32.const 8))) (i32.const 0))
            (i32.store (i32.add (i32.const 1048580) (i32.mul (local.get 0) (i32.const 8))) (i32.const 1048576))
            (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000))))
      (loop (drop (call $write (i32.const 1) (i32.const 1048576) (i32.const 1000) (i32.const 0))) (br 0))
      (i32.const 0))))");
  EXPECT_EQ(trap_of(instance->run("flood", in(50ms))).kind, TrapKind::out_of_time);
}

TEST_F(InstanceTest, a_guest_that_exits_ends_its_call_only) {
  auto instance =
      instantiate(R"((module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "leave") (call $exit (i32.const 3)))))");
  const Trap trap = trap_of(instance->run("leave", soon()));
  EXPECT_EQ(trap.kind, TrapKind::exited);
  EXPECT_NE(trap.message.find('3'), std::string::npos);
}

TEST_F(InstanceTest, an_export_of_another_type_is_not_called) {
  auto instance = instantiate(
      R"((module (func (export "aloft_buffer") (param i64) (result i32) (i32.const 8))))");
  const auto buffer = instance->make_buffer(8, soon());
  ASSERT_FALSE(buffer.has_value());
  EXPECT_EQ(to_error(buffer.error()).code, Errc::corrupt);
}

TEST_F(InstanceTest, two_instances_run_at_once_and_apart) {
  auto module = load(R"((module (memory (export "memory") 1)
    (func (export "count") (result i32) (local i32)
      (loop (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
            (br_if 0 (i32.lt_u (i32.load (i32.const 0)) (i32.const 20000000))))
      (i32.load (i32.const 0)))))");
  auto first = instantiate(module);
  testing::Services others;
  auto second = Instance::create(module, {}, others, soon());
  ASSERT_TRUE(second.has_value());
  std::jthread other([&] { EXPECT_EQ((*second)->run("count", soon()), 20000000); });
  EXPECT_EQ(first->run("count", soon()), 20000000);
}

}  // namespace
}  // namespace aloft::runtime
