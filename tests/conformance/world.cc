#include "world.h"

#include <fstream>
#include <iostream>

#include "inference/testing/onnx_writer.h"
#include "test_paths.h"

namespace aloft::testing {

using namespace std::chrono_literals;

namespace {

// Enough for a guest with a garbage collector, and soon used up by one that hoards.
constexpr const char* kMemoryMib = "64";
// For a machine that does other things, and compiles the module first.
constexpr auto kPatience = 120s;

constexpr std::array kSelfContained = {"conformance::give_up", "conformance::quotient",
                                       "conformance::spin",    "conformance::hoard",
                                       "conformance::fall",    "conformance::say"};

}  // namespace

std::filesystem::path guest_module() {
  return binary_dir() / ("modules/conformance_" + guest_language() + ".wasm");
}

World& World::get() {
  static World world;
  return world;
}

World::World() {
  for (const char* name : {"first", "second"}) {
    auto edge = DemoEdge::start({.cache = folder_.path() / name,
                                 .host = "127.0.0.1",
                                 .port = 0,
                                 .repository = {},
                                 .arguments = {"--max-memory", kMemoryMib},
                                 .on = {}});
    if (!edge) {
      std::cerr << "error: " << edge.error().message << "\n";
      std::abort();
    }
    edges_.push_back(*std::move(edge));
  }
  const auto model = inference::testing::doubling_model({1});
  std::ofstream(model_file_, std::ios::binary)
      .write(reinterpret_cast<const char*>(model.data()),
             static_cast<std::streamsize>(model.size()));

  RuntimeOptions options;
  for (const DemoEdge& edge : edges_)
    options.edges.push_back("127.0.0.1:" + std::to_string(edge.port()));
  options.models = {{"doubling", model_file_}};
  options.policy = remote_policy();
  options.call_timeout = kPatience;
  for (const char* name : kSelfContained) options.functions[name].fallback = Fallback::none;
  options.log = [this](LogLevel, std::string_view line) {
    const std::lock_guard lock(mutex_);
    lines_.emplace_back(line);
    changed_.notify_all();
  };
  auto runtime = Runtime::create(std::move(options));
  for (std::size_t edge = 0; runtime && edge < edges_.size(); ++edge) {
    if (const auto ready = (*runtime)->wait_for_edge(kPatience, edge); !ready)
      runtime = std::unexpected(ready.error());
  }
  if (!runtime) {
    std::cerr << "error: " << runtime.error().message << "\n" << transcripts();
    std::abort();
  }
  runtime_ = *std::move(runtime);
  bind(*runtime_);
}

World::~World() { unbind(); }

std::string World::transcripts() {
  std::string text;
  for (DemoEdge& edge : edges_) text += edge.process().transcript();
  return text;
}

bool World::wait_for_log(std::string_view text) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] {
    return std::ranges::any_of(
        lines_, [&](const std::string& line) { return line.find(text) != line.npos; });
  });
}

}  // namespace aloft::testing
