// What it costs to call into a guest, to hand it a frame, and to make an instance.
#include <benchmark/benchmark.h>

#include "runtime/engine.h"
#include "runtime/instance.h"
#include "runtime/module.h"
#include "runtime/testing/wat.h"

namespace aloft::runtime {
namespace {

// The least module of guest ABI 1: answers an empty result.
constexpr std::string_view kModule = R"((module (memory (export "memory") 64)
    (func (export "aloft_buffer") (param i32) (result i32) (i32.const 65536))
    (func (export "f") (param i32 i32) (result i32) (i32.const 16))
    (func (export "touch") (param i32 i32) (result i32) (local $sum i32) (local $end i32)
      (local.set $end (i32.add (local.get 0) (local.get 1)))
      (loop (local.set $sum (i32.add (local.get $sum) (i32.load (local.get 0))))
            (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 64))) (local.get $end))))
      (i32.store (i32.const 32) (local.get $sum)) (i32.const 16))))";

constexpr std::uint32_t kFrameBytes = 768 * 576 * 3;

class Silent final : public HostServices {
 public:
  void on_line(GuestStream, std::string_view) override {}
  Result<std::shared_ptr<inference::Graph>> graph_by_name(std::string_view) override {
    return fail(Errc::not_found, "");
  }
  Result<std::shared_ptr<inference::Graph>> load_graph(std::span<const std::byte>) override {
    return fail(Errc::refused, "");
  }
};

Deadline soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(10); }

struct Setup {
  std::shared_ptr<Engine> engine = Engine::create({}).value();
  std::shared_ptr<const Module> module = engine->load(testing::wat(kModule)).value();
  Silent services;
  std::unique_ptr<Instance> make() {
    return Instance::create(module, {}, services, soon()).value();
  }
};

void empty_call(benchmark::State& state) {
  Setup setup;
  auto instance = setup.make();
  for (auto _ : state) benchmark::DoNotOptimize(instance->call("f", 0, 0, soon()));
}
BENCHMARK(empty_call);

void call_on_a_frame(benchmark::State& state) {
  Setup setup;
  auto instance = setup.make();
  const auto buffer = instance->make_buffer(kFrameBytes, soon()).value();
  for (auto _ : state)
    benchmark::DoNotOptimize(instance->call("touch", buffer.address, kFrameBytes, soon()));
}
BENCHMARK(call_on_a_frame);

void instantiate(benchmark::State& state) {
  Setup setup;
  for (auto _ : state) benchmark::DoNotOptimize(setup.make());
}
BENCHMARK(instantiate);

}  // namespace
}  // namespace aloft::runtime
