// The one binding and the list of modules: the only state of aloft that is not owned by an object
// of main's.
//
// A call that finds a dispatcher bound pins it before it uses it: it counts itself in, then reads
// the binding again. Whoever unbinds takes the binding away first and then waits for the count to
// reach zero. Either the call's second read comes after that and finds nothing, or its count comes
// before it and is waited for.
#include "function/binding.h"

#include <array>
#include <mutex>
#include <string>
#include <utility>

#include "function/elastic_places.h"
#include <aloft/dispatch.h>
#include <aloft/offload.h>

namespace aloft {
namespace detail {

constinit std::atomic<Dispatcher*> bound_dispatcher = nullptr;
constinit thread_local bool in_place = false;

namespace {

constinit thread_local std::optional<Location> forced = std::nullopt;
constinit thread_local std::optional<std::chrono::nanoseconds> deadline = std::nullopt;

// Calls count themselves in one of several places, so that threads do not fight over one.
struct alignas(64) Pins {
  std::atomic<std::uint64_t> count = 0;
};
constinit std::array<Pins, 16> all_pins;
constinit std::atomic<std::size_t> next_pins = 0;

Pins& pins_of_this_thread() {
  thread_local constinit Pins* mine = nullptr;
  if (mine == nullptr)
    mine = &all_pins[next_pins.fetch_add(1, std::memory_order_relaxed) % all_pins.size()];
  return *mine;
}

// Keeps the bound dispatcher, if any, from being unbound while it lives.
class Pin {
 public:
  Pin() : pins_(pins_of_this_thread()) {
    pins_.count.fetch_add(1, std::memory_order_seq_cst);
    dispatcher_ = bound_dispatcher.load(std::memory_order_seq_cst);
  }
  ~Pin() {
    if (pins_.count.fetch_sub(1, std::memory_order_seq_cst) == 1) pins_.count.notify_all();
  }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

  [[nodiscard]] Dispatcher* dispatcher() const { return dispatcher_; }

 private:
  Pins& pins_;
  Dispatcher* dispatcher_;
};

void wait_for_pins() {
  for (const Pins& pins : all_pins) {
    for (auto count = pins.count.load(std::memory_order_seq_cst); count != 0;
         count = pins.count.load(std::memory_order_seq_cst)) {
      pins.count.wait(count, std::memory_order_seq_cst);
    }
  }
}

// Modules register during static initialisation, in no order known here: constant-initialised,
// never destroyed.
struct ModuleList {
  constinit static inline std::mutex mutex;
  constinit static inline ModuleRegistration* first = nullptr;
};

// Who binds does so one at a time.
constinit std::mutex binding_mutex;

Error error_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const CallFailed& failed) {
    return failed.error();
  } catch (const std::exception& other) {
    return {Errc::internal, std::string("the function threw: ") + other.what()};
  } catch (...) {
    return {Errc::internal, "the function threw something that is no std::exception"};
  }
}

}  // namespace

ModuleRegistration::ModuleRegistration(const ModuleDescriptor& module) : module_(module) {
  const std::lock_guard lock(ModuleList::mutex);
  ModuleRegistration** end = &ModuleList::first;
  while (*end != nullptr) end = &(*end)->next();
  *end = this;
}

ModuleRegistration::~ModuleRegistration() {
  const std::lock_guard lock(ModuleList::mutex);
  ModuleRegistration** at = &ModuleList::first;
  while (*at != this) at = &(*at)->next();
  *at = next_;
}

Error ElasticCall::exception_as_error() const { return error_of(exception_); }

void ElasticCall::throw_failure() const {
  if (exception_ != nullptr) std::rethrow_exception(exception_);
  throw CallFailed(record.error.value_or(Error{Errc::internal, "the call has no result"}));
}

void run(ElasticCall& call) {
  const Pin pin;
  if (pin.dispatcher() != nullptr) return pin.dispatcher()->run(call);
  call.run_native();
}

void start(ElasticCall& call) {
  if (dispatching()) {
    const Pin pin;
    if (pin.dispatcher() != nullptr) return pin.dispatcher()->start(call);
  }
  call.record.reason = in_place ? ReasonCode::within_call : ReasonCode::unbound;
  call.run_native();
  call.record_exception();
  call.completion().finish();
}

void cancel(ElasticCall& call) {
  if (call.completion().is_done()) return;
  // Once unbound, a call ends by itself or with its runtime.
  const Pin pin;
  if (pin.dispatcher() != nullptr) pin.dispatcher()->cancel(call);
}

void wait(ElasticCall& call) {
  while (!call.completion().is_done()) {
    // For a moment at a time, since whoever unbinds waits for it.
    const Pin pin;
    if (pin.dispatcher() == nullptr || !pin.dispatcher()->lend(call)) break;
  }
  call.completion().wait();
}

void abandon(ElasticCall& call) {
  cancel(call);
  call.completion().wait();
}

}  // namespace detail

[[noreturn]] void abort_call(std::string_view message) {
  throw CallFailed({Errc::trapped, std::string(message)});
}

PlaceScope::PlaceScope(Place place)
    : PlaceScope(place == Place::here ? Location::here() : function::kAnyEdge) {}
PlaceScope::PlaceScope(Location location) : outer_(std::exchange(detail::forced, location)) {}
PlaceScope::~PlaceScope() { detail::forced = outer_; }

DeadlineScope::DeadlineScope(std::chrono::nanoseconds deadline)
    : outer_(std::exchange(detail::deadline, deadline)) {}
DeadlineScope::~DeadlineScope() { detail::deadline = outer_; }

namespace function {

namespace {

// Under the binding's mutex. Plain calls find the states of objects in this process then.
void take_binding_away() {
  detail::Dispatcher* const before =
      detail::bound_dispatcher.exchange(nullptr, std::memory_order_seq_cst);
  if (before == nullptr) return;
  const auto places = before->end_places();
  detail::wait_for_pins();
  if (places != nullptr) places->bring_home();
}

}  // namespace

void bind_dispatcher(detail::Dispatcher& dispatcher) {
  const std::lock_guard lock(detail::binding_mutex);
  take_binding_away();
  detail::bound_dispatcher.store(&dispatcher, std::memory_order_seq_cst);
}

void unbind_dispatcher(const detail::Dispatcher* dispatcher) {
  const std::lock_guard lock(detail::binding_mutex);
  if (dispatcher != nullptr &&
      detail::bound_dispatcher.load(std::memory_order_seq_cst) != dispatcher)
    return;
  take_binding_away();
}

std::optional<Location> forced_location() { return detail::forced; }
std::optional<std::chrono::nanoseconds> scope_deadline() { return detail::deadline; }

std::shared_ptr<EndPlaces> bound_end_places() {
  const detail::Pin pin;
  return pin.dispatcher() == nullptr ? nullptr : pin.dispatcher()->end_places();
}

std::vector<const ModuleDescriptor*> registered_modules() {
  const std::lock_guard lock(detail::ModuleList::mutex);
  std::vector<const ModuleDescriptor*> modules;
  for (auto* module = detail::ModuleList::first; module != nullptr; module = module->next()) {
    modules.push_back(&module->module());
  }
  return modules;
}

}  // namespace function
}  // namespace aloft
