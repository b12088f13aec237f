// Every errno of wasi-nn, from a guest's point of view. The network is scripted: what is tested is
// what stands above it.
#include <gtest/gtest.h>

#include "runtime/testing/fixture.h"

namespace aloft::runtime {
namespace {

using testing::soon;

// A network with one f32 input of 4 bytes, whose compute() answers what the test wants.
class ScriptedExecution final : public inference::Execution {
 public:
  explicit ScriptedExecution(const Result<void>& outcome) : outcome_(outcome) {}
  Result<void> set_input(std::uint32_t index, const nn::TensorView& tensor) override {
    if (index != 0 || tensor.type != nn::ElementType::f32 || tensor.dims.size() != 1) {
      return fail(Errc::invalid_argument, "no such input");
    }
    value_ = tensor.data;
    return {};
  }
  void compute(inference::Completion done) override {
    computed_ = outcome_.has_value();
    done(outcome_);
  }
  void cancel() override {}
  Result<nn::TensorView> output(std::uint32_t index) const override {
    static constexpr std::uint32_t kDims[] = {1};
    if (index != 0 || !computed_) return fail(Errc::invalid_argument, "no such output");
    return nn::TensorView{.type = nn::ElementType::f32, .dims = kDims, .data = value_};
  }

 private:
  const Result<void>& outcome_;
  std::span<const std::byte> value_;
  bool computed_ = false;
};

class ScriptedGraph final : public inference::Graph {
 public:
  const std::vector<inference::TensorInfo>& inputs() const override { return none_; }
  const std::vector<inference::TensorInfo>& outputs() const override { return none_; }
  Result<std::unique_ptr<inference::Execution>> make_execution() override {
    return std::make_unique<ScriptedExecution>(outcome);
  }
  Result<void> outcome;

 private:
  std::vector<inference::TensorInfo> none_;
};

// Host services that answer one error to everything.
class Refusing final : public HostServices {
 public:
  explicit Refusing(Errc code) : code_(code) {}
  void on_line(GuestStream, std::string_view) override {}
  Result<std::shared_ptr<inference::Graph>> graph_by_name(std::string_view) override {
    return fail(code_, "no");
  }
  Result<std::shared_ptr<inference::Graph>> load_graph(std::span<const std::byte>) override {
    return fail(code_, "no");
  }

