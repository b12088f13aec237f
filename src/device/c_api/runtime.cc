// A runtime, which is bound as long as it lives.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "device/c_api/runtime_handle.h"
#include "function/binding.h"

using aloft::Errc;
using aloft::fail;
using aloft::Result;
using aloft::c_api::Bytes;
using aloft::c_api::guarded;
using aloft::c_api::is_null;
using aloft::c_api::Native;
using aloft::c_api::OneRuntime;
using aloft::c_api::Target;

namespace aloft::c_api {
namespace {

constinit std::atomic<bool> taken = false;

constexpr const char* kNoNative =
    "it has no native version, and so it cannot run here: give it one "
    "(aloft_module_set_native), or ask for an edge";
constexpr const char* kNoNativeMethod =
    "the object is here, where its class has no native code: move it to an edge first "
    "(aloft_object_move)";

// Of a function that aloft-cc compiled into the program, or that the caller gave a native version.
Native native_of(const FunctionDescriptor& function) {
  if (function.run_encoded == nullptr || function.object != nullptr) return {};
  return [&function](std::span<const std::byte> arguments) {
    return function.run_encoded(function.context, arguments);
  };
}

Result<void> add_targets(aloft_runtime& made, RuntimeOptions& options) {
  for (const ModuleDescriptor* const module : function::registered_modules()) {
    const auto loaded = std::ranges::find_if(
        made.modules, [&](const auto& one) { return &one->descriptor() == module; });
    for (const FunctionDescriptor& function : module->functions) {
      const std::string name(function.qualified_name);
      Target target{.function = &function, .native = native_of(function), .why_not = kNoNative};
      if (function.object != nullptr) target.why_not = kNoNativeMethod;
      if (loaded != made.modules.end()) {
        // What no edge can do is not to be tried where nothing can do it.
        if (!target.native || function.once) options.functions[name].fallback = Fallback::none;
      }
      if (!made.targets.emplace(name, std::move(target)).second)
        return fail(Errc::invalid_argument, "two modules have a function '" + name + "'");
    }
  }
  return {};
}

Result<const Target*> find_target(const aloft_runtime& runtime, const char* name) {
  const auto found = runtime.targets.find(std::string_view(name));
  if (found != runtime.targets.end()) return &found->second;
  std::string names;
  for (const auto& [known, target] : runtime.targets)
    names.append(names.empty() ? "" : ", ").append(known);
  return fail(Errc::not_found, "the runtime has no function '" + std::string(name) + "'" +
                                   (names.empty() ? std::string(", for it has no module "
                                                                "(aloft_options_add_module)")
                                                  : "; these are: " + names));
}

Result<void> register_modules(aloft_runtime& made) {
  for (const auto& module : made.modules) {
    module->use_natives();
    for (const ModuleDescriptor* const other : function::registered_modules()) {
      if (other->name == module->descriptor().name) {
        return fail(Errc::invalid_argument,
                    "there is another module '" + std::string(other->name) + "' in this program");
      }
    }
    made.registrations.push_back(
        std::make_unique<detail::ModuleRegistration>(module->descriptor()));
  }
  return {};
}

}  // namespace

void CallCounts::count(const CallRecord& record) {
  if (record.error) {
    failed.fetch_add(1, std::memory_order_relaxed);
  } else if (record.place == Place::here) {
    here.fetch_add(1, std::memory_order_relaxed);
    if (record.fell_back) fell_back.fetch_add(1, std::memory_order_relaxed);
  } else {
    at_edge.fetch_add(1, std::memory_order_relaxed);
  }
}

Result<OneRuntime> OneRuntime::claim() {
  if (taken.exchange(true)) {
    return fail(Errc::refused,
                "this process has a runtime already: end it first (aloft_runtime_end)");
  }
  return OneRuntime();
}

OneRuntime::~OneRuntime() {
  if (held_) taken.store(false);
}

Result<const Target*> find_function(const aloft_runtime& runtime, const char* name,
                                    const char* instead) {
  auto found = find_target(runtime, name);
  if (found && (*found)->function->object != nullptr)
    return fail(Errc::invalid_argument, std::string("it is a method: use ") + instead);
  return found;
}

Result<const Target*> find_method(const aloft_runtime& runtime,
                                  const detail::ObjectClass& object_class, const char* name) {
  auto found = find_target(runtime, name);
  if (found && (*found)->function->object != &object_class)
    return fail(Errc::invalid_argument, "it is no method of the object's class");
  return found;
}

Result<Location> place_of(std::int32_t number, const aloft_runtime& runtime) {
  if (number == ALOFT_HERE) return Location::here();
  if (number >= 0 && static_cast<std::size_t>(number) < runtime.runtime->edge_count())
    return Location::edge(static_cast<std::uint32_t>(number));
  return fail(Errc::invalid_argument, "the runtime has no place " + std::to_string(number) +
                                          ": ALOFT_HERE, or an edge below " +
                                          std::to_string(runtime.runtime->edge_count()));
}

}  // namespace aloft::c_api

