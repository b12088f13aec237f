#include "inference/service/runner.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "inference/tensor.h"

namespace aloft::inference::service {
namespace {

constexpr auto kNever = std::chrono::steady_clock::time_point::max();

}  // namespace

void ClientLine::send(const remote::Message& message, int descriptor) {
  if (!wire::send_packet(socket_.get(), remote::encode(message), descriptor)) end();
}

Runner::Runner(BatchQueue& queue, CrashJournal* journal, int most)
    : queue_(queue), journal_(journal), most_(most) {}

Runner::~Runner() {
  {
    const std::lock_guard lock(mutex_);
    for (Running& one : running_) one.stop.request_stop();
  }
  for (std::thread& thread : threads_) thread.join();
}

void Runner::nudge() {
  const std::lock_guard lock(mutex_);
  if (queue_.idle() == 0 && static_cast<int>(threads_.size()) < most_)
    threads_.emplace_back([this] { work(); });
}

void Runner::cancel(Job& job) {
  job.cancelled = true;
  const std::lock_guard lock(mutex_);
  for (Running& one : running_) {
    const auto gone = [](const auto& other) { return other->cancelled.load(); };
    if (one.unwanted || !std::ranges::all_of(one.batch, gone)) continue;
    one.unwanted = Clock::now();
    one.stop.request_stop();
  }
}

std::optional<Digest> Runner::stuck(std::chrono::milliseconds limit) const {
  const std::lock_guard lock(mutex_);
  for (const Running& one : running_) {
    if (one.unwanted && Clock::now() - *one.unwanted > limit)
      return one.batch.front()->model->digest();
  }
  return std::nullopt;
}

void Runner::work() {
  while (true) {
    Batch batch = queue_.take();
    if (batch.empty()) return;
    const auto start = Clock::now();
    run(batch);
    queue_.done(batch, Clock::now() - start);
  }
}

void Runner::run(const Batch& batch) {
  std::list<Running>::iterator entry;
  std::stop_token stop;
  {
    const std::lock_guard lock(mutex_);
    running_.push_front({.batch = batch});
    entry = running_.begin();
    stop = entry->stop.get_token();
    // One that was cancelled between the queue and here found nothing to stop.
    const auto gone = [](const auto& job) { return job->cancelled.load(); };
    if (std::ranges::all_of(batch, gone)) {
      entry->unwanted = Clock::now();
      entry->stop.request_stop();
    }
  }
  {
    const CrashJournal::Entry written(journal_, batch.front()->model->digest());
    if (batch.size() == 1) {
      run_alone(batch.front(), stop);
    } else {
      bool answered = false;
      if (auto place = batch.front()->model->take_workplace()) {
        answered = compute(batch, **place, stop).has_value();
        if (answered) batch.front()->model->give_back(*std::move(place));
      }
      // What one row breaks is not the fault of the others.
      if (!answered) {
        for (const auto& job : batch) run_alone(job, stop);
      }
    }
  }
  const std::lock_guard lock(mutex_);
  running_.erase(entry);
}

void Runner::run_alone(const std::shared_ptr<Job>& job, std::stop_token stop) {
  if (job->cancelled) return;
  auto place = job->model->take_workplace();
  if (!place) return answer(*job, remote::Failed::of(job->request.call, place.error()));
  const auto computed = compute({job}, **place, std::move(stop));
  // One that failed may be in any state.
  if (computed) return job->model->give_back(*std::move(place));
  answer(*job, remote::Failed::of(job->request.call, computed.error()));
}

Result<void> Runner::compute(const Batch& batch, Workplace& place, std::stop_token stop) {
  const Job& first = *batch.front();
  const auto& infos = first.model->graph().inputs();
  for (std::uint32_t k = 0; k < infos.size(); ++k) {
    std::size_t size = 0;
    for (const auto& job : batch) size += static_cast<std::size_t>(job->request.inputs[k].size);
    std::vector<std::byte>& input = place.inputs[k];
    input.resize(size);
    std::size_t at = 0;
    for (const auto& job : batch) {
      const auto& [name, type, dims, offset, bytes] = job->request.inputs[k];
      if (bytes == 0) continue;
      std::memcpy(&input[at], job->memory->shared.part(offset, bytes).data(), bytes);
      at += static_cast<std::size_t>(bytes);
    }
    auto dims = first.shape[k];
    if (batch.size() > 1) dims[0] = static_cast<std::uint32_t>(batch.size());
    if (auto set = place.execution->set_input(k, {infos[k].type, dims, input}); !set) return set;
  }
  if (auto computed = compute_and_wait(*place.execution, kNever, std::move(stop)); !computed)
    return computed;
  const auto outputs = static_cast<std::uint32_t>(first.model->graph().outputs().size());
  for (std::uint32_t k = 0; batch.size() > 1 && k < outputs; ++k) {
    const auto output = place.execution->output(k);
    if (!output) return std::unexpected(output.error());
    if (output->dims.empty() || output->dims[0] != batch.size()) {
      first.model->forbid();
      return fail(Errc::refused, "its outputs are no rows");
    }
  }
  for (std::size_t row = 0; row < batch.size(); ++row)
    answer(*batch[row], *place.execution, row, batch.size());
  return {};
}

void Runner::answer(Job& job, const Execution& execution, std::size_t row, std::size_t rows) {
  if (job.cancelled) return;
  const auto count = static_cast<std::uint32_t>(job.model->graph().outputs().size());
  remote::Computed computed{.call = job.request.call, .outputs = {}};
  std::uint64_t at = job.request.room_at;
  std::vector<std::span<const std::byte>> parts;
  for (std::uint32_t k = 0; k < count; ++k) {
    const auto output = execution.output(k);
    if (!output) return answer(job, remote::Failed::of(job.request.call, output.error()));
    const std::size_t size = output->data.size() / rows;
    parts.push_back(output->data.subspan(row * size, size));
    std::vector<std::uint32_t> dims(output->dims.begin(), output->dims.end());
    if (rows > 1) dims[0] = 1;
    computed.outputs.push_back({.name = {},
                                .type = static_cast<std::uint8_t>(output->type),
                                .dims = std::move(dims),
                                .offset = at,
                                .size = size});
    at = remote::aligned(at + size);
  }
  const std::uint64_t needed = at - job.request.room_at;
  if (needed > job.request.room) return answer(job, remote::NoRoom{job.request.call, needed});
  for (std::size_t k = 0; k < parts.size(); ++k) {
    const auto& output = computed.outputs[k];
    if (!parts[k].empty())
      std::memcpy(job.memory->shared.part(output.offset, output.size).data(), parts[k].data(),
                  parts[k].size());
  }
  answer(job, computed);
}

void Runner::answer(Job& job, const remote::Message& message) {
  if (job.cancelled) return;
  // The client may use the memory again as soon as it has the answer.
  job.memory->in_use = false;
  job.line->send(message);
}

}  // namespace aloft::inference::service
