#include "function/call_hedges.h"

#include <algorithm>
#include <utility>

#include "function/binding.h"
#include "function/tensor_digests.h"

namespace aloft::function {

class CallHedges::Hedge final : public HereTask {
 public:
  Hedge(CallHedges& hedges, HedgeOwner& its_owner, const FunctionDescriptor& its_function,
        std::vector<std::byte> its_arguments)
      : owner(&its_owner),
        function(its_function),
        arguments(std::move(its_arguments)),
        hedges_(hedges) {}

  void run_here() override { hedges_.run(*this); }

  HedgeOwner* owner;  // null: stopped. Under the lock.
  const FunctionDescriptor& function;
  const std::vector<std::byte> arguments;
  std::stop_source stop;

 private:
  CallHedges& hedges_;
};

CallHedges::CallHedges(HereExecutor& executor, const inference::GraphTable& graphs,
                       bool digest_tensors)
    : executor_(executor), graphs_(graphs), digest_tensors_(digest_tensors) {}

CallHedges::~CallHedges() = default;

void CallHedges::start(HedgeOwner& owner, const FunctionDescriptor& function,
                       std::vector<std::byte> arguments) {
  auto hedge = std::make_unique<Hedge>(*this, owner, function, std::move(arguments));
  const std::lock_guard lock(mutex_);
  executor_.post(*hedge);
  hedges_.push_back(std::move(hedge));
}

void CallHedges::stop(const HedgeOwner& owner) {
  std::stop_source stop(std::nostopstate);
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(hedges_, &owner, [](const auto& h) { return h->owner; });
    if (found == hedges_.end()) return;
    Hedge& hedge = **found;
    hedge.owner = nullptr;
    stop = hedge.stop;
    if (executor_.remove(hedge)) erase(hedge);
  }
  stop.request_stop();
}

void CallHedges::end() {
  std::vector<std::stop_source> stops;
  std::unique_lock lock(mutex_);
  std::vector<const Hedge*> waiting;
  for (const auto& hedge : hedges_) {
    hedge->owner = nullptr;
    stops.push_back(hedge->stop);
    if (executor_.remove(*hedge)) waiting.push_back(hedge.get());
  }
  for (const Hedge* const hedge : waiting) erase(*hedge);
  lock.unlock();
  for (std::stop_source& stop : stops) stop.request_stop();
  lock.lock();
  ended_.wait(lock, [&] { return hedges_.empty(); });
}

void CallHedges::erase(const Hedge& hedge) {
  std::erase_if(hedges_, [&](const auto& other) { return other.get() == &hedge; });
  ended_.notify_all();
}

void CallHedges::run(Hedge& hedge) {
  HedgeOwner::Ended ended{.result = {}, .tensor_digests = {}};
  {
    TensorDigests digests(ended.tensor_digests);
    const inference::GraphScope graphs(graphs_, digest_tensors_ ? &digests : nullptr,
                                       hedge.stop.get_token());
    const InPlaceScope in_place;
    ended.result = hedge.function.run_encoded(hedge.function.context, hedge.arguments);
  }
  const std::lock_guard lock(mutex_);
  if (hedge.owner != nullptr) hedge.owner->on_hedge_ended(std::move(ended));
  erase(hedge);
}

}  // namespace aloft::function
