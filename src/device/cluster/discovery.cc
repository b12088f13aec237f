#include "device/cluster/discovery.h"

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

namespace aloft::device {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr milliseconds kSourceLimit = 3s;
constexpr milliseconds kPingLimit = 2s;
constexpr int kPings = 3;
constexpr std::size_t kMostManagers = 64;
constexpr std::size_t kAtOnce = 16;

struct Answer {
  std::shared_ptr<ManagerLink> link;
  std::expected<ManagerLink::Pinged, CallFailure> pinged;
};

// Each of its own thread, since a source or a manager may take all of its time.
template <class Item, class Work>
void each_at_once(std::vector<Item>& items, Work work) {
  for (std::size_t begin = 0; begin < items.size(); begin += kAtOnce) {
    std::vector<std::jthread> threads;
    for (std::size_t i = begin; i < std::min(items.size(), begin + kAtOnce); ++i)
      threads.emplace_back([&, i] { work(items[i]); });
  }
}

}  // namespace

Discovery::Discovery(const ClusterOptions& options, const function::Log& log)
    : options_(options), log_(log), credentials_(credentials_of(options)) {}

std::vector<std::string> Discovery::addresses() {
  struct Asked {
    ManagerSource* source = nullptr;
    Result<std::vector<std::string>> found;
  };
  std::vector<Asked> asked;
  for (const auto& source : options_.sources) asked.push_back({source.get(), {}});
  each_at_once(asked, [](Asked& one) { one.found = one.source->find(kSourceLimit); });
  std::vector<std::string> all = options_.managers;
  for (const Asked& one : asked) {
    std::string& complaint = complaints_[one.source->name()];
    if (!one.found) {
      if (std::exchange(complaint, one.found.error().message) != complaint)
        log_(LogLevel::warning, one.source->name() + ": " + complaint);
      continue;
    }
    complaint.clear();
    all.insert(all.end(), one.found->begin(), one.found->end());
  }
  std::set<std::string> seen;
  std::erase_if(all, [&](const std::string& address) { return !seen.insert(address).second; });
  if (all.size() > kMostManagers) all.resize(kMostManagers);
  std::erase_if(links_, [&](const auto& entry) { return !seen.contains(entry.first); });
  return all;
}

std::shared_ptr<ManagerLink> Discovery::link(const std::string& address) {
  auto& link = links_[address];
  if (link == nullptr) link = std::make_shared<ManagerLink>(address, credentials_);
  return link;
}

Result<std::vector<FoundCluster>> Discovery::look(Calls& calls) {
  std::vector<Answer> answers;
  for (const std::string& address : addresses()) answers.push_back({link(address), {}});
  if (answers.empty()) return fail(Errc::unreachable, "no manager of a cluster was found");
  // With one manager there is nothing to choose.
  const int pings = answers.size() > 1 ? kPings : 1;
  each_at_once(answers, [&](Answer& answer) {
    answer.pinged = answer.link->ping(calls, kPingLimit, pings);
  });
  std::ranges::sort(answers, {}, [](const Answer& answer) {
    return answer.pinged ? answer.pinged->round_trip : microseconds::max();
  });
  std::vector<FoundCluster> found;
  for (const Answer& answer : answers) {
    if (!answer.pinged) continue;
    // Managers of a cluster without a name are not known to be one cluster.
    const std::string name =
        answer.pinged->cluster.empty() ? answer.link->address() : answer.pinged->cluster;
    auto same = std::ranges::find(found, name, &FoundCluster::name);
    if (same == found.end()) {
      found.push_back({.name = name, .round_trip = answer.pinged->round_trip, .managers = {}});
      same = std::prev(found.end());
    }
    same->managers.push_back(answer.link);
  }
  if (!found.empty()) return found;
  // What a manager says weighs more than that another one is not there.
  const auto spoke = std::ranges::find_if(answers, [](const Answer& answer) {
    return answer.pinged.error().then != CallFailure::Then::next_manager;
  });
  return std::unexpected((spoke == answers.end() ? answers.front() : *spoke).pinged.error().why);
}

bool is_worth_moving(microseconds current, microseconds other) {
  constexpr microseconds kNoise = 2ms;
  return other + kNoise < current && other.count() * 10 < current.count() * 7;
}

}  // namespace aloft::device
