#include <algorithm>

#include <aloft/policy.h>

namespace aloft {
namespace {

class LocalPolicy final : public Policy {
 public:
  [[nodiscard]] Decision decide(const CallContext&) const override {
    return {Place::here, "local: always here"};
  }
};

class RemotePolicy final : public Policy {
 public:
  [[nodiscard]] Decision decide(const CallContext& context) const override {
    if (!context.edge_ready) return {Place::here, "remote: here, since no edge is ready"};
    return {Place::edge, "remote: always at the edge"};
  }
};

class EveryPolicy final : public Policy {
 public:
  explicit EveryPolicy(std::uint64_t calls) : calls_(std::max<std::uint64_t>(1, calls)) {}

  [[nodiscard]] Decision decide(const CallContext& context) const override {
    const std::uint64_t span = context.number / calls_;
    const bool wants_edge = span % 2 == 1;
    Decision decision{wants_edge && context.edge_ready ? Place::edge : Place::here, "every "};
    decision.reason.append(calls_)
        .append(": calls ")
        .append(span * calls_)
        .append("..")
        .append(span * calls_ + calls_ - 1);
    decision.reason.append(wants_edge ? " at the edge" : " here");
    if (wants_edge && !context.edge_ready) decision.reason.append(", but no edge is ready");
    return decision;
  }

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
