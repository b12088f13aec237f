// What this device expects of its calls: the Predictor, fed by the Notifier and by the calls that
// end, and asked by the dispatcher for policies that need forecasts. The UE's judgement at work,
// which the simulator plays without clock and thread (predictor.h).
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "device/notifier.h"
#include "device/predictor.h"
#include "function/foresight.h"
#include <aloft/forecast.h>

namespace aloft::device {

// Thread rule: any thread.
class Outlook final : public function::Foresight {
 public:
  // `workers`: calls that run here at a time. `notifier` is borrowed.
  Outlook(const PredictionOptions& options, int workers, Notifier& notifier);

  // Whether a policy asks at present: only then is the device watched.
  void watch(Needs needs);

  void foresee(CallContext& context, function::EdgeIndex edge) override;
  void decided(const CallContext& context, const Decision& decision, std::uint64_t number) override;
  void ended(const CallRecord& record) override;

  // What was known for the last call of each function; of those decided while policies asked.
  [[nodiscard]] std::vector<CallContext> last() const;

 private:
  void on_notice(const Notice& notice);

  Notifier& notifier_;
  mutable std::mutex mutex_;
  Predictor predictor_;
  std::map<std::string_view, CallContext> last_;  // names are the program's, and stay
  std::mutex watching_;  // taken before the Notifier's, never under the other one
  std::optional<Notifier::Subscription> subscription_;
};

}  // namespace aloft::device
