#include "host/control/tenant_process.h"

#include <algorithm>
#include <utility>

#include <poll.h>
#include <spdlog/spdlog.h>

namespace aloft::host {
namespace {

using Clock = std::chrono::steady_clock;

// From one line to the inference process to the next, of a handler that loses them.
constexpr std::chrono::milliseconds kInferencePause{200};
// A handler that reads nothing of its state for so long is of no use.
constexpr std::chrono::milliseconds kStateLimit{5'000};

int until(Clock::time_point time) {
  if (time == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

}  // namespace

struct TenantProcess::Worker {
  explicit Worker(std::unique_ptr<ReadyHandler> handler) : ready(std::move(handler)) {}
  [[nodiscard]] Child& child() const { return ready->child; }
  [[nodiscard]] TenantLink& link() const { return ready->link; }
  std::unique_ptr<ReadyHandler> ready;
  bool serving = false;
  bool line_ended = false;
  Clock::time_point started = Clock::now();
  Clock::time_point kill_at = Clock::time_point::max();
  Clock::time_point inference_given{};
  Clock::time_point inference_due = Clock::time_point::max();
};

Result<std::unique_ptr<TenantProcess>> TenantProcess::start(TenantProcessOptions options,
                                                            std::unique_ptr<TenantPlace> place) {
  std::unique_ptr<TenantProcess> tenant(new TenantProcess(std::move(options), std::move(place)));
  std::unique_lock lock(tenant->mutex_);
  tenant->changed_.wait(lock, [&] { return tenant->first_.has_value(); });
  if (*tenant->first_) {
    lock.unlock();
    return tenant;
  }
  Error error = tenant->first_->error();
  lock.unlock();
  return std::unexpected(std::move(error));
}

TenantProcess::TenantProcess(TenantProcessOptions options, std::unique_ptr<TenantPlace> place)
    : options_(std::move(options)), place_(std::move(place)), thread_([this] { run(); }) {
  if (options_.inference != nullptr) {
    subscription_.emplace(*options_.inference, [this] {
      inference_restarted_ = true;
      wake_.wake();
    });
  }
}

TenantProcess::~TenantProcess() {
  subscription_.reset();
  end();
  thread_.join();
}

std::vector<std::string> TenantProcess::missing() {
  const std::lock_guard lock(mutex_);
  auto all = missing_;
  for (const std::string& what : not_limited_) all.push_back("no control group limits its " + what);
  return all;
}

std::uint64_t TenantProcess::starts() {
  const std::lock_guard lock(mutex_);
  return starts_;
}

pid_t TenantProcess::pid() {
  const std::lock_guard lock(mutex_);
  for (const auto& worker : workers_) {
    if (worker->serving) return worker->ready->pid;
  }
  return -1;
}

void TenantProcess::tell(const TenantMessage& message) {
  for (const auto& worker : workers_) {
    // One that does not read is of no use any more, and must not see the rest with a hole in it.
    if (!worker->link().send(message)) worker->child().kill();
  }
}

void TenantProcess::trust(std::vector<std::array<std::byte, 32>> keys) {
  const std::lock_guard lock(mutex_);
  if (keys_.keys == keys) return;
  keys_.keys = std::move(keys);
  tell(keys_);
}

void TenantProcess::hear_time(identity::ClusterTime now) {
  const std::lock_guard lock(mutex_);
  time_.hear(now);
  if (const auto here = time_.now()) tell(TellTime{*here});
}

void TenantProcess::expect(const std::string& session, std::uint64_t generation,
                           const std::string& trace) {
  const std::lock_guard lock(mutex_);
  placements_.expect(session, generation, trace);
  tell(Place{session, generation, false, {}, trace});
}

void TenantProcess::show(const std::string& certificate, const std::string& key) {
  const std::lock_guard lock(mutex_);
  tell(ShowCertificate{certificate, key});
}

void TenantProcess::release(const std::string& session, std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  const auto now = time_.now().value_or(identity::ClusterTime{});
  placements_.release(session, generation, now);
  tell(Place{session, generation, true, now, {}});
}

std::size_t TenantProcess::sessions() {
  const std::lock_guard lock(mutex_);
  return placements_.live();
}

void TenantProcess::count(std::vector<Digest> modules) {
  const std::lock_guard lock(mutex_);
  std::erase_if(counted_, [&](const auto& one) {
    return std::ranges::find(modules, one.first) == modules.end();
  });
  for (const Digest& module : modules) counted_.try_emplace(module, CountedCalls{.module = module});
}

std::vector<CountedCalls> TenantProcess::counts() {
  const std::lock_guard lock(mutex_);
  std::vector<CountedCalls> all;
  for (const auto& [module, counted] : counted_) {
    if (!counted.empty()) all.push_back(counted);
  }
  return all;
}

void TenantProcess::limit(const CgroupLimits& limits) {
  const std::lock_guard lock(mutex_);
  not_limited_ = place_->cgroup().limit(limits);
}

void TenantProcess::limit_inference(std::uint32_t cpu_millicores, std::uint32_t gpus) {
  if (options_.inference == nullptr) return;
  const std::lock_guard lock(mutex_);
  InferClient& client = options_.inference_client;
  client.share.cpu_millicores = cpu_millicores;
  options_.inference->set_share(client.share);
  // Which engine it has is decided with its connection.
  if ((std::exchange(client.gpus, gpus) == 0) == (gpus == 0)) return;
  for (const auto& worker : workers_) worker->inference_due = Clock::now();
  wake_.wake();
}

void TenantProcess::give_inference(Worker& worker) {
  worker.inference_due = Clock::time_point::max();
  worker.inference_given = Clock::now();
  auto socket = options_.inference->connect(options_.inference_client);
  // Whether there is none, or the line is full: the next one, if there is one, is told of.
  if (!socket || !worker.link().send(Inference{}, socket->get())) return;
  spdlog::debug("tenant {}: has a line to aloft-infer", options_.tenant);
}

void TenantProcess::end() {
  std::unique_lock lock(mutex_);
  ending_ = true;
  wake_.wake();
  changed_.wait(lock, [this] { return workers_.empty(); });
}

// --- its thread ------------------------------------------------------------------------

Result<void> TenantProcess::start_worker() {
  // The one that came with the place may have ended since.
  if (auto first = place_->take_handler(); first && serve_with(std::move(first))) return {};
  std::string inference = place_->setup().inference_process;
  if (options_.inference != nullptr) {
    const std::lock_guard lock(mutex_);
    inference = options_.inference->engine_for(options_.inference_client.gpus);
  }
  auto handler = place_->start_handler(inference);
  if (!handler) return std::unexpected(std::move(handler).error());
  return serve_with(*std::move(handler));
}

Result<void> TenantProcess::serve_with(std::unique_ptr<ReadyHandler> handler) {
  auto worker = std::make_unique<Worker>(std::move(handler));
  const std::lock_guard lock(mutex_);
  missing_ = worker->ready->missing;
  if (auto sent = worker->link().send(BelongTo{options_.tenant}); !sent) return sent;
  if (options_.inference != nullptr) give_inference(*worker);
  std::vector<TenantMessage> state{keys_, Forget{placements_.forgotten()}};
  if (const auto now = time_.now()) state.emplace_back(TellTime{*now});
  for (const auto& entry : placements_.entries())
    state.emplace_back(
        Place{entry.session, entry.generation, entry.released, entry.at, entry.trace});
  state.emplace_back(Serve{});
  for (const TenantMessage& message : state) {
    // It reads as fast as it can, and the line holds a few hundred of these.
    if (auto sent = worker->link().send_within(kStateLimit, message); !sent) return sent;
  }
  ++starts_;
  worker->serving = true;
  workers_.push_back(std::move(worker));
  return {};
}

void TenantProcess::run() {
  auto started = start_worker();
  {
    const std::lock_guard lock(mutex_);
    first_ = started;
    changed_.notify_all();
  }
  if (!started) return;
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (ending_ && workers_.empty()) break;
    }
    step();
  }
}

void TenantProcess::step() {
  std::vector<pollfd> fds{{wake_.descriptor(), POLLIN, 0}};
  auto due = Clock::time_point::max();
  {
    const std::lock_guard lock(mutex_);
    bool serving = false;
    for (const auto& worker : workers_) {
      if (ending_ && worker->kill_at == Clock::time_point::max()) {
        (void)worker->link().send(End{});
        worker->kill_at = Clock::now() + options_.end_limit;
      }
      serving |= worker->serving;
      fds.push_back({worker->line_ended ? -1 : worker->link().socket(), POLLIN, 0});
      fds.push_back({worker->child().pidfd(), POLLIN, 0});
      due = std::min(due, worker->kill_at);
      if (worker->serving) due = std::min(due, worker->inference_due);
    }
    if (!ending_ && !serving) due = std::min(due, start_at_);
  }
  (void)::poll(fds.data(), fds.size(), until(due));
  wake_.clear();

  bool start = false;
  {
    const std::lock_guard lock(mutex_);
    const bool restarted = inference_restarted_.exchange(false);
    auto fd = fds.begin();
    for (auto& worker : workers_) {
      if (restarted) worker->inference_due = Clock::now();
      if (worker->serving && worker->inference_due <= Clock::now()) give_inference(*worker);
      if ((++fd)->revents != 0) hear_from(*worker);
      if ((++fd)->revents != 0) {
        const auto status = worker->child().wait(std::chrono::milliseconds::max());
        if (worker->serving && !ending_) {
          spdlog::error("tenant {}: its Execution Handler ended with status {}", options_.tenant,
                        *status);
          start_at_ = Clock::now() + restarts_.after_end(Clock::now() - worker->started);
        }
        worker.reset();
        continue;
      }
      if (worker->kill_at <= Clock::now()) {
        spdlog::warn("tenant {}: a process does not end and is killed", options_.tenant);
        worker->child().kill();
        worker->kill_at = Clock::time_point::max() - std::chrono::hours{1};
      }
    }
    std::erase(workers_, nullptr);
    changed_.notify_all();
    const bool serving =
        std::ranges::any_of(workers_, [](const auto& worker) { return worker->serving; });
    start = !ending_ && !serving && Clock::now() >= start_at_;
  }
  if (!start) return;
  if (auto started = start_worker(); !started) {
    spdlog::error("{}", started.error().message);
    start_at_ = Clock::now() + restarts_.after_failure();
  }
}

void TenantProcess::hear_from(Worker& worker) {
  const auto received = worker.link().receive();
  if (!received) {
    worker.line_ended = true;
    // Without a line it learns nothing any more; it ends by itself, or is made to.
    worker.kill_at = std::min(worker.kill_at, Clock::now() + options_.end_limit);
    return;
  }
  const TenantMessage& message = received->message;
  if (const auto* const figures = std::get_if<Figures>(&message)) {
    if (options_.figures) options_.figures(figures->module);
    return;
  }
  if (std::holds_alternative<HandOver>(message) && worker.serving) {
    spdlog::warn("tenant {}: its Execution Handler hands over", options_.tenant);
    worker.serving = false;
    worker.kill_at = Clock::now() + options_.end_limit;
    start_at_ = Clock::now();
  }
  if (const auto* const counted = std::get_if<CountedCalls>(&message)) {
    if (const auto wanted = counted_.find(counted->module); wanted != counted_.end())
      wanted->second.add(*counted);
  }
  if (std::holds_alternative<WantInference>(message) && options_.inference != nullptr)
    worker.inference_due = std::max(Clock::now(), worker.inference_given + kInferencePause);
  if (const auto* const failed = std::get_if<Failed>(&message))
    spdlog::error("tenant {}: {}", options_.tenant, failed->why);
}

}  // namespace aloft::host