 private:
  Errc code_;
};

constexpr std::string_view kImports = R"(
    (import "wasi_ephemeral_nn" "load" (func $load (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_ephemeral_nn" "load_by_name" (func $named (param i32 i32 i32) (result i32)))
    (import "wasi_ephemeral_nn" "init_execution_context" (func $init (param i32 i32) (result i32)))
    (import "wasi_ephemeral_nn" "set_input" (func $input (param i32 i32 i32) (result i32)))
    (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
    (import "wasi_ephemeral_nn" "get_output" (func $output (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\04\00\00\00")                                   ;; builder: 4 bytes at 64
    (data (i32.const 64) "gone")
    (data (i32.const 80) "net")
    (data (i32.const 96) "\78\00\00\00\01\00\00\00\01\00\00\00\7c\00\00\00\04\00\00\00")  ;; tensor: dims at 120, data at 124
    (data (i32.const 120) "\01\00\00\00\00\00\80\3f"))";

// Loads "net" (handle at 200), makes a context (handle at 204).
constexpr std::string_view kReady = R"(
    (drop (call $named (i32.const 80) (i32.const 3) (i32.const 200)))
    (drop (call $init (i32.load (i32.const 200)) (i32.const 204))))";
constexpr std::string_view kComputed = R"(
    (drop (call $input (i32.load (i32.const 204)) (i32.const 0) (i32.const 96)))
    (drop (call $compute (i32.load (i32.const 204)))))";

class WasiNn : public testing::RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    services_.graphs["net"] = graph_;
  }
  // The errno that `body` ends with.
  std::int32_t errno_of(const std::string& body) {
    auto instance = instantiate("(module " + std::string(kImports) +
                                "(func (export \"go\") (result i32) " + body + "))");
    const auto result = instance->run("go", soon());
    if (!result) ADD_FAILURE() << testing::text_of(result.error());
    return result.value_or(-1);
  }
  std::shared_ptr<ScriptedGraph> graph_ = std::make_shared<ScriptedGraph>();
};

TEST_F(WasiNn, an_inference_from_name_to_output_succeeds) {
  EXPECT_EQ(errno_of(std::string(kReady) + std::string(kComputed) + R"(
      (drop (call $output (i32.load (i32.const 204)) (i32.const 0) (i32.const 300) (i32.const 8) (i32.const 208)))
      (i32.add (i32.load (i32.const 208)) (i32.load (i32.const 300))))"),
            4 + 0x3f800000);
}

TEST_F(WasiNn, the_same_name_gives_the_same_graph) {
  EXPECT_EQ(errno_of(std::string(kReady) +
                     R"((drop (call $named (i32.const 80) (i32.const 3) (i32.const 400)))
      (i32.sub (i32.load (i32.const 400)) (i32.load (i32.const 200))))"),
            0);
}

TEST_F(WasiNn, invalid_argument) {
  EXPECT_EQ(
      errno_of(
          "(call $load (i32.const 0) (i32.const 2) (i32.const 1) (i32.const 0) (i32.const 200))"),
      1);
  EXPECT_EQ(
      errno_of(
          "(call $load (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 9) (i32.const 200))"),
      1);
  EXPECT_EQ(errno_of("(call $init (i32.const 5) (i32.const 200))"), 1);
  EXPECT_EQ(errno_of("(call $compute (i32.const 0))"), 1);
  EXPECT_EQ(
      errno_of(
          "(call $output (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"),
      1);
  EXPECT_EQ(errno_of(std::string(kReady) +
                     "(call $input (i32.load (i32.const 204)) (i32.const 7) (i32.const 96))"),
            1);
  EXPECT_EQ(errno_of(std::string(kReady) + R"((i32.store8 (i32.const 104) (i32.const 6))
      (call $input (i32.load (i32.const 204)) (i32.const 0) (i32.const 96)))"),
            1);
  EXPECT_EQ(errno_of(std::string(kReady) + "(call $output (i32.load (i32.const 204)) (i32.const 0) "
                                           "(i32.const 300) (i32.const 8) (i32.const 208))"),
            1);  // not computed yet
}

TEST_F(WasiNn, invalid_encoding) {
  for (const char* encoding : {"0", "2", "3", "4", "77"}) {
    EXPECT_EQ(errno_of(std::string("(call $load (i32.const 0) (i32.const 1) (i32.const ") +
                       encoding + ") (i32.const 0) (i32.const 200))"),
              2);
  }
}

TEST_F(WasiNn, missing_memory) {
  EXPECT_EQ(
      errno_of(
          "(call $load (i32.const -4) (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 200))"),
      3);
  EXPECT_EQ(errno_of(R"((i32.store (i32.const 4) (i32.const -1))
      (call $load (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 200)))"),
            3);
  EXPECT_EQ(errno_of("(call $named (i32.const 65534) (i32.const 3) (i32.const 200))"), 3);
  EXPECT_EQ(errno_of("(call $named (i32.const 80) (i32.const 3) (i32.const 65533))"), 3);
  EXPECT_EQ(
      errno_of(std::string(kReady) + "(call $init (i32.load (i32.const 200)) (i32.const -1))"), 3);
  EXPECT_EQ(errno_of(std::string(kReady) +
                     "(call $input (i32.load (i32.const 204)) (i32.const 0) (i32.const 65520))"),
            3);
  EXPECT_EQ(errno_of(std::string(kReady) + R"((i32.store (i32.const 108) (i32.const 65534))
      (call $input (i32.load (i32.const 204)) (i32.const 0) (i32.const 96)))"),
            3);
  EXPECT_EQ(errno_of(std::string(kReady) + std::string(kComputed) +
                     "(call $output (i32.load (i32.const 204)) (i32.const 0) (i32.const 65534) "
                     "(i32.const 8) (i32.const 208))"),
            3);
  EXPECT_EQ(errno_of(std::string(kReady) + std::string(kComputed) +
                     "(call $output (i32.load (i32.const 204)) (i32.const 0) (i32.const 300) "
                     "(i32.const 8) (i32.const -2))"),
            3);
}

TEST_F(WasiNn, what_the_host_answers_becomes_the_errno_that_says_it) {
  const std::pair<Errc, std::int32_t> answers[] = {
      {Errc::corrupt, 1}, {Errc::overloaded, 4},         {Errc::internal, 5},
      {Errc::refused, 6}, {Errc::resource_exhausted, 7}, {Errc::not_found, 8},
  };
  auto module = load("(module " + std::string(kImports) + R"(
      (func (export "load") (result i32)
        (call $load (i32.const 0) (i32.const 1) (i32.const 5) (i32.const 0) (i32.const 200)))
      (func (export "named") (result i32) (call $named (i32.const 80) (i32.const 3) (i32.const 200)))))");
  for (const auto& [code, expected] : answers) {
    Refusing services(code);
    auto instance = Instance::create(module, {}, services, soon());
    ASSERT_TRUE(instance.has_value());
    EXPECT_EQ((*instance)->run("load", soon()), expected) << to_string(code);
    EXPECT_EQ((*instance)->run("named", soon()), expected) << to_string(code);
  }
}

TEST_F(WasiNn, runtime_error) {
  graph_->outcome = fail(Errc::internal, "the engine failed");
  EXPECT_EQ(errno_of(std::string(kReady) + "(call $compute (i32.load (i32.const 204)))"), 5);
  EXPECT_EQ(services_.error_lines, std::vector<std::string>{"wasi-nn: the engine failed"});
}

TEST_F(WasiNn, unsupported_operation) {
  EXPECT_EQ(
      errno_of(
          "(call $load (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 200))"),
      6);  // GPU
  EXPECT_EQ(
      errno_of(
          "(call $load (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 2) (i32.const 200))"),
      6);  // TPU
}

TEST_F(WasiNn, too_large) {
  EXPECT_EQ(errno_of("(call $named (i32.const 80) (i32.const 5000) (i32.const 200))"), 7);
  EXPECT_EQ(errno_of(std::string(kReady) + R"((i32.store (i32.const 100) (i32.const 1000))
      (call $input (i32.load (i32.const 204)) (i32.const 0) (i32.const 96)))"),
            7);
  EXPECT_EQ(errno_of(std::string(kReady) + std::string(kComputed) +
                     "(call $output (i32.load (i32.const 204)) (i32.const 0) (i32.const 300) "
                     "(i32.const 3) (i32.const 208))"),
            7);
  EXPECT_EQ(errno_of("(local $error i32)" + std::string(kReady) + R"(
      (loop (local.set $error (call $init (i32.load (i32.const 200)) (i32.const 204)))
            (br_if 0 (i32.eqz (local.get $error))))
      (local.get $error))"),
            7);  // contexts are bounded
}

TEST_F(WasiNn, not_found) {
  EXPECT_EQ(errno_of("(call $named (i32.const 64) (i32.const 4) (i32.const 200))"), 8);
}

}  // namespace
}  // namespace aloft::runtime
