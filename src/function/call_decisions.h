// Decides where each call goes first, and remembers the last decisions.
//
// This is all that aloft does for a call that runs here, so it takes no lock and no memory: the
// policy is read from an atomic pointer, what is known of a function is found by its place in its
// module, and a reason is a code with numbers.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "function/call_plan.h"
#include "function/foresight.h"
#include "function/function_images.h"
#include <aloft/detail/binding.h>
#include <aloft/function_settings.h>
#include <aloft/place.h>
#include <aloft/policy.h>
#include <aloft/runtime.h>

namespace aloft::function {

using SettingsByName = std::map<std::string, FunctionSettings, std::less<>>;

// What is known of one function.
struct KnownFunction {
  void set(const FunctionDescriptor& its_function, FunctionSettings its_settings);

  const FunctionDescriptor* function = nullptr;
  FunctionSettings settings;
  std::unique_ptr<FunctionImages> images;  // null: as they are
  std::atomic<bool> edges_only = false;    // Fallback::none, since an upgrade
  alignas(64) std::atomic<std::uint64_t> calls = 0;
};

// Thread rule: any thread.
class CallDecisions {
 public:
  // Functions of other modules, of a library that is loaded later, cost a lock. `foresight` is
  // borrowed; null: no policy is told forecasts.
  CallDecisions(std::shared_ptr<Policy> policy, SettingsByName settings,
                std::span<const ModuleDescriptor* const> modules, Foresight* foresight);

  void set_policy(std::shared_ptr<Policy> policy);  // not null
  // From now on all edges are one: a call for any of them goes to this one while it is ready.
  void prefer(EdgeIndex edge) { preferred_.store(edge, std::memory_order_release); }

  [[nodiscard]] KnownFunction& known(const FunctionDescriptor& function);

  struct Decided {
    std::uint64_t number = 0;
    std::optional<EdgeIndex> edge;  // none: here
    Reason reason;
    bool instead_of_edge = false;  // here only because an edge was just lost
    bool no_takeover = false;      // an edge was lost, and this call would not have gone there
    std::optional<std::chrono::nanoseconds> hedge{};  // Decision::hedge
  };
  // Of a call, for a policy that needs forecasts.
  struct Call {
    std::uint64_t input_bytes = 0;
    std::optional<std::chrono::nanoseconds> deadline;
  };
  // Who is to be told of all calls; null: the policy needs no forecasts.
  [[nodiscard]] Foresight* foresight() const { return asked_.load(std::memory_order_acquire); }
  // `loss_pending`: an edge was lost, and no call has shown yet what took its place. `call` is read
  // while there is a foresight().
  [[nodiscard]] Decided decide(KnownFunction& known, std::optional<Location> forced, EdgeSet ready,
                               bool loss_pending, const Call& call);

  // A call whose place is no decision: of an object's method.
  [[nodiscard]] Decided follow_object(KnownFunction& known);

  // The last decisions, oldest first.
  [[nodiscard]] std::vector<DecisionRecord> recent() const;

 private:
  struct Module {
    std::span<const FunctionDescriptor> functions;
    std::unique_ptr<KnownFunction[]> known;
  };
  // One entry of the ring. `turn` is even while it can be read, and tells whether it changed
  // meanwhile.
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> turn = 0;
    std::atomic<std::uint64_t> number = 0;
    std::atomic<const FunctionDescriptor*> function = nullptr;
    std::atomic<std::uint32_t> location = 0;
    std::atomic<ReasonCode> code = ReasonCode::none;
    std::atomic<ReasonCode> also = ReasonCode::none;
    std::atomic<const char*> words = nullptr;
    // With it the numbers of what stands beside it.
    std::array<std::atomic<std::uint64_t>, 2 * Reason::kNumbers> numbers{};
  };
  static_assert((Runtime::kDecisionsKept & (Runtime::kDecisionsKept - 1)) == 0);

  void remember(const Decided& decided, const FunctionDescriptor& function);
  [[nodiscard]] FunctionSettings settings_of(const FunctionDescriptor& function) const;

  const SettingsByName settings_;
  std::vector<Module> modules_;
  std::atomic<const Policy*> policy_;
  Foresight* const foresight_;
  std::atomic<Foresight*> asked_;  // null while the policy needs none
  static constexpr EdgeIndex kNone = 0xffffffff;
  std::atomic<EdgeIndex> preferred_ = kNone;
  alignas(64) std::atomic<std::uint64_t> next_number_ = 0;
  std::array<Slot, Runtime::kDecisionsKept> ring_;

  std::mutex mutex_;
  std::vector<std::shared_ptr<Policy>> policies_;  // all that were: someone may be asking one
  std::map<const FunctionDescriptor*, KnownFunction> later_;
};

}  // namespace aloft::function
