#include "device/page/sampler.h"

#include <ctime>
#include <utility>

namespace aloft::device {

std::chrono::nanoseconds this_thread_cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::optional<LivePoint> Sampler::sample(const Look& look) {
  if (before_ && look.at - before_->at < kInterval) return std::nullopt;
  const DeviceSample device = sensors_.sample();
  const std::chrono::nanoseconds cpu = device.process_cpu - look.page_cpu;
  const auto before = std::exchange(before_, look);
  const auto cpu_before = std::exchange(cpu_before_, cpu);
  if (!before || !look.last) return std::nullopt;
  const std::uint64_t first = before->last ? before->last->number : 0;
  if (look.last->number <= first) return std::nullopt;

  const std::uint64_t calls = look.last->number - first;
  const std::chrono::duration<double> passed = look.at - before->at;
  LivePoint point;
  point.number = look.last->number;
  point.place = look.last->location.is_here() ? Place::here : Place::edge;
  point.per_second = static_cast<double>(calls) / passed.count();
  point.ue_cpu_percent = 100 * std::chrono::duration<double>(cpu - cpu_before) / passed;
  if (const auto hottest = Sensors::processor_temperature(device))
    point.ue_celsius = hottest->celsius;
  point.network_bytes = (look.link_bytes - before->link_bytes) / calls;
  return point;
}

}  // namespace aloft::device
