#include "fleet.h"

#include <algorithm>
#include <csignal>
#include <sstream>
#include <thread>
#include <utility>

#include "test_paths.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto kLook = 5ms;  // between two looks at what the devices said

void take_line(FleetDevice& device, const std::string& line) {
  std::istringstream words(line);
  std::string kind;
  words >> kind;
  if (kind == "run") {
    std::int64_t took = 0;
    words >> took;
    device.run = std::chrono::microseconds(took);
  } else if (kind == "host") {
    words >> device.host >> device.generation;
  } else if (kind == "end") {
    device.end = line.substr(4);
  } else if (kind == "frame" || kind == "entry") {
    FleetCall call;
    std::string place;
    std::int64_t begun = 0;
    std::int64_t took = 0;
    words >> call.number >> place >> begun >> took;
    std::getline(words >> std::ws, call.outcome);
    call.at_edge = place == "edge";
    call.begun = FleetClock::time_point(std::chrono::microseconds(begun));
    call.ended = call.begun + std::chrono::microseconds(took);
    (kind == "frame" ? device.frames : device.entries).push_back(std::move(call));
  }
}

// Every number once, from 1 to `last`, in this order, each with the right answer.
void judge(const std::vector<FleetCall>& calls, std::uint64_t last, const std::string& whose,
           std::vector<std::string>& wrong) {
  std::uint64_t before = 0;
  for (const FleetCall& call : calls) {
    if (call.number != before + 1) {
      wrong.push_back(whose + " " + std::to_string(call.number) + " comes after " +
                      std::to_string(before));
    }
    if (call.outcome != "ok")
      wrong.push_back(whose + " " + std::to_string(call.number) + ": " + call.outcome);
    before = call.number;
  }
  if (before != last) {
    wrong.push_back(whose + "s end with " + std::to_string(before) + ", not with " +
                    std::to_string(last));
  }
}

}  // namespace

Result<Fleet> Fleet::start(const ClusterInNamespaces& cluster, const FleetOptions& options) {
  Fleet fleet;
  std::string managers;
  for (const std::string& manager : cluster.managers())
    managers += (managers.empty() ? "" : ",") + manager;
  const std::vector<std::string> command{(binary_dir() / "tests/fleet_device").string(),
                                         "--managers",
                                         managers,
                                         "--keys",
                                         cluster.keys().string(),
                                         "--period-ms",
                                         std::to_string(options.period.count()),
                                         "--rounds",
                                         std::to_string(options.rounds),
                                         "--cpu-millicores",
                                         std::to_string(options.cpu_millicores),
                                         "--memory-mib",
                                         std::to_string(options.memory_mib)};
  for (std::size_t i = 0; i < options.devices; ++i) {
    auto process = Process::start(cluster.on("device", command));
    if (!process) return std::unexpected(process.error());
    fleet.devices_.push_back({.process = std::move(*process)});
  }
  return fleet;
}

bool Fleet::read() {
  bool some = false;
  for (FleetDevice& device : devices_) {
    while (const auto line = device.process.read_line(0ms)) {
      take_line(device, *line);
      some = true;
    }
  }
  return some;
}

bool Fleet::wait_until(const std::function<bool()>& is_so, std::chrono::milliseconds limit) {
  const auto until = FleetClock::now() + limit;
  for (;;) {
    read();
    if (is_so()) return true;
    if (FleetClock::now() >= until) return false;
    for (FleetDevice& device : devices_) {
      if (device.process.wait(0ms)) return false;
    }
    std::this_thread::sleep_for(kLook);
  }
}

void Fleet::run_for(std::chrono::milliseconds time) {
  static_cast<void>(wait_until([] { return false; }, time));
}

bool Fleet::wait_at_edge(std::size_t frames, std::chrono::milliseconds limit) {
  std::vector<std::size_t> from;
  for (const FleetDevice& device : devices_) from.push_back(device.frames.size());
  const auto enough = [&](std::size_t i) {
    const auto& all = devices_[i].frames;
    if (all.size() < from[i] + frames) return false;
    return std::all_of(all.end() - static_cast<std::ptrdiff_t>(frames), all.end(),
                       [](const FleetCall& call) { return call.at_edge; });
  };
  return wait_until(
      [&] {
        for (std::size_t i = 0; i < devices_.size(); ++i) {
          if (!enough(i)) return false;
        }
        return true;
      },
      limit);
}

std::set<std::size_t> Fleet::at(const std::string& host) const {
  std::set<std::size_t> found;
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    if (devices_[i].host == host) found.insert(i);
  }
  return found;
}

std::set<std::size_t> Fleet::all() const {
  std::set<std::size_t> found;
  for (std::size_t i = 0; i < devices_.size(); ++i) found.insert(i);
  return found;
}

FleetStory Fleet::story(FleetClock::time_point since, const std::set<std::size_t>& of) const {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  FleetStory story;
  for (const std::size_t i : of) {
    std::optional<FleetClock::time_point> before;
    for (const FleetCall& frame : devices_[i].frames) {
      if (frame.ended >= since) {
        ++story.frames;
        story.here += frame.at_edge ? 0U : 1U;
        story.longest_frame =
            std::max(story.longest_frame, duration_cast<microseconds>(frame.ended - frame.begun));
        if (before) {
          story.longest_gap =
              std::max(story.longest_gap, duration_cast<microseconds>(frame.ended - *before));
        }
      }
      before = frame.ended;
    }
  }
  return story;
}

std::optional<std::chrono::microseconds> Fleet::local_start(std::size_t device,
                                                            FleetClock::time_point fault) const {
  const FleetDevice& told = devices_[device];
  std::optional<FleetClock::time_point> first;
  for (const FleetCall& frame : told.frames) {
    if (!frame.at_edge && frame.ended >= fault && (!first || frame.ended < *first))
      first = frame.ended;
  }
  if (!first) return std::nullopt;
  return std::max(0us,
                  std::chrono::duration_cast<std::chrono::microseconds>(*first - fault) - told.run);
}

std::vector<std::string> Fleet::finish() {
  std::vector<std::string> wrong;
  for (FleetDevice& device : devices_) device.process.signal(SIGTERM);
  for (FleetDevice& device : devices_) {
    const auto status = device.process.wait(60s);
    if (status == 0) continue;
    wrong.push_back(status ? "a device ended with status " + std::to_string(*status)
                           : "a device does not end");
  }
  read();
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    const FleetDevice& device = devices_[i];
    const std::string name = "device " + std::to_string(i) + ", ";
    std::uint64_t frames = 0;
    std::string object;
    std::istringstream(device.end.value_or("")) >> frames >> object;
    if (frames == 0) wrong.push_back(name + "no frames");
    judge(device.frames, frames, name + "frame", wrong);
    judge(device.entries, frames / 10, name + "entry", wrong);
    if (object != "ok") wrong.push_back(name + "the object ended in another state");
  }
  return wrong;
}

std::string Fleet::transcript() const {
  std::string all;
  for (std::size_t i = 0; i < devices_.size(); ++i)
    all += "---- device " + std::to_string(i) + "\n" + devices_[i].process.standard_error();
  return all;
}

}  // namespace aloft::testing
