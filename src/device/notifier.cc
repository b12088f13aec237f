#include "device/notifier.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include <time.h>

namespace aloft::device {
namespace {

namespace fs = std::filesystem;

// The first line of a file of the kernel's; empty when there is none.
std::optional<std::string> first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

// The kernel writes thousandths of a degree. Sensors that are switched off answer an error or
// nonsense.
std::optional<double> read_celsius(const fs::path& path) {
  std::ifstream file(path);
  double thousandths = 0;
  if (!(file >> thousandths)) return std::nullopt;
  const double celsius = thousandths / 1000;
  if (celsius <= -100 || celsius >= 250) return std::nullopt;
  return celsius;
}

// Entries of a folder whose names begin with `prefix`, in the order of the numbers behind it.
std::vector<fs::path> numbered_entries(const fs::path& folder, std::string_view prefix) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().filename().string().starts_with(prefix)) entries.push_back(at->path());
  }
  std::ranges::sort(entries, {}, [](const fs::path& path) {
    const std::string name = path.filename().string();
    return std::pair(name.size(), name);
  });
  return entries;
}

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_about_the_processor(const std::string& sensor) {
  constexpr std::string_view kNames[] = {"cpu", "pkg", "package", "core", "soc", "k10temp", "tctl"};
  const std::string name = lower_case(sensor);
  return std::ranges::any_of(
      kNames, [&](std::string_view part) { return name.find(part) != std::string::npos; });
}

}  // namespace

Notifier::Notifier(Roots roots) : roots_(std::move(roots)) {}

DeviceSample Notifier::sample() {
  DeviceSample now{.at = std::chrono::steady_clock::now(),
                   .process_cpu = process_cpu_time(),
                   .process_cpu_percent = std::nullopt,
                   .system_cpu_percent = std::nullopt,
                   .temperatures = temperatures()};
  const auto ticks = system_ticks();
  if (before_ && now.at > before_->at) {
    const std::chrono::duration<double> cpu = now.process_cpu - before_->process_cpu;
    const std::chrono::duration<double> wall = now.at - before_->at;
    now.process_cpu_percent = 100 * cpu.count() / wall.count();
  }
  if (ticks && ticks_before_ && ticks->total > ticks_before_->total &&
      ticks->busy >= ticks_before_->busy) {
    now.system_cpu_percent = 100 * static_cast<double>(ticks->busy - ticks_before_->busy) /
                             static_cast<double>(ticks->total - ticks_before_->total);
  }
  before_ = now;
  ticks_before_ = ticks;
  return now;
}

// The first line of /proc/stat: "cpu user nice system idle iowait irq softirq steal guest
// guest_nice". The last two are in user and nice already.
std::optional<Notifier::SystemTicks> Notifier::system_ticks() const {
  const auto line = first_line(roots_.proc / "stat");
  if (!line) return std::nullopt;
  std::istringstream in(*line);
  std::string label;
  in >> label;
  SystemTicks ticks;
  std::uint64_t value = 0;
  int read = 0;
  for (; read < 8 && in >> value; ++read) {
    ticks.total += value;
    const bool idle = read == 3 || read == 4;
    if (!idle) ticks.busy += value;
  }
  if (label != "cpu" || read < 4) return std::nullopt;
  return ticks;
}

std::vector<Temperature> Notifier::temperatures() const {
  std::vector<Temperature> found;
  for (const fs::path& zone : numbered_entries(roots_.sys / "class/thermal", "thermal_zone")) {
    if (const auto celsius = read_celsius(zone / "temp")) {
      found.push_back({first_line(zone / "type").value_or(zone.filename().string()), *celsius});
    }
  }
  for (const fs::path& chip : numbered_entries(roots_.sys / "class/hwmon", "hwmon")) {
    const std::string name = first_line(chip / "name").value_or(chip.filename().string());
    for (const fs::path& input : numbered_entries(chip, "temp")) {
      const std::string file = input.filename().string();
      constexpr std::string_view kSuffix = "_input";
      if (!file.ends_with(kSuffix)) continue;
      const std::string sensor = file.substr(0, file.size() - kSuffix.size());
      if (const auto celsius = read_celsius(input)) {
        found.push_back(
            {name + " " + first_line(chip / (sensor + "_label")).value_or(sensor), *celsius});
      }
    }
  }
  return found;
}

std::optional<Temperature> Notifier::processor_temperature(const DeviceSample& sample) {
  const Temperature* hottest = nullptr;
  bool of_processor = false;
  for (const Temperature& temperature : sample.temperatures) {
    const bool about = is_about_the_processor(temperature.sensor);
    const bool better = hottest == nullptr || (about && !of_processor) ||
                        (about == of_processor && temperature.celsius > hottest->celsius);
    if (!better) continue;
    hottest = &temperature;
    of_processor = about;
  }
  if (hottest == nullptr) return std::nullopt;
  return *hottest;
}

std::chrono::nanoseconds process_cpu_time() {
  timespec spent{};
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);  // cannot fail for the calling process
  return std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec);
}

std::string processor_model(const fs::path& proc) {
  std::ifstream file(proc / "cpuinfo");
  for (std::string line; std::getline(file, line);) {
    // x86 says "model name", many Arm boards "Model".
    if (!line.starts_with("model name") && !line.starts_with("Model")) continue;
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto text = line.find_first_not_of(" \t", colon + 1);
    if (text != std::string::npos) return line.substr(text);
  }
  return {};
}

}  // namespace aloft::device
