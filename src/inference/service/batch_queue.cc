#include "inference/service/batch_queue.h"

#include <algorithm>
#include <utility>

namespace aloft::inference::service {

void BatchQueue::set_share(const std::string& tenant, const TenantShare& share) {
  const std::lock_guard lock(mutex_);
  tenants_[tenant].share = share;
  changed_.notify_all();
}

void BatchQueue::forget(const std::string& tenant) {
  const std::lock_guard lock(mutex_);
  const auto found = tenants_.find(tenant);
  if (found != tenants_.end() && found->second.waiting.empty() && found->second.running == 0)
    tenants_.erase(found);
}

void BatchQueue::push(std::shared_ptr<Job> job) {
  const std::lock_guard lock(mutex_);
  tenants_[job->tenant].waiting.push_back(std::move(job));
  // One that waits for others of a batch may be another thread than the one that wakes up.
  changed_.notify_all();
}

bool BatchQueue::remove(const Job& job) {
  const std::lock_guard lock(mutex_);
  auto& waiting = tenants_[job.tenant].waiting;
  const auto found = std::ranges::find(waiting, &job, &std::shared_ptr<Job>::get);
  if (found == waiting.end()) return false;
  waiting.erase(found);
  return true;
}

Batch BatchQueue::take() {
  std::unique_lock lock(mutex_);
  while (!closed_) {
    Look seen = look_locked(Clock::now());
    if (!seen.batch.empty()) return std::move(seen.batch);
    ++idle_;
    if (seen.again) {
      changed_.wait_until(lock, *seen.again);
    } else {
      changed_.wait(lock);
    }
    --idle_;
  }
  return {};
}

BatchQueue::Look BatchQueue::look(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  return look_locked(now);
}

bool BatchQueue::has_room(const Tenant& tenant) const {
  return tenant.running < tenant.share.inferences &&
         (running_ < options_.slots || tenant.running == 0);
}

BatchQueue::Look BatchQueue::look_locked(Clock::time_point now) {
  Look seen;
  const auto later = [&seen](Clock::time_point when) {
    seen.again = seen.again ? std::min(*seen.again, when) : when;
  };
  // From the one behind the last one, once round.
  auto at = tenants_.upper_bound(last_);
  for (std::size_t i = 0; i < tenants_.size(); ++i, ++at) {
    if (at == tenants_.end()) at = tenants_.begin();
    Tenant& tenant = at->second;
    if (tenant.waiting.empty() || !has_room(tenant)) continue;
    if (tenant.paid_until > now) {
      later(tenant.paid_until);
      continue;
    }
    const std::shared_ptr<Job> first = tenant.waiting.front();
    Batch batch = gather(first, now);
    const auto wait_until = first->arrived + options_.wait;
    if (now < wait_until && may_come(batch)) {
      later(wait_until);
      continue;
    }
    batch.resize(first->model->usable(static_cast<std::uint32_t>(batch.size())));
    last_ = at->first;
    leave(batch);
    seen.batch = std::move(batch);
    return seen;
  }
  return seen;
}

Batch BatchQueue::gather(const std::shared_ptr<Job>& first, Clock::time_point now) const {
  Batch batch{first};
  const std::size_t most = first->model->most_rows(first->shape);
  const auto add = [&](const std::deque<std::shared_ptr<Job>>& waiting) {
    for (const auto& job : waiting) {
      if (batch.size() >= most) return;
      if (job != first && job->model == first->model && job->shape == first->shape)
        batch.push_back(job);
    }
  };
  const bool one_row = std::ranges::all_of(
      first->shape, [](const auto& dims) { return !dims.empty() && dims[0] == 1; });
  if (most == 1 || !one_row) return batch;
  add(tenants_.at(first->tenant).waiting);
  if (first->model->vouched() == Vouched::no) return batch;
  for (const auto& [name, tenant] : tenants_) {
    const bool may = tenant.running < tenant.share.inferences && tenant.paid_until <= now;
    if (name != first->tenant && may) add(tenant.waiting);
  }
  return batch;
}

// Whether somebody who computes with this model now and then has nothing here at the moment.
bool BatchQueue::may_come(const Batch& batch) const {
  const Job& first = *batch.front();
  if (batch.size() >= first.model->most_rows(first.shape)) return false;
  const auto users = users_.find(first.model.get());
  if (users == users_.end()) return false;
  int all = 0;
  for (const auto& [tenant, count] : users->second) {
    if (first.model->vouched() == Vouched::yes || tenant == first.tenant) all += count;
  }
  const auto computing = computing_.find(first.model.get());
  const int under_way = computing == computing_.end() ? 0 : computing->second;
  return all > under_way + static_cast<int>(batch.size());
}

void BatchQueue::leave(const Batch& batch) {
  for (const auto& job : batch) std::erase(tenants_[job->tenant].waiting, job);
  ++running_;
  ++tenants_[batch.front()->tenant].running;
  computing_[batch.front()->model.get()] += static_cast<int>(batch.size());
}

void BatchQueue::done(const Batch& batch, std::chrono::nanoseconds time) {
  const std::lock_guard lock(mutex_);
  --running_;
  --tenants_[batch.front()->tenant].running;
  const auto computing = computing_.find(batch.front()->model.get());
  computing->second -= static_cast<int>(batch.size());
  if (computing->second <= 0) computing_.erase(computing);
  // Each pays for its rows.
  const auto now = Clock::now();
  const auto each = time * options_.threads / static_cast<int>(batch.size());
  for (const auto& job : batch) {
    Tenant& tenant = tenants_[job->tenant];
    if (tenant.share.cpu_millicores == 0) continue;
    tenant.paid_until =
        std::max(tenant.paid_until, now - time) + each * 1000 / tenant.share.cpu_millicores;
  }
  changed_.notify_all();
}

void BatchQueue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

void BatchQueue::add_user(const ServedModel& model, const std::string& tenant, int change) {
  const std::lock_guard lock(mutex_);
  auto& users = users_[&model];
  if ((users[tenant] += change) <= 0) users.erase(tenant);
  if (users.empty()) users_.erase(&model);
  changed_.notify_all();
}

int BatchQueue::idle() const {
  const std::lock_guard lock(mutex_);
  return idle_;
}

}  // namespace aloft::inference::service
