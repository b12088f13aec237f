#include "host/control/spare_places.h"

#include <chrono>
#include <utility>

#include <spdlog/spdlog.h>

namespace aloft::host {
namespace {

// From one that is taken to the next that is made.
constexpr std::chrono::milliseconds kMoment{300};

}  // namespace

SparePlaces::SparePlaces(std::size_t count, Make make) : count_(count), make_(std::move(make)) {
  if (count_ > 0) keeper_ = std::jthread([this](const std::stop_token& stop) { keep(stop); });
}

SparePlaces::~SparePlaces() { end(); }

Result<std::unique_ptr<TenantPlace>> SparePlaces::take() {
  std::unique_lock lock(mutex_);
  if (ended_) return fail(Errc::unreachable, "this host is going away");
  failed_ = false;
  if (spare_.empty() && making_ && !claimed_) {
    claimed_ = true;
    changed_.wait(lock, [this] { return !making_; });
    claimed_ = false;
  }
  std::unique_ptr<TenantPlace> place;
  if (!spare_.empty()) {
    place = std::move(spare_.front());
    spare_.pop_front();
  }
  taken_ = true;
  lock.unlock();
  changed_.notify_all();
  if (place == nullptr) return make_();
  return place;
}

void SparePlaces::renew() {
  std::deque<std::unique_ptr<TenantPlace>> old;
  {
    const std::lock_guard lock(mutex_);
    ++version_;
    old.swap(spare_);
  }
  changed_.notify_all();
}

void SparePlaces::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  keeper_.request_stop();
  if (keeper_.joinable()) keeper_.join();
  renew();
}

void SparePlaces::keep(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (taken_) {
      taken_ = false;
      (void)changed_.wait_for(lock, stop, kMoment, [] { return false; });
      continue;
    }
    if (failed_ || spare_.size() >= count_) {
      changed_.wait(lock, stop, [this] { return taken_ || (!failed_ && spare_.size() < count_); });
      continue;
    }
    making_ = true;
    const std::uint64_t version = version_;
    lock.unlock();
    auto made = make_();
    lock.lock();
    making_ = false;
    failed_ = !made;
    if (!made) {
      spdlog::warn("no process is in spare for the next tenant: {}", made.error().message);
    } else if (version == version_) {
      spare_.push_back(*std::move(made));
    }
    changed_.notify_all();
    if (made && *made != nullptr) {
      // Made with what has changed meanwhile.
      lock.unlock();
      made = nullptr;
      lock.lock();
    }
  }
}

}  // namespace aloft::host
