// A policy decides for each call of an elastic function where it runs, and says why.
//
// Policies are small and pure: all they know is in the CallContext. What has to be learnt (how long
// a call takes in either place, whether the device grows hot) is learnt elsewhere and handed to
// them, so that a policy can be read, tested and composed. docs/policies.md says what each does.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <aloft/forecast.h>
#include <aloft/reason.h>
#include <aloft/result.h>

namespace aloft {

// What is known when a call is made.
struct CallContext {
  std::string_view function;  // qualified name
  std::uint64_t number = 0;   // calls of this function before this one
  bool edge_ready = false;    // at least one is: connected, module opened

  // From here on: for a policy that needs() forecasts, and empty for others.
  std::uint64_t input_bytes = 0;                       // encoded arguments
  std::optional<std::chrono::nanoseconds> deadline{};  // the call's own, if it has one
  std::optional<Place> before{};                       // where the call before went, if not to try
  std::optional<std::chrono::nanoseconds> since_change{};  // since the place was another one
  std::optional<Forecast> here{};
  std::optional<Forecast> edge{};  // absent as well while no edge is ready
  // Too little is known of this place lately, and the budget of exploratory calls allows this one.
  std::optional<Place> try_out{};
  DeviceState device{};
  LinkState link{};
};

struct Decision {
  Place place = Place::here;
  Reason reason;
  // The call is made to learn of the place, not because the place is thought to be the better one.
  bool tries = false;
  // At the edge: run here as well when there is no result after this long, and what ends first is
  // the result; as FunctionSettings::hedge, which counts where it is shorter. Ignored for functions
  // that may not be run twice.
  std::optional<std::chrono::nanoseconds> hedge{};
};

// What a policy wants to be told. Forecasts cost a lock and a microsecond or two a call.
enum class Needs : std::uint8_t { nothing, forecasts };

// Thread rule: decide() is called from any thread that makes a call, several at once. It must not
// block, nor call an elastic function. It is pure: the same context, the same decision.
class Policy {
 public:
  virtual ~Policy() = default;
  [[nodiscard]] virtual Decision decide(const CallContext& context) const = 0;
  // The same at any time.
  [[nodiscard]] virtual Needs needs() const { return Needs::nothing; }
  // For people; of those below, as policy_by_name() takes it.
  [[nodiscard]] virtual std::string name() const { return "of the program's own"; }
};

// Always here.
[[nodiscard]] std::shared_ptr<Policy> local_policy();
// At the edge whenever it is ready, here otherwise.
[[nodiscard]] std::shared_ptr<Policy> remote_policy();
// Starts here and changes the place every `calls` calls (at least 1), as the paper's demonstration
// does. Here when no edge is ready.
[[nodiscard]] std::shared_ptr<Policy> every_policy(std::uint64_t calls);

// Where the call is predicted to take less time (p50). Changes its place only for a gain, and makes
// exploratory calls to know the other one.
[[nodiscard]] std::shared_ptr<Policy> min_latency_policy();
// Where `inner` says, unless nine in ten calls are predicted to take longer there than `deadline`:
// then at the other place, if it meets it, else at the faster one. Null: local_policy().
[[nodiscard]] std::shared_ptr<Policy> deadline_policy(std::chrono::nanoseconds deadline,
                                                      std::shared_ptr<Policy> inner = nullptr);
// Where `inner` says while the processor is cooler than `limit_celsius`; at the edge while it is
// about to reach it. Without a sensor `inner` alone decides. Null: min_latency_policy().
[[nodiscard]] std::shared_ptr<Policy> cool_policy(double limit_celsius,
                                                  std::shared_ptr<Policy> inner = nullptr);
// Where the call is predicted to cost this device less energy.
[[nodiscard]] std::shared_ptr<Policy> min_energy_policy();

// By name, for command lines and files: "local", "remote", "every:50", "min_latency",
// "deadline:50ms", "cool:75", "min_energy"; "deadline" and "cool" may name what they ask:
// "cool:75:min_energy", "deadline:40ms:cool:70". Errors: invalid_argument, which lists the names.
[[nodiscard]] Result<std::shared_ptr<Policy>> policy_by_name(std::string_view text);

}  // namespace aloft
