#include "host/control/manager_link.h"

#include <algorithm>
#include <utility>

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>
#include <spdlog/spdlog.h>

namespace aloft::host {
namespace {

using Clock = std::chrono::steady_clock;

// A lease holds this many heartbeats, so that one that is lost does no harm.
constexpr int kBeats = 4;
constexpr std::chrono::milliseconds kPause{200};  // before the round of managers begins again

}  // namespace

ManagerLink::ManagerLink(ManagerLinkOptions options,
                         std::function<void(v1::HeartbeatRequest&)> fill,
                         std::function<void(const v1::HeartbeatResponse&)> hear)
    : options_(std::move(options)),
      fill_(std::move(fill)),
      hear_(std::move(hear)),
      thread_([this] { run(); }) {}

ManagerLink::~ManagerLink() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

bool ManagerLink::known() const { return Clock::now() < known_until_.load(); }

void ManagerLink::hurry(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  hurry_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, limit, [this, next = begun_ + 1] { return answered_ >= next; });
}

v1::Hosts::Stub& ManagerLink::stub() {
  const auto credentials = options_.credentials();
  if (!stub_ || credentials_ != credentials.version) {
    credentials_ = credentials.version;
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = v1::Hosts::NewStub(
        grpc::CreateCustomChannel(options_.managers[at_], credentials.credentials, arguments));
  }
  return *stub_;
}

bool ManagerLink::beat() {
  const std::string& manager = options_.managers[at_];
  v1::HeartbeatResponse response;
  for (const bool again : {false, true}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + options_.answer_limit);
    grpc::Status status;
    if (registered_) {
      v1::HeartbeatRequest request;
      request.set_host_id(options_.self.host_id());
      request.set_boot_id(options_.self.boot_id());
      fill_(request);
      status = stub().Heartbeat(&context, request, &response);
    } else {
      status = stub().Register(&context, options_.self, &response);
    }
    if (!status.ok()) {
      spdlog::warn("manager {}: {}", manager, status.error_message());
      return false;
    }
    const auto shown = context.auth_context()->FindPropertyValues("x509_pem_cert");
    if (shown.empty() || options_.is_revoked({shown.front().data(), shown.front().size()})) {
      spdlog::warn("manager {}: its certificate has been revoked: it is not believed", manager);
      return false;
    }
    if (!response.unknown()) break;
    registered_ = false;
    if (again) return false;
  }
  if (!std::exchange(registered_, true)) spdlog::info("registered at the manager {}", manager);
  lease_ = std::chrono::milliseconds(response.lease_ms());
  known_until_ = Clock::now() + lease_;
  hear_(response);
  return true;
}

void ManagerLink::run() {
  std::size_t silent = 0;  // managers, one after the other
  std::unique_lock lock(mutex_);
  while (!ending_) {
    hurry_ = false;
    const std::uint64_t number = ++begun_;
    lock.unlock();
    const bool answered = beat();
    if (!answered) {
      stub_.reset();
      at_ = (at_ + 1) % options_.managers.size();
      ++silent;
    } else {
      silent = 0;
    }
    lock.lock();
    if (answered) answered_ = number;
    changed_.notify_all();
    auto pause = lease_.count() > 0 ? lease_ / kBeats : options_.first_interval;
    if (!answered) {
      pause = silent % options_.managers.size() == 0 ? std::min(pause, kPause)
                                                     : std::chrono::milliseconds{0};
    }
    changed_.wait_for(lock, pause, [this] { return ending_ || hurry_; });
  }
}

}  // namespace aloft::host
