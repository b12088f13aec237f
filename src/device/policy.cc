#include <algorithm>
#include <string>

#include <aloft/policy.h>

namespace aloft {
namespace {

class LocalPolicy final : public Policy {
 public:
  [[nodiscard]] Decision decide(const CallContext&) const override {
    return {Place::here, ReasonCode::local_always};
  }
  [[nodiscard]] std::string name() const override { return "local"; }
};

class RemotePolicy final : public Policy {
 public:
  [[nodiscard]] Decision decide(const CallContext& context) const override {
    if (!context.edge_ready) return {Place::here, ReasonCode::remote_not_ready};
    return {Place::edge, ReasonCode::remote_always};
  }
  [[nodiscard]] std::string name() const override { return "remote"; }
};

class EveryPolicy final : public Policy {
 public:
  explicit EveryPolicy(std::uint64_t calls) : calls_(std::max<std::uint64_t>(1, calls)) {}

  [[nodiscard]] Decision decide(const CallContext& context) const override {
    const std::uint64_t span = context.number / calls_;
    const bool wants_edge = span % 2 == 1;
    const bool at_edge = wants_edge && context.edge_ready;
    const auto code = !wants_edge ? ReasonCode::every_here
                      : at_edge   ? ReasonCode::every_edge
                                  : ReasonCode::every_not_ready;
    return {at_edge ? Place::edge : Place::here,
            Reason(code, calls_, span * calls_, span * calls_ + calls_ - 1)};
  }
  [[nodiscard]] std::string name() const override { return "every:" + std::to_string(calls_); }

 private:
  const std::uint64_t calls_;
};

}  // namespace

std::shared_ptr<Policy> local_policy() { return std::make_shared<LocalPolicy>(); }
std::shared_ptr<Policy> remote_policy() { return std::make_shared<RemotePolicy>(); }
std::shared_ptr<Policy> every_policy(std::uint64_t calls) {
  return std::make_shared<EveryPolicy>(calls);
}

}  // namespace aloft
