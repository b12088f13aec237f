#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "function/binding.h"
#include "runtime/recorded_call.h"
#include <aloft/detail/binding.h>
#include <aloft/detail/object_link.h>
#include <aloft/replay.h>
#include <aloft/result.h>

namespace aloft {
namespace {

using Clock = std::chrono::steady_clock;

Result<const FunctionDescriptor*> find(const runtime::RecordedCall& call) {
  for (const ModuleDescriptor* const module : function::registered_modules()) {
    for (const FunctionDescriptor& function : module->functions) {
      // Its types are part of the export's name.
      if (module->name == call.module && function.export_name == call.export_name) return &function;
    }
  }
  return fail(Errc::signature_mismatch, "this program has no function " + call.function +
                                            " of the module " + call.module +
                                            " with the types that were called");
}

// The object of a method, with the state that it had.
Result<std::unique_ptr<detail::NativeObject>> make_object(const FunctionDescriptor& function,
                                                          const runtime::RecordedCall& call) {
  auto object = function.object->native(nullptr);
  if (auto loaded = object->load(call.state); !loaded) {
    return fail(Errc::signature_mismatch, "the recorded state is none of this program's " +
                                              std::string(function.object->qualified_name) + ": " +
                                              loaded.error().message);
  }
  return object;
}

Result<std::vector<std::byte>> run(const FunctionDescriptor& function, void* object,
                                   const runtime::RecordedCall& call) {
  const function::InPlaceScope in_place;
  try {
    return function.run_encoded(object, call.arguments);
  } catch (const std::exception& thrown) {
    return fail(Errc::trapped, thrown.what());
  }
}

Result<runtime::RecordedCall> replay(const char* file) {
  auto call = runtime::read_recorded_call(file);
  if (!call) return call;
  const auto function = find(*call);
  if (!function) return std::unexpected(function.error());
  if ((*function)->run_encoded == nullptr) {
    return fail(Errc::refused,
                call->function + " has no native code in this program; replay it without --native");
  }
  std::unique_ptr<detail::NativeObject> object;
  if ((*function)->object != nullptr) {
    auto made = make_object(**function, *call);
    if (!made) return std::unexpected(made.error());
    object = *std::move(made);
  }
  const auto begun = Clock::now();
  auto result = run(**function, object ? object->object() : nullptr, *call);
  call->run_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun).count());
  call->error.reset();
  call->backtrace.clear();
  call->result.clear();
  if (result)
    call->result = *std::move(result);
  else
    call->error = result.error();
  return call;
}

}  // namespace

int replay_main(int argc, char** argv) {
  constexpr int kCannot = 2;
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: %s CALL [OUTCOME]\n", argv[0]);
    return kCannot;
  }
  const auto outcome = replay(argv[1]);
  if (!outcome) {
    std::fprintf(stderr, "error: %s\n", outcome.error().message.c_str());
    return kCannot;
  }
  if (argc == 3) {
    if (const auto written = runtime::write_recorded_call(argv[2], *outcome); !written) {
      std::fprintf(stderr, "error: %s\n", written.error().message.c_str());
      return kCannot;
    }
  } else if (outcome->error) {
    std::printf("%s: %s\n", outcome->function.c_str(), outcome->error->message.c_str());
  } else {
    std::printf("%s: %zu bytes\n", outcome->function.c_str(), outcome->result.size());
  }
  return outcome->error ? 1 : 0;
}

}  // namespace aloft
