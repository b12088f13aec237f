#include "function/call_decisions.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "function/binding.h"

namespace aloft::function {

void KnownFunction::set(const FunctionDescriptor& its_function, FunctionSettings its_settings) {
  function = &its_function;
  settings = std::move(its_settings);
  const ImageCodec& asked = settings.images;
  if (asked.is_automatic() || asked.coding.format != ImageFormat::raw)
    images = std::make_unique<FunctionImages>(asked);
}

CallDecisions::CallDecisions(std::shared_ptr<Policy> policy, SettingsByName settings,
                             std::span<const ModuleDescriptor* const> modules, Foresight* foresight)
    : settings_(std::move(settings)),
      policy_(policy.get()),
      foresight_(foresight),
      asked_(policy->needs() == Needs::forecasts ? foresight : nullptr) {
  policies_.push_back(std::move(policy));
  for (const ModuleDescriptor* const module : modules) {
    Module& made = modules_.emplace_back();
    made.functions = module->functions;
    made.known = std::make_unique<KnownFunction[]>(module->functions.size());
    for (std::size_t i = 0; i < module->functions.size(); ++i) {
      made.known[i].set(module->functions[i], settings_of(module->functions[i]));
    }
  }
}

FunctionSettings CallDecisions::settings_of(const FunctionDescriptor& function) const {
  const auto found = settings_.find(function.qualified_name);
  return found == settings_.end() ? FunctionSettings{} : found->second;
}

void CallDecisions::set_policy(std::shared_ptr<Policy> policy) {
  const std::lock_guard lock(mutex_);
  asked_.store(policy->needs() == Needs::forecasts ? foresight_ : nullptr,
               std::memory_order_release);
  policy_.store(policy.get(), std::memory_order_release);
  if (std::ranges::find(policies_, policy) == policies_.end())
    policies_.push_back(std::move(policy));
}

KnownFunction& CallDecisions::known(const FunctionDescriptor& function) {
  for (const Module& module : modules_) {
    const auto first = reinterpret_cast<std::uintptr_t>(module.functions.data());
    const auto offset = reinterpret_cast<std::uintptr_t>(&function) - first;
    if (offset < module.functions.size_bytes())
      return module.known[offset / sizeof(FunctionDescriptor)];
  }
  const std::lock_guard lock(mutex_);
  const auto [found, is_new] = later_.try_emplace(&function);
  if (is_new) found->second.set(function, settings_of(function));
  return found->second;
}

CallDecisions::Decided CallDecisions::decide(KnownFunction& known, std::optional<Location> forced,
                                             EdgeSet ready, bool loss_pending, const Call& call) {
  Decided decided;
  decided.number = next_number_.fetch_add(1, std::memory_order_relaxed);
  CallContext context{.function = known.function->qualified_name,
                      .number = known.calls.fetch_add(1, std::memory_order_relaxed),
                      .edge_ready = ready != 0};
  // Without a ready one the first says why it is not.
  EdgeIndex first = ready == 0 ? 0 : static_cast<EdgeIndex>(std::countr_zero(ready));
  const EdgeIndex preferred = preferred_.load(std::memory_order_acquire);
  if (preferred != kNone && (ready == 0 || (ready >> preferred & 1U) != 0)) first = preferred;
  if (forced) {
    if (!forced->is_here()) {
      decided.edge = *forced == kAnyEdge || preferred != kNone ? first : forced->number() - 1;
    }
    decided.reason = ReasonCode::asked_for;
  } else {
    const Policy& policy = *policy_.load(std::memory_order_acquire);
    Foresight* const foresight = this->foresight();
    if (foresight != nullptr) {
      context.input_bytes = call.input_bytes;
      context.deadline = call.deadline;
      foresight->foresee(context, first);
    }
    const Decision decision = policy.decide(context);
    if (foresight != nullptr) foresight->decided(context, decision, decided.number);
    if (decision.place == Place::edge) decided.edge = first;
    decided.reason = decision.reason;
    decided.hedge = decision.hedge;
    if (loss_pending && !decided.edge && ready == 0) {
      // A call that would not have gone to the edge anyhow is no takeover, and shows that none was
      // needed.
      context.edge_ready = true;
      decided.instead_of_edge = policy.decide(context).place == Place::edge;
      decided.no_takeover = !decided.instead_of_edge;
    }
  }
  remember(decided, *known.function);
  return decided;
}

CallDecisions::Decided CallDecisions::follow_object(KnownFunction& known) {
  Decided decided;
  decided.number = next_number_.fetch_add(1, std::memory_order_relaxed);
  known.calls.fetch_add(1, std::memory_order_relaxed);
  decided.reason = ReasonCode::with_object;
  return decided;
}

void CallDecisions::remember(const Decided& decided, const FunctionDescriptor& function) {
  Slot& slot = ring_[decided.number % ring_.size()];
  std::uint64_t turn = slot.turn.load(std::memory_order_relaxed);
  // Another call, a whole ring earlier or later, is being written here: one of the two is left out.
  if (turn % 2 != 0 || !slot.turn.compare_exchange_strong(turn, turn + 1, std::memory_order_acquire,
                                                          std::memory_order_relaxed)) {
    return;
  }
  std::atomic_thread_fence(std::memory_order_release);
  constexpr auto kRelaxed = std::memory_order_relaxed;
  slot.number.store(decided.number, kRelaxed);
  slot.function.store(&function, kRelaxed);
  slot.location.store(decided.edge ? *decided.edge + 1 : 0, kRelaxed);
  const Reason::Stored& reason = decided.reason.stored();
  slot.code.store(reason.code, kRelaxed);
  slot.also.store(reason.also, kRelaxed);
  slot.words.store(reason.words, kRelaxed);
  for (std::size_t i = 0; i < Reason::kNumbers; ++i)
    slot.numbers[i].store(reason.numbers[i], kRelaxed);
  if (reason.also != ReasonCode::none) {
    for (std::size_t i = 0; i < Reason::kNumbers; ++i)
      slot.numbers[Reason::kNumbers + i].store(reason.also_numbers[i], kRelaxed);
  }
  slot.turn.store(turn + 2, std::memory_order_release);
}

std::vector<DecisionRecord> CallDecisions::recent() const {
  std::vector<DecisionRecord> records;
  for (const Slot& slot : ring_) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    const std::uint64_t turn = slot.turn.load(std::memory_order_acquire);
    if (turn == 0 || turn % 2 != 0) continue;
    DecisionRecord record;
    record.number = slot.number.load(kRelaxed);
    const FunctionDescriptor* const function = slot.function.load(kRelaxed);
    const std::uint32_t location = slot.location.load(kRelaxed);
    Reason::Stored reason{.code = slot.code.load(kRelaxed),
                          .also = slot.also.load(kRelaxed),
                          .words = slot.words.load(kRelaxed)};
    for (std::size_t i = 0; i < Reason::kNumbers; ++i) {
      reason.numbers[i] = slot.numbers[i].load(kRelaxed);
      if (reason.also != ReasonCode::none)
        reason.also_numbers[i] = slot.numbers[Reason::kNumbers + i].load(kRelaxed);
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    if (slot.turn.load(kRelaxed) != turn) continue;
    record.function = function->qualified_name;
    if (location != 0) record.location = Location::edge(location - 1);
    record.reason = Reason(reason);
    records.push_back(record);
  }
  std::ranges::sort(records, {}, &DecisionRecord::number);
  return records;
}

}  // namespace aloft::function
