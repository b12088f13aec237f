#include "device/cluster/cluster_session.h"

#include <algorithm>
#include <span>
#include <utility>

namespace aloft::device {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using namespace std::chrono_literals;
using Then = CallFailure::Then;

constexpr milliseconds kCallLimit = 2s;
constexpr milliseconds kOpenLimit = 20s;  // a module may have to be fetched and compiled
constexpr milliseconds kMoveLimit = 10s;
constexpr milliseconds kFirstPause = 100ms;
constexpr milliseconds kLongestPause = 5s;
constexpr milliseconds kLastPause = 30s;  // where only somebody's change can help
constexpr auto kAvoid = 60s;
constexpr std::uint32_t kRenewals = 3;  // in a lifetime

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// What says more of why there is no session: the cluster's own words before silence.
int weight(Then then) {
  switch (then) {
    case Then::never: return 3;
    case Then::later: return 2;
    case Then::gone:
    case Then::next_manager: return 1;
    case Then::stopped: return 4;
  }
  return 0;
}

}  // namespace

std::expected<v1::Session, CallFailure> open_session(const ManagerLinks& managers,
                                                     const v1::OpenSessionRequest& request,
                                                     Calls& calls, const ops::Trace& trace) {
  std::optional<CallFailure> worst;
  for (const auto& manager : managers) {
    auto opened = manager->call(&ManagerLink::Stub::OpenSession, request, calls, kOpenLimit, trace);
    if (opened) return *std::move(opened);
    CallFailure& failure = opened.error();
    const bool last = failure.then != Then::next_manager;  // the cluster has answered
    if (!worst || weight(failure.then) > weight(worst->then)) worst = std::move(failure);
    if (last) break;
  }
  if (!worst) worst = {Then::next_manager, {Errc::unreachable, "no manager is known"}, {}};
  return std::unexpected(*std::move(worst));
}

ClusterSession::ClusterSession(ManagerLinks managers, std::string id, SessionEvents events,
                               const function::Log& log, ops::Trace trace)
    : id_(std::move(id)),
      events_(std::move(events)),
      log_(log),
      trace_(std::move(trace)),
      managers_(std::move(managers)),
      renewed_(steady_clock::now()),
      random_(std::random_device()()) {}

void ClusterSession::start(const v1::Session& opened) {
  take(opened);
  worker_ = std::thread([this] { work(); });
  watcher_ = std::thread([this] { watch(); });
}

ClusterSession::~ClusterSession() { stop(); }

void ClusterSession::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  calls_.cancel();
  if (worker_.joinable()) worker_.join();
  if (watcher_.joinable()) watcher_.join();
}

void ClusterSession::close(milliseconds limit) {
  stop();
  if (gone_) return;
  Calls calls;
  v1::CloseSessionRequest request;
  request.set_id(id_);
  const auto deadline = steady_clock::now() + limit;
  const ManagerLinks managers = managers_;
  for (std::size_t i = 0; i < managers.size() && steady_clock::now() < deadline; ++i) {
    // A dead manager leaves time for another one.
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    const auto share = i + 1 < managers.size() ? left / 2 : left;
    const auto closed = managers[(at_ + i) % managers.size()]->call(
        &ManagerLink::Stub::CloseSession, request, calls, share);
    if (closed || closed.error().then != Then::next_manager) return;
  }
  log_(LogLevel::warning, "no manager was there to close session " + id_ +
                              ": the cluster will, once it is not renewed");
}

void ClusterSession::use(ManagerLinks managers) {
  {
    const std::lock_guard lock(mutex_);
    const std::string asked = managers_[at_]->address();
    managers_ = std::move(managers);
    // The watch goes on where it is.
    const auto same =
        std::ranges::find(managers_, asked, [](const auto& m) { return m->address(); });
    at_ = same == managers_.end() ? 0 : static_cast<std::size_t>(same - managers_.begin());
    failures_ = 0;
    not_before_ = {};
  }
  changed_.notify_all();
}

