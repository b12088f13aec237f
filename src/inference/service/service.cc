#include "inference/service/service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <poll.h>

namespace aloft::inference::service {
namespace {

// How often it looks for what does not end. What does not has to be found so at this many looks in
// a row: a process that got no processor for a while would find everything overdue at the first.
constexpr int kLookEvery = 100;  // ms
constexpr int kLooks = 4;

}  // namespace

InferenceService::InferenceService(std::shared_ptr<Engine> cpu, std::shared_ptr<Engine> accelerated,
                                   ServiceOptions options)
    : cpu_(std::move(cpu)),
      accelerated_(std::move(accelerated)),
      options_(std::move(options)),
      queue_({.slots = options_.slots,
              .threads = options_.inference_threads,
              .wait = options_.batch_wait}),
      runner_(queue_, options_.journal, concurrency_of(options_)),
      cpu_models_(*cpu_, options_.journal, options_.models),
      accelerated_models_(accelerated_ ? std::make_unique<ModelTable>(
                                             *accelerated_, options_.journal, options_.models)
                                       : nullptr),
      thread_([this] { run(); }) {}

InferenceService::~InferenceService() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.wake();
  thread_.join();
  queue_.close();
}

void InferenceService::add_client(const std::string& tenant, const ClientLimits& limits,
                                  const TenantShare& share, wire::Descriptor socket) {
  queue_.set_share(tenant, share);
  const bool accelerated = limits.accelerator == Accelerator::yes && accelerated_ != nullptr;
  const Client::Services services{.queue = queue_,
                                  .runner = runner_,
                                  .models = accelerated ? *accelerated_models_ : cpu_models_,
                                  .journal = options_.journal,
                                  .log = options_.log,
                                  .wake = [this] { wake_.wake(); }};
  auto client =
      std::make_unique<Client>(tenant, limits, std::move(socket),
                               (accelerated ? accelerated_ : cpu_)->description(), services);
  {
    const std::lock_guard lock(mutex_);
    clients_.push_back(std::move(client));
  }
  wake_.wake();
}

void InferenceService::set_share(const std::string& tenant, const TenantShare& share) {
  queue_.set_share(tenant, share);
}

void InferenceService::forbid(const Digest& model) {
  cpu_models_.forbid(model);
  if (accelerated_models_) accelerated_models_->forbid(model);
}

std::size_t InferenceService::clients() {
  const std::lock_guard lock(mutex_);
  return clients_.size();
}

// --- its thread ------------------------------------------------------------------------

void InferenceService::run() {
  std::unique_lock lock(mutex_);
  while (!closing_) step(lock);
  for (const auto& client : clients_) client->end();
  // Here what is being loaded is waited for.
  clients_.clear();
  ending_.clear();
}

void InferenceService::step(std::unique_lock<std::mutex>& lock) {
  std::vector<pollfd> fds{{wake_.descriptor(), POLLIN, 0}};
  for (const auto& client : clients_) fds.push_back({client->socket(), POLLIN, 0});
  lock.unlock();
  (void)::poll(fds.data(), fds.size(), kLookEvery);
  wake_.clear();
  lock.lock();
  // Clients are only added at the end meanwhile.
  auto fd = fds.begin() + 1;
  for (auto at = clients_.begin(); at != clients_.end();) {
    Client& client = **at;
    client.collect();
    Result<void> read;
    if (fd != fds.end() && (fd++)->revents != 0) read = client.read();
    if (read) {
      ++at;
      continue;
    }
    drop(client, read.error());
    ending_.splice(ending_.end(), clients_, at++);
  }
  std::erase_if(ending_, [](const auto& client) { return client->finished(); });
  watch();
}

void InferenceService::drop(Client& client, const Error& why) {
  if (why.code != Errc::unreachable)
    options_.log(client.tenant(), "its connection is ended: " + why.message);
  client.end();
  const bool last = std::ranges::none_of(clients_, [&](const auto& other) {
    return other.get() != &client && other->tenant() == client.tenant();
  });
  if (last) queue_.forget(client.tenant());
}

void InferenceService::watch() {
  std::string what = "an inference of the model sha256:";
  auto model = runner_.stuck(options_.stuck_after);
  const auto now = std::chrono::steady_clock::now();
  for (const auto* list : {&clients_, &ending_}) {
    for (const auto& client : *list) {
      const auto loading = client->loading();
      if (model || !loading || now - loading->since < options_.load_limit) continue;
      model = loading->model;
      what = "loading the model sha256:";
    }
  }
  looks_ = model ? looks_ + 1 : 0;
  if (looks_ < kLooks || std::exchange(told_, true)) return;
  options_.stuck(*model, what + model->hex() + " does not end");
}

}  // namespace aloft::inference::service
