#include "device/cluster/cluster_seeker.h"

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

#include "device/cluster/host_distance.h"

namespace aloft::device {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using namespace std::chrono_literals;
using Then = CallFailure::Then;

// Of aloft.v1 as it is understood here: the modules of a session are what the session says.
constexpr std::uint32_t kApiVersion = 2;
constexpr auto kSettling = 500ms;  // a network that changes does so several times
constexpr auto kLookAgain = 5min;  // for what nobody tells of: distances, other clusters
constexpr auto kNextInUse = 60s;   // or the closer cluster is not worth it
constexpr milliseconds kClosing = 1s;
constexpr milliseconds kMeasureLimit = 500ms;
constexpr milliseconds kFirstPause = 200ms;
constexpr milliseconds kLongestPause = 5s;
constexpr milliseconds kRefusedPause = 30s;

std::string random_key() {
  std::random_device random;
  std::string key(16, '\0');
  for (char& byte : key) byte = static_cast<char>(random());
  return key;
}

}  // namespace

ClusterSeeker::ClusterSeeker(ClusterOptions options, ClientKey key)
    : options_(std::move(options)), key_(std::move(key)) {}

ClusterSeeker::~ClusterSeeker() { stop(); }

Result<void> ClusterSeeker::start(std::vector<ModuleWanted> modules, PlacementSink& sink,
                                  const function::Log& log) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(started_, true)) {
      return fail(
          Errc::refused,
          "RuntimeOptions::cluster: another runtime was made with it; join_cluster() again");
    }
  }
  modules_ = std::move(modules);
  sink_ = &sink;
  log_ = &log;
  thread_ = std::thread([this] {
    Discovery discovery(options_, *log_);
    run(discovery);
  });
  return {};
}

void ClusterSeeker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  calls_.cancel();
  if (!thread_.joinable()) return;
  thread_.join();
  leave(next_, kClosing / 2);
  leave(current_, kClosing);
}

void ClusterSeeker::report(const Placement& placement, PlacementHealth health) {
  std::shared_ptr<ClusterSession> session;
  {
    const std::lock_guard lock(mutex_);
    for (const auto* joined : {&current_, &next_}) {
      if (*joined && (*joined)->session->id() == placement.session) session = (*joined)->session;
    }
    if (health == PlacementHealth::in_use) in_use_.insert(placement.session);
  }
  changed_.notify_all();
  if (session != nullptr) session->report(placement.generation, placement.host, health);
}

SessionEvents ClusterSeeker::events(const std::string& id) {
  return {
      .on_placement = [this](Placement placement) { sink_->on_placement(std::move(placement)); },
      .on_waiting = [this](Error why) { sink_->on_no_placement(std::move(why)); },
      .on_gone =
          [this, id] {
            {
              const std::lock_guard lock(mutex_);
              gone_.insert(id);
            }
            changed_.notify_all();
          }};
}

// --- The thread

void ClusterSeeker::run(Discovery& discovery) {
  const auto changes = NetworkChanges::watch([this] {
    {
      const std::lock_guard lock(mutex_);
      network_changed_ = steady_clock::now();
    }
    changed_.notify_all();
  });
  if (!changes) (*log_)(LogLevel::warning, changes.error().message);
  for (;;) {
    Time until = step(discovery);
    std::unique_lock lock(mutex_);
    for (;;) {
      if (stopping_) return;
      const auto is_gone = [&](const auto& joined) {
        return joined && gone_.contains(joined->session->id());
      };
      if (is_gone(current_) || is_gone(next_)) break;
      if (next_ && (in_use_.contains(next_->session->id()) || steady_clock::now() >= next_until_))
        break;
      Time wake = next_ ? std::min(until, next_until_) : until;
      if (network_changed_) wake = std::min(wake, *network_changed_ + kSettling);
      if (steady_clock::now() >= wake) break;
      changed_.wait_until(lock, wake);
    }
  }
}

ClusterSeeker::Time ClusterSeeker::step(Discovery& discovery) {
  bool lost = false;
  {
    std::unique_lock lock(mutex_);
    network_changed_.reset();
    for (auto* const joined : {&current_, &next_}) {
      if (!*joined || gone_.erase((*joined)->session->id()) == 0) continue;
      const auto session = std::exchange(*joined, std::nullopt)->session;
      lost = lost || joined == &current_;
      lock.unlock();  // its threads are waited for
      session->close(0ms);
      lock.lock();
    }
  }
  if (lost) (*log_)(LogLevel::warning, "the cluster has ended the session: it is opened anew");
  settle();
  auto found = discovery.look(calls_);
  if (!found) {
    if (current_) return steady_clock::now() + kLookAgain;  // it goes on by itself
    sink_->on_no_placement(found.error());
    return pause_after({Then::next_manager, found.error(), {}});
  }
  if (!current_) return join_any(*found);
  join_closer(*found);
  return steady_clock::now() + kLookAgain;
}

// The closest that accepts.
ClusterSeeker::Time ClusterSeeker::join_any(const std::vector<FoundCluster>& found) {
  std::optional<CallFailure> why;
  for (const FoundCluster& cluster : found) {
    auto joined = join(cluster);
    if (joined) {
      failures_ = 0;
      return steady_clock::now() + kLookAgain;
    }
    if (joined.error().then == Then::stopped) return steady_clock::now();
    (*log_)(LogLevel::warning,
            "cluster " + cluster.name + " gives no session: " + joined.error().why.message);
    // The first says why, if any other is only away.
    if (!why || why->then == Then::next_manager) why = std::move(joined.error());
  }
  sink_->on_no_placement(why->why);
  return pause_after(*why);
}

