#include "cluster/resource_manager.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "cluster/hash.h"

namespace aloft::cluster {
namespace {

constexpr int kMaxReasons = 16;  // of hosts in an answer; the best ones
// Hosts that are apart by less than this are as near as each other: what is measured varies by it.
constexpr double kSameRoundTripUs = 1000;

bool has_all(const google::protobuf::RepeatedPtrField<std::string>& wanted,
             const google::protobuf::RepeatedPtrField<std::string>& there) {
  return std::ranges::all_of(
      wanted, [&](const std::string& one) { return std::ranges::find(there, one) != there.end(); });
}

// Empty: the host will do.
std::string refused_because(const PlacementQuestion& question, const HostState& host) {
  if (!question.only.empty() && host.id != question.only) return "another host was asked for";
  if (std::ranges::find(question.avoid, host.id) != question.avoid.end()) {
    return "the device or the manager does not reach it";
  }
  if (host.draining) return "draining";
  if (question.needs != nullptr) {
    const v1::Capabilities& there =
        host.capabilities != nullptr ? *host.capabilities : v1::Capabilities::default_instance();
    if (!has_all(question.needs->accelerators(), there.accelerators())) {
      return "lacks an accelerator that is needed";
    }
    if (!has_all(question.needs->models(), there.models())) return "lacks a model that is needed";
  }
  const v1::Resources& wanted = *question.wanted;
  const v1::Resources& reserved =
      host.reserved != nullptr ? *host.reserved : v1::Resources::default_instance();
  const v1::Resources& capacity = *host.capacity;
  const auto lacks = [](std::uint64_t want, std::uint64_t used, std::uint64_t all) {
    return want > 0 && (used >= all || want > all - used);
  };
  if (lacks(wanted.memory_bytes(), reserved.memory_bytes(), capacity.memory_bytes())) {
    return "has not enough memory left";
  }
  if (lacks(wanted.cpu_millicores(), reserved.cpu_millicores(), capacity.cpu_millicores())) {
    return "has not enough processor time left";
  }
  if (lacks(wanted.gpus(), reserved.gpus(), capacity.gpus())) return "has no GPU left";
  return {};
}

double share(std::uint64_t used, std::uint64_t more, std::uint64_t all) {
  if (all == 0) return 0;
  return std::min(
      1.0, (static_cast<double>(used) + static_cast<double>(more)) / static_cast<double>(all));
}

// How full it would be, by what it would have the least of.
double fullness(const v1::Resources& wanted, const HostState& host) {
  const v1::Resources& reserved =
      host.reserved != nullptr ? *host.reserved : v1::Resources::default_instance();
  return std::max(
      share(reserved.memory_bytes(), wanted.memory_bytes(), host.capacity->memory_bytes()),
      share(reserved.cpu_millicores(), wanted.cpu_millicores(), host.capacity->cpu_millicores()));
}

double compiled_share(const PlacementQuestion& question, const HostState& host) {
  if (question.modules.empty()) return 1;
  const auto less = [](const std::string* a, const std::string* b) { return *a < *b; };
  const auto count = std::ranges::count_if(question.modules, [&](const v1::ModuleRef* module) {
    return std::ranges::binary_search(host.compiled, &module->digest(), less);
  });
  return static_cast<double>(count) / static_cast<double>(question.modules.size());
}

// Where a host comes in this manager's order; 0 where it has none of its own.
std::uint64_t order_of(std::string_view manager, std::string_view host) {
  return manager.empty() ? 0 : weight(manager, host);
}

}  // namespace

bool fits(const v1::Resources& wanted, const v1::Resources* reserved,
          const v1::Resources& capacity) {
  const v1::Resources& used = reserved != nullptr ? *reserved : v1::Resources::default_instance();
  const auto fit = [](std::uint64_t want, std::uint64_t in_use, std::uint64_t all) {
    return want == 0 || (in_use < all && want <= all - in_use);
  };
  return fit(wanted.memory_bytes(), used.memory_bytes(), capacity.memory_bytes()) &&
         fit(wanted.cpu_millicores(), used.cpu_millicores(), capacity.cpu_millicores()) &&
         fit(wanted.gpus(), used.gpus(), capacity.gpus());
}

void add(v1::Resources& sum, const v1::Resources& more) {
  sum.set_memory_bytes(sum.memory_bytes() + more.memory_bytes());
  sum.set_cpu_millicores(sum.cpu_millicores() + more.cpu_millicores());
  sum.set_gpus(sum.gpus() + more.gpus());
}

void subtract(v1::Resources& sum, const v1::Resources& less) {
  sum.set_memory_bytes(sum.memory_bytes() - std::min(sum.memory_bytes(), less.memory_bytes()));
  sum.set_cpu_millicores(sum.cpu_millicores() -
                         std::min(sum.cpu_millicores(), less.cpu_millicores()));
  sum.set_gpus(sum.gpus() - std::min(sum.gpus(), less.gpus()));
}

std::string PlacementAnswer::refusal() const {
  if (reason.scores().empty()) return "no host is registered";
  std::map<std::string, int> counts;
  for (const auto& score : reason.scores()) {
    if (!score.refused_because().empty()) ++counts[score.refused_because()];
  }
  std::string text = "no host has room:";
  for (const auto& [why, count] : counts) {
    text += (text.back() == ':' ? " " : ", ") + std::to_string(count) + " " + why;
  }
  return text;
}

PlacementAnswer ResourceManager::place(const PlacementQuestion& question,
                                       std::span<const HostState> hosts) const {
  // Round trips count as compared with the best; a host that was not measured is as far as the
  // middle of those that were.
  std::uint32_t nearest = 0;
  if (question.round_trip_us != nullptr) {
    for (const auto& [host, microseconds] : *question.round_trip_us) {
      if (microseconds > 0 && (nearest == 0 || microseconds < nearest)) nearest = microseconds;
    }
  }
  const auto round_trip = [&](const std::string& host) {
    if (nearest == 0) return 1.0;
    const auto found = question.round_trip_us->find(host);
    if (found == question.round_trip_us->end() || found->second == 0) return 0.5;
    return (nearest + kSameRoundTripUs) / (found->second + kSameRoundTripUs);
  };

  struct Candidate {
    const HostState* host;
    std::string refused;
    std::uint64_t order = 0;  // among equal ones
    double load = 0, round_trip = 0, compiled = 0, spread = 0, total = 0;
  };
  std::vector<Candidate> candidates;
  candidates.reserve(hosts.size());
  for (const HostState& host : hosts) {
    Candidate& candidate = candidates.emplace_back(&host, refused_because(question, host));
    if (!candidate.refused.empty()) continue;
    candidate.order = order_of(manager_, host.id);
    const double full = fullness(*question.wanted, host);
    candidate.load = 1 - std::clamp(host.load, 0.0, 1.0);
    candidate.round_trip = round_trip(host.id);
    candidate.compiled = compiled_share(question, host);
    candidate.spread = preference_ == Preference::spread ? 1 - full : full;
    candidate.total = weights_.load * candidate.load + weights_.round_trip * candidate.round_trip +
                      weights_.compiled * candidate.compiled + weights_.spread * candidate.spread;
  }
  const auto better = [](const Candidate& a, const Candidate& b) {
    if (a.refused.empty() != b.refused.empty()) return a.refused.empty();
    if (a.total != b.total) return a.total > b.total;
    if (a.order != b.order) return a.order < b.order;
    return a.host->id < b.host->id;
  };
  const auto shown = std::min<std::size_t>(candidates.size(), kMaxReasons);
  std::ranges::partial_sort(candidates, candidates.begin() + static_cast<std::ptrdiff_t>(shown),
                            better);

  PlacementAnswer answer;
  if (!candidates.empty() && candidates.front().refused.empty()) {
    answer.host = candidates.front().host->id;
  }
  for (std::size_t i = 0; i < shown; ++i) {
    auto* const score = answer.reason.add_scores();
    score->set_host_id(candidates[i].host->id);
    score->set_refused_because(candidates[i].refused);
    score->set_load(candidates[i].load);
    score->set_round_trip(candidates[i].round_trip);
    score->set_compiled(candidates[i].compiled);
    score->set_spread(candidates[i].spread);
    score->set_total(candidates[i].total);
  }
  return answer;
}

}  // namespace aloft::cluster
