// What the tests of this folder share: an engine, modules from text, host services that remember.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "inference/engine.h"
#include "runtime/engine.h"
#include "runtime/instance.h"
#include "runtime/module.h"
#include "runtime/testing/wat.h"

namespace aloft::runtime::testing {

class Services final : public HostServices {
 public:
  void on_line(GuestStream stream, std::string_view line) override {
    (stream == GuestStream::standard_output ? lines : error_lines).emplace_back(line);
  }
  Result<std::shared_ptr<inference::Graph>> graph_by_name(std::string_view name) override {
    const auto found = graphs.find(name);
    if (found == graphs.end()) return fail(Errc::not_found, "no graph " + std::string(name));
    return found->second;
  }
  Result<std::shared_ptr<inference::Graph>> load_graph(std::span<const std::byte> model) override {
    if (engine == nullptr) return fail(Errc::refused, "no models of guests");
    return engine->load_onnx(model);
  }

  std::vector<std::string> lines;
  std::vector<std::string> error_lines;
  std::map<std::string, std::shared_ptr<inference::Graph>, std::less<>> graphs;
  inference::Engine* engine = nullptr;
};

inline Deadline in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}
inline Deadline soon() { return in(std::chrono::seconds(20)); }

inline std::string text_of(const CallFailure& failure) {
  if (const auto* error = std::get_if<Error>(&failure)) return error->message;
  return std::get<Trap>(failure).message + "\n" + std::get<Trap>(failure).backtrace_text();
}

class RuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = Engine::create(options());
    ASSERT_TRUE(made.has_value()) << made.error().message;
    engine_ = std::move(*made);
  }
  virtual EngineOptions options() { return {.max_instances = 4}; }

  std::shared_ptr<const Module> load(std::string_view text) {
    auto module = engine_->load(wat(text));
    if (!module) ADD_FAILURE() << module.error().message;
    return module.value_or(nullptr);
  }
  std::unique_ptr<Instance> instantiate(std::shared_ptr<const Module> module,
                                        const InstanceLimits& limits = {}) {
    auto instance = Instance::create(std::move(module), limits, services_, soon());
    if (!instance) {
      ADD_FAILURE() << text_of(instance.error());
      return nullptr;
    }
    return std::move(*instance);
  }
  std::unique_ptr<Instance> instantiate(std::string_view text, const InstanceLimits& limits = {}) {
    return instantiate(load(text), limits);
  }

  Services services_;
  std::shared_ptr<Engine> engine_;
};

}  // namespace aloft::runtime::testing
