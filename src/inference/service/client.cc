#include "inference/service/client.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <sys/socket.h>

#include "inference/inputs.h"
#include "inference/tensor.h"

namespace aloft::inference::service {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPacketsAtATime = 32;  // then it is the next client's turn
constexpr std::size_t kMostLoads = 4;
constexpr std::chrono::seconds kTrialLimit{20};

std::unexpected<Error> broken(const char* what) { return fail(Errc::protocol, what); }

}  // namespace

void ClientLine::end() { ::shutdown(socket_.get(), SHUT_RDWR); }

Client::Client(std::string tenant, const ClientLimits& limits, wire::Descriptor socket,
               const std::string& engine, const Services& services)
    : tenant_(std::move(tenant)),
      limits_(limits),
      line_(std::make_shared<ClientLine>(std::move(socket))),
      services_(services) {
  line_->send(remote::Hello{.version = remote::kVersion, .engine = engine});
  thread_ = std::thread([this] { work(); });
}

Client::~Client() {
  end();
  thread_.join();
}

void Client::end() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(ending_, true)) return;
    stop_.request_stop();
    changed_.notify_all();
  }
  line_->end();
  for (auto& [number, place] : memories_) give_up(place);
  memories_.clear();
  graphs_.clear();
}

bool Client::finished() const {
  const std::lock_guard lock(mutex_);
  return finished_;
}

std::optional<Client::Loading> Client::loading() const {
  const std::lock_guard lock(mutex_);
  return loading_;
}

Result<void> Client::read() {
  std::array<std::byte, remote::kMaxPacket> buffer;
  for (int i = 0; i < kPacketsAtATime; ++i) {
    const auto packet = wire::receive_packet(line_->socket(), buffer, wire::Wait::no);
    if (!packet) return std::unexpected(packet.error());
    if (!*packet) return {};
    const auto message = remote::decode(std::span(buffer).first((*packet)->size));
    if (!message) return std::unexpected(message.error());
    if (auto taken = take(*message); !taken) return taken;
  }
  return {};
}

Result<void> Client::take(const remote::Message& message) {
  return std::visit([this](const auto& one) { return take(one); }, message);
}

template <class Other>
Result<void> Client::take(const Other&) {
  return broken("a message that a client does not send");
}

void Client::refuse(std::uint32_t call, const Error& why) {
  line_->send(remote::Failed::of(call, why));
}

Result<void> Client::take(const remote::MakeMemory& wish) {
  const std::uint64_t left = limits_.memory - memory_bytes_;
  if (wish.bytes == 0 || wish.bytes > left || memories_.size() >= limits_.memories) {
    refuse(wish.call, {Errc::resource_exhausted,
                       "the tensors of the tenant " + tenant_ + " have no room for " +
                           std::to_string(wish.bytes) + " more bytes in the inference process (" +
                           std::to_string(memory_bytes_) + " of " + std::to_string(limits_.memory) +
                           " are in use)"});
    return {};
  }
  auto made = SharedMemory::make(wish.bytes);
  if (!made) {
    refuse(wish.call, made.error());
    return {};
  }
  memory_bytes_ += wish.bytes;
  auto memory = std::make_shared<ClientMemory>();
  memory->shared = *std::move(made);
  line_->send(remote::Memory{wish.call, ++last_number_}, memory->shared.descriptor());
  memories_.emplace(last_number_, Place{.memory = std::move(memory), .last = {}, .job = {}});
  return {};
}

Result<void> Client::take(const remote::Load& load) {
  const auto found = memories_.find(load.memory);
  if (found == memories_.end()) return broken("a model in memory that there is not");
  const auto& memory = found->second.memory;
  if (load.bytes == 0 || load.bytes > memory->shared.bytes().size())
    return broken("a model larger than the memory that it lies in");
  if (load.bytes > limits_.models - model_bytes_ || graphs_.size() >= limits_.graphs) {
    refuse(load.call,
           {Errc::resource_exhausted, "the models of the tenant " + tenant_ +
                                          " take what they may in the inference process (" +
                                          std::to_string(graphs_.size()) + " models, " +
                                          std::to_string(model_bytes_ >> 20U) + " MiB)"});
    return {};
  }
  const std::lock_guard lock(mutex_);
  if (to_load_.size() >= kMostLoads) return broken("too many models at a time");
  to_load_.push_back({load, memory});
  changed_.notify_all();
  return {};
}

Result<void> Client::take(const remote::Compute& compute) {
  const auto place = memories_.find(compute.memory);
  const auto graph = graphs_.find(compute.graph);
  if (place == memories_.end() || graph == graphs_.end())
    return broken("an inference of a model, or in memory, that there is not");
  const std::shared_ptr<ClientMemory>& memory = place->second.memory;
  if (memory->in_use.exchange(true)) return broken("two inferences at a time in one memory");
  const auto& infos = graph->second.model->graph().inputs();
  if (compute.inputs.size() != infos.size()) return broken("not the inputs that the model has");
  auto job = std::make_shared<Job>();
  for (std::uint32_t k = 0; k < infos.size(); ++k) {
    const remote::Tensor& tensor = compute.inputs[k];
    const auto data = memory->shared.part(tensor.offset, tensor.size);
    if (data.size() != tensor.size) return broken("a tensor outside its memory");
    if (auto fits =
            check_input(infos, k, {static_cast<ElementType>(tensor.type), tensor.dims, data});
        !fits)
      return fits;
    job->shape.push_back(tensor.dims);
  }
  if (memory->shared.part(compute.room_at, compute.room).size() != compute.room)
    return broken("outputs outside their memory");
  job->tenant = tenant_;
  job->line = line_;
  job->model = graph->second.model;
  job->memory = memory;
  job->request = compute;
  job->arrived = Clock::now();
  place->second.job = job;
  use(place->second, job->model);
  if (job->model->wants_trial(job->shape)) {
    const std::lock_guard lock(mutex_);
    to_try_.push_back(job->model);
    changed_.notify_all();
  }
  services_.queue.push(std::move(job));
  services_.runner.nudge();
  return {};
}

