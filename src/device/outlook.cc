#include "device/outlook.h"

#include <chrono>
#include <variant>

namespace aloft::device {

using std::chrono::steady_clock;

Outlook::Outlook(const PredictionOptions& options, int workers, Notifier& notifier)
    : notifier_(notifier), predictor_(options, workers) {}

void Outlook::watch(Needs needs) {
  const std::lock_guard lock(watching_);
  if (needs == Needs::nothing) {
    subscription_.reset();
  } else if (!subscription_) {
    subscription_ = notifier_.subscribe([this](const Notice& notice) { on_notice(notice); });
  }
}

void Outlook::on_notice(const Notice& notice) {
  const std::lock_guard lock(mutex_);
  const auto now = steady_clock::now();
  if (const auto* const device = std::get_if<DeviceSample>(&notice)) {
    predictor_.on_device(device->state(), now);
  } else if (const auto* const link = std::get_if<LinkSample>(&notice)) {
    predictor_.on_link(link->edge,
                       {.up = link->up, .round_trip = link->round_trip, .loss = link->loss}, now);
  } else {
    predictor_.on_network_change();
  }
}

// The time is taken under the lock, so that it never goes back for the predictor.
void Outlook::foresee(CallContext& context, function::EdgeIndex edge) {
  const std::lock_guard lock(mutex_);
  predictor_.foresee(context, edge, steady_clock::now());
}

void Outlook::decided(const CallContext& context, const Decision& decision, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  predictor_.on_decided(context, decision, number, steady_clock::now());
  last_[context.function] = context;
}

std::vector<CallContext> Outlook::last() const {
  const std::lock_guard lock(mutex_);
  std::vector<CallContext> all;
  for (const auto& [name, context] : last_) all.push_back(context);
  return all;
}

void Outlook::ended(const CallRecord& record) {
  const std::lock_guard lock(mutex_);
  predictor_.on_ended(record, steady_clock::now());
}

}  // namespace aloft::device