void ClusterSession::report(std::uint64_t generation, const std::string& host,
                            PlacementHealth health) {
  {
    const std::lock_guard lock(mutex_);
    if (generation != generation_) return;  // there is a newer one by now
    const auto now = steady_clock::now();
    if (health == PlacementHealth::refused) {
      // The ticket may have been too old, or the process a new one; a second time it is the host.
      if (++refusals_ == 1) {
        renewal_wanted_ = true;
      } else {
        health = PlacementHealth::unreachable;
      }
    }
    if (health == PlacementHealth::unreachable) {
      avoided_[host] = now + kAvoid;
      log_(LogLevel::warning, "host " + host + " of session " + id_ +
                                  " cannot be used: the cluster is asked for another one");
    } else if (health == PlacementHealth::in_use) {
      avoided_.erase(host);
      refusals_ = 0;
    }
    health_ = health;
    not_before_ = {};
    move_not_before_ = {};
  }
  changed_.notify_all();
}

// --- What is asked for

ClusterSession::Wish ClusterSession::wish(Time now) const {
  if (gone_ || now < not_before_) return Wish::nothing;
  // A session that cannot be moved now is to live on.
  if (renewal_wanted_ || now >= renewed_ + lifetime_ / kRenewals) return Wish::renewal;
  if (health_ == PlacementHealth::unreachable && now >= move_not_before_) return Wish::move;
  return Wish::nothing;
}

std::optional<ClusterSession::Time> ClusterSession::next_wish() const {
  if (gone_) return std::nullopt;
  if (renewal_wanted_) return not_before_;
  Time next = renewed_ + lifetime_ / kRenewals;
  if (health_ == PlacementHealth::unreachable) next = std::min(next, move_not_before_);
  return std::max(not_before_, next);
}

void ClusterSession::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto now = steady_clock::now();
    if (const Wish wanted = wish(now); wanted != Wish::nothing) {
      ask(wanted, lock);
      tell_gone(lock);
    } else if (const auto at = next_wish()) {
      changed_.wait_until(lock, *at);
    } else {
      changed_.wait(lock);
    }
  }
}

void ClusterSession::ask(Wish wanted, std::unique_lock<std::mutex>& lock) {
  const std::shared_ptr<ManagerLink> manager = managers_[at_];
  std::expected<v1::Session, CallFailure> answer;
  if (wanted == Wish::move) {
    v1::MoveSessionRequest request;
    request.set_id(id_);
    std::erase_if(avoided_,
                  [now = steady_clock::now()](const auto& entry) { return entry.second <= now; });
    for (const auto& [host, until] : avoided_) request.add_avoid_hosts(host);
    lock.unlock();
    answer = manager->call(&ManagerLink::Stub::MoveSession, request, calls_, kMoveLimit, trace_);
  } else {
    v1::RenewSessionRequest request;
    request.set_id(id_);
    lock.unlock();
    answer = manager->call(&ManagerLink::Stub::RenewSession, request, calls_, kCallLimit, trace_);
  }
  if (answer) take(*answer);
  lock.lock();
  if (!answer) return failed(wanted, answer.error());
  failures_ = 0;
  not_before_ = {};
  renewed_ = steady_clock::now();
  if (wanted == Wish::renewal) renewal_wanted_ = false;
  // It did not move, or to where it does not work: asked again, not at once.
  if (wanted == Wish::move && health_ == PlacementHealth::unreachable)
    move_not_before_ = renewed_ + jittered(1s);
}

void ClusterSession::failed(Wish wanted, const CallFailure& failure) {
  if (stopping_) return;
  const auto now = steady_clock::now();
  if (log_.wants(LogLevel::debug))
    log_(LogLevel::debug, "session " + id_ + ": " + failure.why.message);
  switch (failure.then) {
    case Then::gone:
      log_(LogLevel::warning, "session " + id_ + " is over: " + failure.why.message);
      gone_ = true;
      return;
    case Then::later:
      // No host but those that failed has room: one that failed a while ago is better than none.
      if (wanted == Wish::move)
        std::erase_if(avoided_, [this](const auto& entry) { return entry.first != host_; });
      not_before_ = now + jittered(failure.retry_after.value_or(1s));
      return;
    case Then::never:
      log_(LogLevel::error, "session " + id_ + ": " + failure.why.message);
      (wanted == Wish::move ? move_not_before_ : not_before_) = now + jittered(kLastPause);
      return;
    case Then::next_manager:
    case Then::stopped: break;
  }
  ++failures_;
  at_ = (at_ + 1) % managers_.size();
  // It may not have noticed: a host that is cut off says nothing.
  if (watching_ != nullptr) watching_->TryCancel();
  changed_.notify_all();
  // Each manager once without a pause.
  if (failures_ < managers_.size()) return;
  if (failures_ == managers_.size())
    log_(LogLevel::warning,
         "no manager answers (" + failure.why.message + "): session " + id_ + " goes on as it is");
  const auto rounds = std::min<std::uint64_t>(failures_ / managers_.size() - 1, 16);
  const auto pause = std::min<Duration>(kFirstPause * (std::int64_t{1} << rounds), kLongestPause);
  not_before_ = now + jittered(pause);
}

