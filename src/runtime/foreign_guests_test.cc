// Guests that aloft-cc did not make: hand-written C over wasi-nn, with a real model in the real
// engine.
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>

#include "inference/testing/onnx_writer.h"
#include "runtime/testing/fixture.h"
#include "test_paths.h"

namespace aloft::runtime {
namespace {

using ::testing::ElementsAre;
using testing::soon;
using testing::text_of;

class ForeignGuests : public testing::RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    auto cpu = inference::make_cpu_engine({});
    ASSERT_TRUE(cpu.has_value()) << cpu.error().message;
    cpu_ = std::move(*cpu);
  }

  std::unique_ptr<Instance> guest(const char* name) {
    std::ifstream file(aloft::testing::binary_dir() / "guest/c" / name, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    auto module = engine_->load(std::as_bytes(std::span(text)));
    if (!module) ADD_FAILURE() << module.error().message;
    return module ? instantiate(*module) : nullptr;
  }

  std::unique_ptr<inference::Engine> cpu_;
};

TEST_F(ForeignGuests, c_with_a_model_of_its_own_computes) {
  services_.engine = cpu_.get();
  auto instance = guest("load.wasm");
  ASSERT_NE(instance, nullptr);
  EXPECT_EQ(instance->run("run", soon()), 0);
  EXPECT_THAT(services_.lines, ElementsAre("16 bytes: 2 -5 0 42"));
}

TEST_F(ForeignGuests, c_with_a_model_of_the_hosts_computes_as_often_as_it_likes) {
  auto graph = cpu_->load_onnx(inference::testing::doubling_model({1, 4}));
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  services_.graphs["doubling"] = *graph;
  auto instance = guest("load_by_name.wasm");
  ASSERT_NE(instance, nullptr);
  EXPECT_EQ(instance->run("run", soon()), 0);
  EXPECT_EQ(instance->run("run", soon()), 0);
  EXPECT_THAT(services_.lines, ElementsAre("16 bytes: 2 -5 0 42", "16 bytes: 2 -5 0 42"));
}

TEST_F(ForeignGuests, a_host_that_gives_no_models_answers_with_an_errno) {
  EXPECT_EQ(guest("load.wasm")->run("run", soon()), 6);          // unsupported_operation
  EXPECT_EQ(guest("load_by_name.wasm")->run("run", soon()), 8);  // not_found
}

TEST_F(ForeignGuests, an_inference_that_does_not_end_is_cancelled_at_the_deadline) {
  auto graph = cpu_->load_onnx(inference::testing::endless_model());
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  services_.graphs["doubling"] = *graph;
  auto instance = instantiate(R"((module
    (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
    (import "wasi_ephemeral_nn" "init_execution_context" (func $init (param i32 i32) (result i32)))
    (import "wasi_ephemeral_nn" "set_input" (func $input (param i32 i32 i32) (result i32)))
    (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 64) "doubling")
    (data (i32.const 96) "\78\00\00\00\01\00\00\00\01\00\00\00\7c\00\00\00\04\00\00\00")  ;; tensor: dims at 120, data at 124
    (data (i32.const 120) "\01\00\00\00\00\00\80\3f")
    (func (export "go") (result i32)
      (drop (call $load (i32.const 64) (i32.const 8) (i32.const 0)))
      (drop (call $init (i32.load (i32.const 0)) (i32.const 4)))
      (drop (call $input (i32.load (i32.const 4)) (i32.const 0) (i32.const 96)))
      (call $compute (i32.load (i32.const 4))))))");
  const auto result = instance->run("go", testing::in(std::chrono::milliseconds(100)));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(to_error(result.error()).code, Errc::deadline_exceeded) << text_of(result.error());
}

}  // namespace
}  // namespace aloft::runtime
