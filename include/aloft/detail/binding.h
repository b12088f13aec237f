// The modules that are part of this program, and the one binding: which dispatcher elastic
// functions ask.
//
// Between generated code, src/function and src/device; applications use aloft/runtime.h and
// aloft/dispatch.h.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <aloft/loss.h>
#include <aloft/result.h>

namespace aloft {

namespace function {
class EndPlaces;  // src/function/elastic_places.h
}

namespace detail {

struct ObjectClass;  // object_link.h

// Runs a function natively on encoded arguments: decodes them, calls, encodes the result. `object`
// is the one whose method it is (NativeObject::object()), or a function's own context. Calls of
// elastic functions within it stay in place. Errors: protocol (these are no arguments of it),
// trapped (it gave up by abort_call), internal (it threw something else).
using EncodedRun = Result<std::vector<std::byte>> (*)(void* object,
                                                      std::span<const std::byte> arguments);

// What a result loses beside another one, both encoded. Errors: protocol (one of them is no result
// of the function), invalid_argument (the loss is of another type of result).
using LossBetween = Result<double> (*)(const Loss& loss, std::span<const std::byte> with_codec,
                                       std::span<const std::byte> raw);

// Tells elastic functions apart by what a caller has of them: the bytes of the function's address
// and zero, or of a pointer to member.
using Identity = std::array<std::uintptr_t, 2>;

}  // namespace detail

// One elastic function of a module, and the module, as compiled into the program. All static
// storage.
struct ModuleDescriptor;
struct FunctionDescriptor {
  const ModuleDescriptor* module = nullptr;
  std::uint32_t index = 0;                      // in module->functions
  std::string_view qualified_name;              // "demo::detect_object"
  std::string_view export_name;                 // of the guest function
  std::string_view signature_hash;              // 64 hex digits
  const detail::ObjectClass* object = nullptr;  // the class that it is a method of; null: none
  bool once = false;                            // has effects: never run twice
  detail::EncodedRun run_encoded = nullptr;
  detail::LossBetween loss_between = nullptr;  // null: of a method
  detail::Identity identity{};  // set when the module registers (detail::identity_of)
  void* context = nullptr;      // run_encoded of a function is handed it
};
struct ModuleDescriptor {
  std::string_view name;    // "detect"
  std::string_view digest;  // "sha256:..." of the .wasm built with this program
  std::span<const FunctionDescriptor> functions;
  std::span<const std::string_view> graphs;  // names of the aloft::nn::Graph objects it declares
  std::span<const detail::ObjectClass> objects;  // its classes tagged ALOFT_OFFLOAD_OBJECT
};

namespace detail {

class ElasticCall;

// What a bound runtime does for elastic calls. Thread rule: any thread.
class Dispatcher {
 public:
  virtual ~Dispatcher() = default;
  // Runs the call to its end on this thread, wherever it is computed; its result, exception or
  // error is set then.
  virtual void run(ElasticCall& call) = 0;
  // Begins the call. Its completion is finished once, from any thread, maybe before this returns;
  // the call must live until then.
  virtual void start(ElasticCall& call) = 0;
  // Asks a call that was started to end early; its completion tells when nothing uses it any more.
  virtual void cancel(ElasticCall& call) = 0;
  // For a thread that waits for a call that was started: does itself, for a moment, some of what
  // the call waits for. False: there is nothing of the kind, and it waits for the completion.
  [[nodiscard]] virtual bool lend(ElasticCall&) { return false; }
  // What channels and elastic objects are attached to. Null: none can be.
  [[nodiscard]] virtual std::shared_ptr<function::EndPlaces> end_places() { return nullptr; }
};

// Generated code registers each module once, before main (static initialisation); a Runtime opens
// those that are registered when it is made. Thread rule: any thread.
class ModuleRegistration {
 public:
  explicit ModuleRegistration(const ModuleDescriptor& module);
  ~ModuleRegistration();
  ModuleRegistration(const ModuleRegistration&) = delete;
  ModuleRegistration& operator=(const ModuleRegistration&) = delete;

  [[nodiscard]] const ModuleDescriptor& module() const { return module_; }
  // The one registered after this, or null. Under the list's lock (binding.cc).
  [[nodiscard]] ModuleRegistration*& next() { return next_; }

 private:
  const ModuleDescriptor& module_;
  ModuleRegistration* next_ = nullptr;
};

// Null: unbound. Read relaxed on the way of every elastic call; whoever goes on to use it pins it
// first (binding.cc).
extern constinit std::atomic<Dispatcher*> bound_dispatcher;
// Inside a tagged body on this thread: calls stay in place.
extern constinit thread_local bool in_place;

// Whether an elastic call made now, by this thread, is for the dispatcher to decide. Else it is a
// plain call.
[[nodiscard]] inline bool dispatching() {
  return bound_dispatcher.load(std::memory_order_relaxed) != nullptr && !in_place;
}

// Through the dispatcher if one is bound, in place if not. run(): to its end; start(): begins it.
void run(ElasticCall& call);
void start(ElasticCall& call);
// Asks a call that was started to end early. Nothing when it has ended.
void cancel(ElasticCall& call);
// Waits for the end of a call that was started.
void wait(ElasticCall& call);
// Gives up a call that was started, if it has not ended yet, and waits until nothing but the caller
// uses it.
void abandon(ElasticCall& call);

}  // namespace detail
}  // namespace aloft
