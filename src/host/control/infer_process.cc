#include "host/control/infer_process.h"

#include <array>
#include <csignal>
#include <utility>

#include <poll.h>
#include <spdlog/spdlog.h>

#include "host/infer_worker.h"
#include "host/process/restart_pause.h"

namespace aloft::host {
namespace {

using Clock = std::chrono::steady_clock;
using inference::service::CrashJournal;

// Crashes with a model at hand: the first time it may have been another one's fault.
constexpr int kMostCrashes = 2;

// What a process does to itself, other than what others do to it.
bool is_crash(int status) {
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS}) {
    if (status == 128 + signal) return true;
  }
  return false;
}

}  // namespace

Result<std::unique_ptr<InferProcess>> InferProcess::start(InferProcessOptions options) {
  auto memory = inference::SharedMemory::make(CrashJournal::kBytes);
  if (!memory) return std::unexpected(memory.error());
  std::unique_ptr<InferProcess> process(
      new InferProcess(std::move(options), std::make_unique<CrashJournal>(*std::move(memory))));
  auto ready = process->start_process();
  if (!ready) return std::unexpected(std::move(ready).error());
  process->first_ready_ = *std::move(ready);
  process->thread_ = std::thread([raw = process.get()] { raw->run(); });
  return process;
}

InferProcess::InferProcess(InferProcessOptions options,
                           std::unique_ptr<inference::service::CrashJournal> journal)
    : options_(std::move(options)), journal_(std::move(journal)) {}

InferProcess::~InferProcess() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (running_) (void)running_->line.send(InferEnd{});
  }
  wake_.wake();
  if (thread_.joinable()) thread_.join();
}

Result<wire::Descriptor> InferProcess::connect(const InferClient& client) {
  auto sockets = wire::make_packet_sockets();
  if (!sockets) return std::unexpected(std::move(sockets).error());
  std::shared_ptr<Running> running;
  {
    const std::lock_guard lock(mutex_);
    running = running_;
  }
  if (!running) return fail(Errc::unreachable, "aloft-infer does not run at the moment");
  if (auto sent = running->line.send(client, sockets->other.get()); !sent)
    return std::unexpected(std::move(sent).error());
  return std::move(sockets->one);
}

void InferProcess::set_share(const InferShare& share) {
  const std::lock_guard lock(mutex_);
  if (running_) (void)running_->line.send(share);
}

std::uint64_t InferProcess::starts() {
  const std::lock_guard lock(mutex_);
  return starts_;
}

pid_t InferProcess::pid() {
  const std::lock_guard lock(mutex_);
  return running_ ? running_->child.pid() : -1;
}

std::vector<std::string> InferProcess::forbidden() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all;
  for (const Digest& model : forbidden_) all.push_back("sha256:" + model.hex());
  return all;
}

InferProcess::Subscription::Subscription(InferProcess& process, std::function<void()> restarted)
    : process_(process) {
  const std::lock_guard lock(process_.subscribers_mutex_);
  number_ = ++process_.last_subscriber_;
  process_.subscribers_.emplace(number_, std::move(restarted));
}

InferProcess::Subscription::~Subscription() {
  const std::lock_guard lock(process_.subscribers_mutex_);
  process_.subscribers_.erase(number_);
}

// --- its thread, and start() -----------------------------------------------------------

Result<InferReady> InferProcess::start_process() {
  auto sockets = wire::make_packet_sockets();
  if (!sockets) return std::unexpected(std::move(sockets).error());
  const std::array<Child::Descriptor, 1> descriptors{
      {{sockets->other.get(), kInferLineDescriptor}}};
  // It logs as much as this process does.
  const auto level = spdlog::level::to_string_view(spdlog::get_level());
  auto child = Child::start(
      options_.program,
      {"--host", {level.data(), level.size()}, std::string(ops::to_string(options_.log_format))},
      descriptors);
  if (!child) return std::unexpected(std::move(child).error());
  // That it has ended is seen at the line: nobody else has the other end.
  sockets->other = {};
  auto running = std::make_shared<Running>(*std::move(child), InferLine(std::move(sockets->one)));
  journal_->clear();
  InferSetup setup = options_.setup;
  setup.forbidden = forbidden();
  if (auto sent = running->line.send(setup, journal_->descriptor()); !sent)
    return std::unexpected(std::move(sent).error());
  auto ready = wait_until_ready(*running);
  if (!ready) return ready;
  const std::lock_guard lock(mutex_);
  running_ = std::move(running);
  ++starts_;
  return ready;
}

Result<InferReady> InferProcess::wait_until_ready(Running& running) const {
  auto first = running.line.receive_within(options_.start_limit);
  if (first) {
    if (auto* const ready = std::get_if<InferReady>(&first->message)) return std::move(*ready);
    if (const auto* const failed = std::get_if<InferFailed>(&first->message))
      return fail(Errc::refused, "aloft-infer cannot start: " + failed->why);
  } else if (first.error().code == Errc::deadline_exceeded) {
    return fail(Errc::deadline_exceeded, "aloft-infer is not ready after " +
                                             std::to_string(options_.start_limit.count()) + " ms");
  }
  return fail(Errc::internal, "aloft-infer ended before it was ready");
}

void InferProcess::run() {
  RestartPause restarts;
  while (true) {
    const auto started = Clock::now();
    watch();
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return;
    }
    auto pause = restarts.after_end(Clock::now() - started);
    while (true) {
      pollfd woken{wake_.descriptor(), POLLIN, 0};
      (void)::poll(&woken, 1, static_cast<int>(pause.count()));
      {
        const std::lock_guard lock(mutex_);
        if (ending_) return;
      }
      const auto ready = start_process();
      if (ready) break;
      spdlog::error("{}", ready.error().message);
      pause = restarts.after_failure();
    }
    spdlog::info("aloft-infer runs again");
    const std::lock_guard lock(subscribers_mutex_);
    for (const auto& [number, restarted] : subscribers_) restarted();
  }
}

void InferProcess::watch() {
  std::shared_ptr<Running> running;
  {
    const std::lock_guard lock(mutex_);
    running = running_;
  }
  while (true) {
    std::array<pollfd, 2> fds{
        {{running->line.socket(), POLLIN, 0}, {wake_.descriptor(), POLLIN, 0}}};
    (void)::poll(fds.data(), fds.size(), -1);
    if (fds[1].revents != 0) break;  // ending
    auto received = running->line.receive();
    if (!received) break;
    if (const auto* const stuck = std::get_if<InferStuck>(&received->message)) {
      spdlog::error("aloft-infer: {}; the model is in quarantine at this host", stuck->why);
      const std::lock_guard lock(mutex_);
      if (const auto model = Digest::parse(stuck->model)) forbidden_.insert(*model);
    }
  }
  auto status = running->child.wait(options_.end_limit);
  if (!status) {
    running->child.kill();
    status = running->child.wait(std::chrono::milliseconds::max());
  }
  const std::lock_guard lock(mutex_);
  running_.reset();
  if (ending_) return;
  spdlog::error("aloft-infer ended with status {}", *status);
  blame(*status);
}

void InferProcess::blame(int status) {
  if (!is_crash(status)) return;
  for (const Digest& model : journal_->entries()) {
    if (++crashes_[model] < kMostCrashes) continue;
    spdlog::error("the model sha256:{} is in quarantine at this host: aloft-infer crashed with it",
                  model.hex());
    forbidden_.insert(model);
  }
}

}  // namespace aloft::host