void Client::use(Place& place, const std::shared_ptr<ServedModel>& model) {
  if (place.last == model) return;
  if (place.last) services_.queue.add_user(*place.last, tenant_, -1);
  if (model) services_.queue.add_user(*model, tenant_, 1);
  place.last = model;
}

void Client::give_up(Place& place) {
  if (place.job && place.memory->in_use && !place.job->cancelled) {
    place.job->cancelled = true;
    if (!services_.queue.remove(*place.job)) services_.runner.cancel(*place.job);
  }
  place.job.reset();
  use(place, nullptr);
}

Result<void> Client::take(const remote::Cancel& cancel) {
  for (auto& [number, place] : memories_) {
    if (!place.job || place.job->request.call != cancel.call || !place.memory->in_use) continue;
    place.job->cancelled = true;
    if (!services_.queue.remove(*place.job)) services_.runner.cancel(*place.job);
  }
  return {};
}

Result<void> Client::take(const remote::DropGraph& drop) {
  const auto found = graphs_.find(drop.graph);
  if (found == graphs_.end()) return broken("a model that there is not");
  model_bytes_ -= found->second.bytes;
  graphs_.erase(found);
  return {};
}

Result<void> Client::take(const remote::DropMemory& drop) {
  const auto found = memories_.find(drop.memory);
  if (found == memories_.end()) return broken("memory that there is not");
  give_up(found->second);
  memory_bytes_ -= found->second.memory->shared.bytes().size();
  memories_.erase(found);
  return {};
}

void Client::collect() {
  std::deque<LoadedTask> loaded;
  {
    const std::lock_guard lock(mutex_);
    loaded.swap(loaded_);
  }
  for (LoadedTask& task : loaded) {
    if (!task.graph) {
      refuse(task.call, task.graph.error());
      continue;
    }
    if (task.graph->bytes > limits_.models - model_bytes_) {
      refuse(task.call, {Errc::resource_exhausted, "the tenant's models take too much"});
      continue;
    }
    remote::Loaded answer{.call = task.call, .graph = ++last_number_, .inputs = {}, .outputs = {}};
    const auto tell = [](const std::vector<TensorInfo>& infos, std::vector<remote::Tensor>& to) {
      for (const TensorInfo& info : infos)
        to.push_back({.name = info.name,
                      .type = static_cast<std::uint8_t>(info.type),
                      .dims = info.dims,
                      .offset = 0,
                      .size = 0});
    };
    const inference::Graph& graph = task.graph->model->graph();
    tell(graph.inputs(), answer.inputs);
    tell(graph.outputs(), answer.outputs);
    const bool too_many = answer.inputs.size() > remote::kMaxTensors ||
                          answer.outputs.size() > remote::kMaxTensors ||
                          remote::encode(answer).size() > remote::kMaxPacket;
    if (too_many) {
      refuse(task.call, {Errc::refused, "the model has more inputs and outputs than can be told"});
      continue;
    }
    model_bytes_ += task.graph->bytes;
    graphs_.emplace(last_number_, *std::move(task.graph));
    line_->send(answer);
  }
}

// --- its thread ------------------------------------------------------------------------

void Client::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !to_load_.empty() || !to_try_.empty(); });
    if (ending_) break;
    if (!to_load_.empty()) {
      const LoadTask task = std::move(to_load_.front());
      to_load_.pop_front();
      lock.unlock();
      auto graph = load(task);
      lock.lock();
      loading_.reset();
      loaded_.push_back({task.request.call, std::move(graph)});
    } else {
      const auto model = std::move(to_try_.front());
      to_try_.pop_front();
      lock.unlock();
      const CrashJournal::Entry written(services_.journal, model->digest());
      const std::string verdict = model->try_out(Clock::now() + kTrialLimit, stop_.get_token());
      services_.log(tenant_, verdict);
      lock.lock();
    }
    services_.wake();
  }
  finished_ = true;
  lock.unlock();
  services_.wake();
}

Result<Client::Graph> Client::load(const LoadTask& task) {
  // A copy: nobody changes what is checked, hashed and read.
  const auto lies = task.memory->shared.part(0, task.request.bytes);
  const std::vector<std::byte> model(lies.begin(), lies.end());
  const Digest digest = sha256(model);
  {
    const std::lock_guard lock(mutex_);
    loading_ = Loading{digest, Clock::now()};
  }
  auto served = services_.models.get(digest, model);
  if (!served) return std::unexpected(served.error());
  return Graph{*std::move(served), model.size()};
}

}  // namespace aloft::inference::service
