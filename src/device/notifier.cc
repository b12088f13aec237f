#include "device/notifier.h"

#include <utility>

namespace aloft::device {

using std::chrono::steady_clock;

// --- Subscriptions

Notifier::Subscription::Subscription(Subscription&& other) noexcept
    : notifier_(std::exchange(other.notifier_, nullptr)), at_(other.at_) {}

Notifier::Subscription& Notifier::Subscription::operator=(Subscription&& other) noexcept {
  if (this != &other) {
    end();
    notifier_ = std::exchange(other.notifier_, nullptr);
    at_ = other.at_;
  }
  return *this;
}

void Notifier::Subscription::end() {
  Notifier* const notifier = std::exchange(notifier_, nullptr);
  if (notifier == nullptr) return;
  const std::lock_guard starting(notifier->starting_);
  {
    const std::lock_guard lock(notifier->mutex_);
    notifier->subscribers_.erase(at_);
  }
  if (--notifier->subscribed_ == 0) notifier->stop();
}

Notifier::Notifier(Options options) : options_(std::move(options)) {}
Notifier::~Notifier() { stop(); }

Notifier::Subscription Notifier::subscribe(std::function<void(const Notice&)> on_notice) {
  const std::lock_guard starting(starting_);
  std::list<Subscription::Subscriber>::iterator at;
  {
    const std::lock_guard lock(mutex_);
    at = subscribers_.insert(subscribers_.end(), std::move(on_notice));
  }
  if (subscribed_++ == 0) {
    start();
  } else {
    const std::lock_guard lock(sleep_mutex_);
    look_now_ = true;
    wake_.notify_all();
  }
  return Subscription(*this, at);
}

// --- Looking

void Notifier::start() {
  before_.clear();
  looked_.reset();
  // Where the system gives no such socket, changes are not told; all else is.
  if (auto made = NetworkChanges::watch([this] { tell(NetworkChange{steady_clock::now()}); }))
    network_ = *std::move(made);
  thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

void Notifier::stop() {
  network_.reset();
  thread_ = {};
}

void Notifier::watch(const std::stop_token& stop) {
  Sensors sensors(options_.roots);
  while (!stop.stop_requested()) {
    look(sensors);
    std::unique_lock lock(sleep_mutex_);
    // Woken early for a new subscriber, who is told at once.
    (void)wake_.wait_for(lock, stop, options_.period, [&] { return look_now_; });
    look_now_ = false;
  }
}

void Notifier::look(Sensors& sensors) {
  const DeviceSample sample = sensors.sample();
  tell(sample);
  if (!options_.links) return;
  const std::vector<LinkCount> counts = options_.links();
  const std::chrono::duration<double> time =
      looked_ ? sample.at - *looked_ : std::chrono::duration<double>(0);
  for (std::size_t edge = 0; edge < counts.size(); ++edge) {
    const LinkCount* const before = edge < before_.size() ? &before_[edge] : nullptr;
    tell(sample_of(static_cast<std::uint32_t>(edge), counts[edge], before, sample.at, time));
  }
  before_ = counts;
  looked_ = sample.at;
}

LinkSample Notifier::sample_of(std::uint32_t edge, const LinkCount& now, const LinkCount* before,
                               steady_clock::time_point at, std::chrono::duration<double> time) {
  LinkSample sample{
      .at = at, .edge = edge, .up = now.up, .tx_bytes = now.tx_bytes, .rx_bytes = now.rx_bytes};
  if (now.round_trip.count() > 0) sample.round_trip = now.round_trip;
  if (before == nullptr || time.count() <= 0) return sample;
  const auto rate = [&](std::uint64_t after, std::uint64_t first) {
    return static_cast<double>(after - first) / time.count();
  };
  if (now.tx_bytes >= before->tx_bytes) sample.tx_rate = rate(now.tx_bytes, before->tx_bytes);
  if (now.rx_bytes >= before->rx_bytes) sample.rx_rate = rate(now.rx_bytes, before->rx_bytes);
  if (now.segments > before->segments && now.resent >= before->resent)
    sample.loss = static_cast<double>(now.resent - before->resent) /
                  static_cast<double>(now.segments - before->segments);
  return sample;
}

void Notifier::tell(const Notice& notice) {
  const std::lock_guard lock(mutex_);
  for (const Subscription::Subscriber& subscriber : subscribers_) subscriber(notice);
}

}  // namespace aloft::device
