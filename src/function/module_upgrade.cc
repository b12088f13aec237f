#include "function/module_upgrade.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "function/elastic_end.h"

namespace aloft::function {
namespace {

using std::chrono::steady_clock;

// Before what passes by itself (a link that is being resumed, a recovery) is tried again.
constexpr std::chrono::milliseconds kPause{20};

// What became of ends that were asked to follow. Kept by their answers, which may come late.
class Followers {
 public:
  explicit Followers(std::size_t asked) : left_(asked) {}

  void answer(const Result<MoveReport>& report) {
    const std::lock_guard lock(mutex_);
    --left_;
    if (!report) {
      error_ = report.error();
    } else if (!report->to.is_here()) {
      ++carried_;
    }
    changed_.notify_all();
  }
  // False: some have not answered.
  [[nodiscard]] bool wait_until(steady_clock::time_point until) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, until, [&] { return left_ == 0; });
  }
  [[nodiscard]] std::optional<Error> error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }
  [[nodiscard]] std::size_t carried() {
    const std::lock_guard lock(mutex_);
    return carried_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t left_;
  std::size_t carried_ = 0;
  std::optional<Error> error_;
};

// Whether the same move may succeed a little later: its place was lost, or another move is under
// way.
bool passes(Errc code) { return code == Errc::unreachable || code == Errc::refused; }

// Has all ends of the module follow the version that EndPlaces::version() says. Answers how many
// did at edges.
Result<std::size_t> all_follow(EndPlaces& places, const ModuleDescriptor& module,
                               steady_clock::time_point until) {
  std::size_t carried = 0;
  Error last{Errc::deadline_exceeded, "its objects and channels did not follow in time"};
  for (;;) {
    auto behind = places.ends_of(module);
    std::erase_if(behind, [](const auto& end) { return end->follows_version(); });
    if (behind.empty()) return carried;
    if (steady_clock::now() >= until) return std::unexpected(last);
    const auto followers = std::make_shared<Followers>(behind.size());
    for (const auto& end : behind) {
      end->follow_version(
          [followers](const Result<MoveReport>& report) { followers->answer(report); });
    }
    const bool all = followers->wait_until(until);
    carried += followers->carried();
    if (const auto error = followers->error()) {
      last = *error;
      if (!passes(last.code)) return std::unexpected(last);
      std::this_thread::sleep_for(kPause);
    }
    if (!all) return std::unexpected(last);
  }
}

// Answers at how many edges it is open.
Result<std::size_t> open_everywhere(const EndPlaces& places, const ModuleToOpen& next,
                                    steady_clock::time_point until) {
  const auto& sessions = places.options().sessions;
  for (RemoteSession* const session : sessions) session->prepare(next);
  std::size_t open = 0;
  for (const RemoteSession* const session : sessions) {
    const auto prepared = session->wait_prepared(*next.module, until);
    if (!prepared) return std::unexpected(prepared.error());
    if (*prepared == RemoteSession::Prepared::open) ++open;
  }
  if (open == 0) return fail(Errc::unreachable, "no edge is connected that could take it");
  return open;
}

std::unexpected<Error> stays(const ModuleToOpen& next, const Error& why) {
  return fail(why.code, "the module '" + std::string(next.module->name) +
                            "' goes on as it was, and not as " + next.digest + ": " + why.message);
}

}  // namespace

Result<UpgradeReport> upgrade_module(EndPlaces& places, const ModuleToOpen& next,
                                     std::chrono::milliseconds timeout) {
  const auto start = steady_clock::now();
  const ModuleDescriptor& module = *next.module;
  const auto& sessions = places.options().sessions;
  const auto discard = [&] {
    for (RemoteSession* const session : sessions) session->discard(module);
  };
  const auto edges = open_everywhere(places, next, start + timeout);
  if (!edges) {
    discard();
    return stays(next, edges.error());
  }

  const ModuleVersion before = places.version(module);
  places.set_version(module, next.version);
  const auto carried = all_follow(places, module, steady_clock::now() + timeout);
  if (!carried) {
    places.set_version(module, before);
    // What cannot go back now goes on with the version that it has, and with the old one from its
    // next move on.
    (void)all_follow(places, module, steady_clock::now() + kGoBack);
    discard();
    return stays(next, carried.error());
  }

  for (RemoteSession* const session : sessions) session->adopt(module);
  for (RemoteSession* const session : sessions) session->retire(module);
  return UpgradeReport{.edges = *edges, .carried = *carried, .took = steady_clock::now() - start};
}

}  // namespace aloft::function