std::expected<ClusterSeeker::Joined, CallFailure> ClusterSeeker::join(const FoundCluster& cluster) {
  const ops::Trace trace = ops::Trace::parse(options_.traceparent).value_or(ops::Trace::make());
  const auto opened = open_session(cluster.managers, request_for(cluster), calls_, trace);
  if (!opened) {
    // An answer may have been lost only where nobody has answered.
    if (opened.error().then != Then::next_manager) keys_.erase(cluster.name);
    return std::unexpected(opened.error());
  }
  keys_.erase(cluster.name);
  Joined joined{.cluster = cluster.name,
                .session = std::make_shared<ClusterSession>(cluster.managers, opened->id(),
                                                            events(opened->id()), *log_, trace)};
  (*log_)(LogLevel::info, "session " + opened->id() + " at cluster " + cluster.name + ", " +
                              std::to_string(cluster.round_trip.count()) +
                              " us away; trace_id=" + trace.id());
  {
    const std::lock_guard lock(mutex_);
    (current_ ? next_ : current_) = joined;
    next_until_ = steady_clock::now() + kNextInUse;
  }
  joined.session->start(*opened);
  return joined;
}

void ClusterSeeker::join_closer(const std::vector<FoundCluster>& found) {
  const auto here = std::ranges::find(found, current_->cluster, &FoundCluster::name);
  if (here != found.end()) current_->session->use(here->managers);
  const FoundCluster& closest = found.front();
  if (next_ || closest.name == current_->cluster) return;
  if (here != found.end() && !is_worth_moving(here->round_trip, closest.round_trip)) return;
  (*log_)(LogLevel::info, "cluster " + closest.name + " is closer than " + current_->cluster);
  if (const auto joined = join(closest); !joined && joined.error().then != Then::stopped) {
    (*log_)(LogLevel::warning,
            "cluster " + closest.name + " gives no session: " + joined.error().why.message);
  }
}

// Leaves one of two sessions, once it is known which.
void ClusterSeeker::settle() {
  std::optional<Joined> left;
  {
    const std::lock_guard lock(mutex_);
    if (next_ && in_use_.contains(next_->session->id())) {
      left = std::exchange(current_, std::exchange(next_, std::nullopt));
    } else if (next_ && (!current_ || steady_clock::now() >= next_until_)) {
      left = std::exchange(next_, std::nullopt);
      if (!current_) std::swap(current_, left);
    }
    std::erase_if(
        in_use_, [&](const std::string& id) { return !current_ || current_->session->id() != id; });
  }
  leave(left, kClosing);
}

void ClusterSeeker::leave(std::optional<Joined>& joined, milliseconds limit) {
  if (!joined) return;
  joined->session->close(limit);
  const std::lock_guard lock(mutex_);
  joined.reset();
}

ClusterSeeker::Time ClusterSeeker::pause_after(const CallFailure& failure) {
  const auto now = steady_clock::now();
  if (failure.then == Then::never) return now + kRefusedPause;
  if (failure.retry_after) return now + *failure.retry_after;
  const auto pause = kFirstPause * (std::int64_t{1} << std::min<std::uint32_t>(failures_++, 10));
  return now + std::min<milliseconds>(pause, kLongestPause);
}

void ClusterSeeker::add_distances(const FoundCluster& cluster, v1::OpenSessionRequest& request) {
  const auto near = cluster.managers.front()->call(
      &ManagerLink::Stub::ListNearHosts, v1::ListNearHostsRequest{}, calls_, kMeasureLimit);
  if (!near || near->hosts_size() < 2) return;  // there is nothing to choose
  std::vector<HostAt> hosts;
  for (const auto& host : near->hosts()) hosts.push_back({host.id(), host.address()});
  for (const auto& [id, distance] : measure_distances(hosts, kMeasureLimit)) {
    (*request.mutable_round_trip_us())[id] = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(distance.count(), 1, std::numeric_limits<std::uint32_t>::max()));
  }
}

v1::OpenSessionRequest ClusterSeeker::request_for(const FoundCluster& cluster) {
  v1::OpenSessionRequest request;
  for (const ModuleWanted& module : modules_) {
    v1::ModuleRef& wanted = *request.add_modules();
    wanted.set_name(module.name);
    wanted.set_digest(module.digest);
  }
  v1::Resources& resources = *request.mutable_resources();
  resources.set_memory_bytes(options_.memory_bytes);
  resources.set_cpu_millicores(options_.cpu_millicores);
  resources.set_gpus(options_.gpus);
  v1::Capabilities& needs = *request.mutable_needs();
  for (const std::string& model : options_.models) needs.add_models(model);
  for (const std::string& kind : options_.accelerators) needs.add_accelerators(kind);
  request.set_api_version(kApiVersion);
  request.set_client_key_sha256(key_.public_key.bytes.data(), key_.public_key.bytes.size());
  add_distances(cluster, request);
  std::string& key = keys_[cluster.name];
  if (key.empty()) key = random_key();
  request.set_idempotency_key(key);
  return request;
}

}  // namespace aloft::device
