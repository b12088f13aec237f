// What a guest in another language costs where it was translated to C and linked into the program,
// beside the same module under the engine of an edge: calls by the guest ABI in one process, from
// encoded arguments to the copied result. The guest is the conformance suite's, in Rust.
//
// Rounds alternate between the sides, and what counts is the median of the rounds' ratios.
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "conformance.h"
#include "figures.h"
#include "function/binding.h"
#include "runtime/engine.h"
#include "runtime/instance.h"
#include "runtime/module.h"
#include "test_paths.h"
#include <aloft/codec.h>
#include <aloft/detail/translated/module.h>
#include <aloft/detail/translated_guest.h>

extern "C" const aloft_translated_module aloft_translated_conformance;

namespace {

using namespace aloft;
using bench::die;
using bench::median;
using bench::must;
using bench::quantile;
using Clock = std::chrono::steady_clock;
using Bytes = std::vector<std::byte>;
using Json = nlohmann::ordered_json;

struct Options {
  int rounds = 11;
  int milliseconds = 100;
  std::string json;
};

class Silent final : public runtime::HostServices {
 public:
  void on_line(runtime::GuestStream, std::string_view) override {}
  Result<std::shared_ptr<inference::Graph>> graph_by_name(std::string_view) override {
    return fail(Errc::not_found, "there are no models");
  }
  Result<std::shared_ptr<inference::Graph>> load_graph(std::span<const std::byte>) override {
    return fail(Errc::refused, "there are no models");
  }
};

template <class T>
T must_call(runtime::CallResult<T> result) {
  if (!result) die(runtime::to_error(result.error()).message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

const FunctionDescriptor& function_named(std::string_view name) {
  for (const ModuleDescriptor* const module : function::registered_modules()) {
    for (const FunctionDescriptor& function : module->functions)
      if (function.qualified_name == name) return function;
  }
  die("there is no function " + std::string(name));
}

// One side of a comparison: a call on arguments that are given once.
using Call = std::function<Bytes()>;

Call under_engine(runtime::Instance& instance, const FunctionDescriptor& function,
                  const Bytes& arguments) {
  const auto far = runtime::Deadline::max();
  const auto size = static_cast<std::uint32_t>(arguments.size());
  const auto buffer = must_call(instance.make_buffer(std::max(size, 16U), far));
  return [&instance, &function, &arguments, buffer, far, size] {
    std::ranges::copy(arguments, buffer.bytes.begin());
    const auto reply = must_call(instance.call(function.export_name, buffer.address, size, far));
    Bytes result;
    for (const auto segment : reply.segments)
      result.insert(result.end(), segment.begin(), segment.end());
    must_call(instance.release(reply.descriptor, far));
    return result;
  };
}

Call translated(detail::TranslatedGuest& guest, const FunctionDescriptor& function,
                const Bytes& arguments) {
  return [&guest, &function, &arguments] {
    const std::array<std::span<const std::byte>, 1> segments{arguments};
    return must(guest.call(function, segments));
  };
}

// Microseconds a call.
double time_of(const Call& call, int milliseconds) {
  const auto start = Clock::now();
  const auto end = start + std::chrono::milliseconds(milliseconds);
  int calls = 0;
  auto now = start;
  for (; now < end; now = Clock::now(), ++calls) (void)call();
  return std::chrono::duration<double, std::micro>(now - start).count() / calls;
}

template <class... P>
Bytes encoded(const P&... values) {
  codec::Writer writer;
  codec::write_arguments(writer, values...);
  Bytes bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A translated guest beside the same module under an edge's engine", "home");
  Options options;
  app.add_option("--rounds", options.rounds, "Rounds of each comparison")->capture_default_str();
  app.add_option("--milliseconds", options.milliseconds, "Of a side in a round")
      ->capture_default_str();
  app.add_option("--json", options.json, "File to write the figures to");
  CLI11_PARSE(app, argc, argv);

  // Without a runtime this is a call here; and with it the module is part of the program.
  if (conformance::next_i32(1) != 2) die("the guest does not add");
  const auto file = testing::binary_dir() / "modules/conformance_rust.wasm";
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto engine = must(runtime::Engine::create({}));
  const auto module = must(engine->load(std::as_bytes(std::span(text))));
  Silent services;
  const auto instance =
      must_call(runtime::Instance::create(module, {}, services, runtime::Deadline::max()));
  detail::TranslatedGuest guest(aloft_translated_conformance);

  const aloft::Image image(1280, 720, PixelFormat::bgr8);
  const std::vector<std::int32_t> numbers(100'000, 3);
  const std::vector<std::string> words(10'000, "a word");
  struct Case {
    const char* name;
    const char* function;
    Bytes arguments;
  };
  const std::array cases{
      Case{"an integer", "conformance::next_i32", encoded(std::int32_t{1})},
      Case{"100,000 integers are summed", "conformance::sums", encoded(numbers)},
      Case{"10,000 strings are turned round", "conformance::backwards", encoded(words)},
      Case{"a frame of 1280x720 is inverted", "conformance::negative", encoded(image)}};

  Json figures = Json::array();
  std::printf("%-34s %14s %14s   %s\n", "", "engine, us", "translated, us",
              "translated/engine, median (quartiles)");
  for (const Case& one : cases) {
    const FunctionDescriptor& function = function_named(one.function);
    const Call there = under_engine(*instance, function, one.arguments);
    const Call here = translated(guest, function, one.arguments);
    if (there() != here()) die(std::string(one.function) + " has other bits here");
    std::vector<double> engine_us;
    std::vector<double> here_us;
    std::vector<double> ratios;
    for (int round = 0; round < options.rounds; ++round) {
      engine_us.push_back(time_of(there, options.milliseconds));
      here_us.push_back(time_of(here, options.milliseconds));
      ratios.push_back(here_us.back() / engine_us.back());
    }
    std::printf("%-34s %14.2f %14.2f   %.2f (%.2f..%.2f)\n", one.name, median(engine_us),
                median(here_us), median(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75));
    figures.push_back({{"case", one.name},
                       {"engine_us", median(engine_us)},
                       {"translated_us", median(here_us)},
                       {"ratio", median(ratios)},
                       {"ratio_quartiles", {quantile(ratios, 0.25), quantile(ratios, 0.75)}}});
  }
  bench::write_json(options.json, figures);
  return 0;
}