ClusterSession::Duration ClusterSession::jittered(Duration pause) {
  std::uniform_real_distribution<double> some(0.75, 1.25);
  return std::chrono::duration_cast<Duration>(pause * some(random_));
}

// --- What is said

void ClusterSession::take(const v1::Session& session) {
  const v1::Placement& said = session.placement();
  std::optional<Placement> placement;
  bool waits = false;
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || gone_ || session.id() != id_) return;
    if (session.renew_within_ms() > 0) lifetime_ = milliseconds(session.renew_within_ms());
    ended = session.state() == v1::Session::CLOSED;
    waits = session.state() == v1::Session::WAITING;
    const bool newer = said.generation() > generation_;
    if (ended) {
      gone_ = true;
    } else if (session.state() == v1::Session::PLACED && !said.ticket().empty() &&
               (newer || (said.generation() == generation_ && said.ticket() != ticket_))) {
      if (newer) {
        move_not_before_ = {};
        health_.reset();
        refusals_ = 0;
      }
      generation_ = said.generation();
      host_ = said.host_id();
      ticket_ = said.ticket();
      placement = Placement{.session = id_,
                            .generation = generation_,
                            .host = host_,
                            .address = said.address(),
                            .ticket = bytes_of(said.ticket()),
                            .authority = said.data_plane_authority(),
                            .modules = {}};
      for (const v1::ModuleRef& module : session.modules())
        placement->modules.push_back({module.name(), module.digest()});
    }
  }
  changed_.notify_all();
  if (ended) {
    std::unique_lock lock(mutex_);
    return tell_gone(lock);
  }
  if (waits) {
    events_.on_waiting({Errc::overloaded, "session " + id_ + " waits for a host with room"});
  } else if (placement) {
    events_.on_placement(*std::move(placement));
  }
}

void ClusterSession::tell_gone(std::unique_lock<std::mutex>& lock) {
  if (!gone_ || stopping_ || std::exchange(told_gone_, true)) return;
  lock.unlock();
  events_.on_gone();
  lock.lock();
}

void ClusterSession::watch() {
  std::unique_lock lock(mutex_);
  Duration pause = kFirstPause;
  while (!stopping_ && !gone_) {
    const std::shared_ptr<ManagerLink> asked = managers_[at_];
    lock.unlock();
    const auto begin = steady_clock::now();
    watch_at(*asked);
    lock.lock();
    // Renewals find out which manager is there, and the watch follows them; alone, it only pauses.
    pause = steady_clock::now() - begin > kLongestPause
                ? kFirstPause
                : std::min<Duration>(pause * 2, kLongestPause);
    changed_.wait_until(lock, steady_clock::now() + jittered(pause),
                        [&] { return stopping_ || gone_ || managers_[at_] != asked; });
  }
}

void ClusterSession::watch_at(ManagerLink& manager) {
  grpc::ClientContext context;
  manager.prepare(context, std::nullopt);
  const Calls::Running running(calls_, context);
  {
    const std::lock_guard lock(mutex_);
    watching_ = &context;
  }
  v1::WatchSessionRequest request;
  request.set_id(id_);
  const std::shared_ptr<ManagerLink::Stub> used = manager.stub();
  const auto stream = used->WatchSession(&context, request);
  v1::Session session;
  while (stream->Read(&session)) take(session);
  const grpc::Status status = stream->Finish();
  {
    const std::lock_guard lock(mutex_);
    watching_ = nullptr;
  }
  if (status.ok() || status.error_code() == grpc::StatusCode::CANCELLED) return;
  const CallFailure failure = failure_of(status, context, manager.address());
  if (failure.then == Then::next_manager) manager.leave(used);
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (log_.wants(LogLevel::debug))
    log_(LogLevel::debug, "session " + id_ + " is not watched: " + failure.why.message);
  // Whether there is a manager, and a session, is what a renewal finds out.
  if (failure.then == Then::next_manager || failure.then == Then::gone) renewal_wanted_ = true;
  changed_.notify_all();
}

}  // namespace aloft::device