aloft_code aloft_runtime_new(const aloft_options* options, aloft_runtime** runtime,
                             aloft_error** error) {
  if (runtime != nullptr) *runtime = nullptr;
  return guarded(error, [&]() -> Result<void> {
    if (options == nullptr) return is_null("options");
    if (runtime == nullptr) return is_null("runtime");
    if (options->defect) return std::unexpected(*options->defect);
    auto claimed = OneRuntime::claim();
    if (!claimed) return std::unexpected(std::move(claimed.error()));
    auto made = std::make_unique<aloft_runtime>(*std::move(claimed));
    made->modules = options->modules;
    if (auto done = aloft::c_api::register_modules(*made); !done) return done;
    aloft::RuntimeOptions wanted = options->runtime;
    if (auto done = aloft::c_api::add_targets(*made, wanted); !done) return done;
    wanted.on_call = [counts = &made->counts](const aloft::CallRecord& record) {
      counts->count(record);
    };
    auto created = aloft::Runtime::create(std::move(wanted));
    if (!created) return std::unexpected(std::move(created.error()));
    made->runtime = *std::move(created);
    aloft::bind(*made->runtime);
    *runtime = made.release();
    return {};
  });
}

void aloft_runtime_end(aloft_runtime* runtime) { delete runtime; }

aloft_code aloft_runtime_wait(aloft_runtime* runtime, uint32_t milliseconds, aloft_error** error) {
  return guarded(error, [&]() -> Result<void> {
    if (runtime == nullptr) return is_null("runtime");
    return runtime->runtime->wait_for_edge(std::chrono::milliseconds(milliseconds));
  });
}

aloft_code aloft_runtime_set_policy(aloft_runtime* runtime, const char* policy,
                                    aloft_error** error) {
  return guarded(error, [&]() -> Result<void> {
    if (runtime == nullptr) return is_null("runtime");
    if (policy == nullptr) return is_null("policy");
    auto made = aloft::policy_by_name(policy);
    if (!made) return std::unexpected(std::move(made.error()));
    runtime->runtime->set_policy(*std::move(made));
    return {};
  });
}

void aloft_runtime_statistics(const aloft_runtime* runtime, aloft_statistics* statistics) {
  if (runtime == nullptr || statistics == nullptr) return;
  aloft_statistics now{};
  now.calls_here = runtime->counts.here.load();
  now.calls_at_edge = runtime->counts.at_edge.load();
  now.calls_fell_back = runtime->counts.fell_back.load();
  now.calls_failed = runtime->counts.failed.load();
  const auto bytes = runtime->runtime->link_bytes();
  now.sent_bytes = bytes.tx;
  now.received_bytes = bytes.rx;
  now.edges = static_cast<uint32_t>(runtime->runtime->edge_count());
  for (uint32_t edge = 0; edge < now.edges; ++edge) {
    if (runtime->runtime->edge_ready(edge)) ++now.edges_ready;
  }
  // A caller that was compiled against an older header has less room.
  now.struct_size = std::min(statistics->struct_size, sizeof(now));
  std::memcpy(statistics, &now, now.struct_size);
}
