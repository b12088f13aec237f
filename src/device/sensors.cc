#include "device/sensors.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include <time.h>
#include <unistd.h>

namespace aloft::device {
namespace {

namespace fs = std::filesystem;

constexpr double kMicro = 1e-6;

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

// The number behind `key` at the beginning of a line.
std::optional<std::uint64_t> number_of(std::string_view text, std::string_view key) {
  for (std::size_t line = 0; line < text.size();) {
    std::string_view rest = text.substr(line);
    if (rest.starts_with(key)) {
      rest.remove_prefix(key.size());
      while (rest.starts_with(' ')) rest.remove_prefix(1);
      std::uint64_t value = 0;
      const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), value);
      return parsed.ec == std::errc() ? std::optional(value) : std::nullopt;
    }
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) break;
    line += end + 1;
  }
  return std::nullopt;
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

}  // namespace

DeviceState DeviceSample::state() const {
  const auto processor = Sensors::processor_temperature(*this);
  return {.cpu_celsius = processor ? std::optional(processor->celsius) : std::nullopt,
          .process_cpu_percent = process_cpu_percent,
          .system_cpu_percent = system_cpu_percent,
          .cpu_cores = cpu_cores,
          .cpu_speed = cpu_speed,
          .memory_available = memory_available,
          .battery_percent = battery_percent,
          .mains = mains,
          // All of the device where that is known, else what of it computes.
          .watts = battery_watts ? battery_watts : processor_watts};
}

Sensors::Sensors(Roots roots)
    : roots_(std::move(roots)), stat_(roots_.proc / "stat"), meminfo_(roots_.proc / "meminfo") {}

// --- Finding them

void Sensors::find(std::chrono::steady_clock::time_point now) {
  if (found_ && now - *found_ < kLookAgain) return;
  found_ = now;
  if (!stat_) stat_ = KernelFile(roots_.proc / "stat");
  if (!meminfo_) meminfo_ = KernelFile(roots_.proc / "meminfo");
  find_thermometers();
  find_power();
  // Of processors with cores of several kinds the fastest: where one thread is to be done soon.
  frequency_.reset();
  for (const fs::path& policy :
       numbered_entries(roots_.sys / "devices/system/cpu/cpufreq", "policy")) {
    const auto highest = KernelFile(policy / "cpuinfo_max_freq").number<double>();
    if (!highest || *highest <= 0 || (frequency_ && frequency_->highest >= *highest)) continue;
    frequency_.emplace(
        Frequency{.highest = *highest, .limit = KernelFile(policy / "scaling_max_freq")});
  }
}

void Sensors::find_thermometers() {
  thermometers_.clear();
  const auto name_or = [](const fs::path& file, const fs::path& otherwise) {
    const std::string name = KernelFile(file).first_line();
    return name.empty() ? otherwise.filename().string() : name;
  };
  for (const fs::path& zone : numbered_entries(roots_.sys / "class/thermal", "thermal_zone"))
    thermometers_.push_back({name_or(zone / "type", zone), KernelFile(zone / "temp")});
  for (const fs::path& chip : numbered_entries(roots_.sys / "class/hwmon", "hwmon")) {
    const std::string name = name_or(chip / "name", chip);
    for (const fs::path& input : numbered_entries(chip, "temp")) {
      const std::string file = input.filename().string();
      constexpr std::string_view kSuffix = "_input";
      if (!file.ends_with(kSuffix)) continue;
      const std::string sensor = file.substr(0, file.size() - kSuffix.size());
      thermometers_.push_back(
          {name + " " + name_or(chip / (sensor + "_label"), sensor), KernelFile(input)});
    }
  }
}

void Sensors::find_power() {
  batteries_.clear();
  feeds_.clear();
  std::vector<EnergyCounter> counters;
  for (const fs::path& supply : numbered_entries(roots_.sys / "class/power_supply", "")) {
    const std::string type = KernelFile(supply / "type").first_line();
    // The battery of a mouse says nothing of the device.
    if (KernelFile(supply / "scope").first_line() == "Device") continue;
    if (type == "Battery") {
      batteries_.push_back({.percent = KernelFile(supply / "capacity"),
                            .status = KernelFile(supply / "status"),
                            .microwatts = KernelFile(supply / "power_now"),
                            .microamperes = KernelFile(supply / "current_now"),
                            .microvolts = KernelFile(supply / "voltage_now")});
    } else if (is_there(supply / "online")) {
      feeds_.emplace_back(supply / "online");
    }
  }
  // Whole packages ("intel-rapl:0"), not their parts ("intel-rapl:0:1"); readable by root only.
  for (const fs::path& zone : numbered_entries(roots_.sys / "class/powercap", "intel-rapl:")) {
    const std::string name = zone.filename().string();
    if (std::ranges::count(name, ':') != 1) continue;
    if (!KernelFile(zone / "name").first_line().starts_with("package")) continue;
    EnergyCounter counter{
        .microjoules = KernelFile(zone / "energy_uj"),
        .wraps_at = KernelFile(zone / "max_energy_range_uj").number<std::uint64_t>().value_or(0),
        .before = std::nullopt};
    if (counters.size() < counters_.size()) counter.before = counters_[counters.size()].before;
    counters.push_back(std::move(counter));
  }
  counters_ = std::move(counters);
}

// --- Reading them

DeviceSample Sensors::sample() {
  DeviceSample now{.at = std::chrono::steady_clock::now(), .process_cpu = process_cpu_time()};
  now.cpu_cores = std::max(1, static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
  find(now.at);
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
  read_energy(now);
  read_temperatures(now);
  read_memory(now);
  read_supplies(now);
  if (frequency_) {
    if (const auto limit = frequency_->limit.number<double>(); limit && *limit > 0)
      now.cpu_speed = std::min(1.0, *limit / frequency_->highest);
  }
  before_ = now;
  ticks_before_ = ticks;
  return now;
}

// The first line of /proc/stat: "cpu user nice system idle iowait irq softirq steal guest
// guest_nice". The last two are in user and nice already.
std::optional<Sensors::SystemTicks> Sensors::system_ticks() {
  std::array<char, 256> room;
  std::string_view text = stat_.read(room);
  if (!text.starts_with("cpu ")) return std::nullopt;
  text = text.substr(4, text.find('\n') - 4);
  SystemTicks ticks;
  int read = 0;
  for (; read < 8; ++read) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    std::uint64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc()) break;
    text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    ticks.total += value;
    const bool idle = read == 3 || read == 4;
    if (!idle) ticks.busy += value;
  }
  if (read < 4) return std::nullopt;
  return ticks;
}

void Sensors::read_temperatures(DeviceSample& sample) {
  for (const Thermometer& each : thermometers_) {
    const auto thousandths = each.millicelsius.number<double>();
    if (!thousandths) continue;
    const double celsius = *thousandths / 1000;
    if (celsius > -100 && celsius < 250) sample.temperatures.push_back({each.sensor, celsius});
  }
}

void Sensors::read_memory(DeviceSample& sample) {
  std::array<char, 512> room;  // what is wanted stands in the first lines
  const std::string_view text = meminfo_.read(room);
  if (const auto total = number_of(text, "MemTotal:")) sample.memory_total = *total * 1024;
  if (const auto left = number_of(text, "MemAvailable:")) sample.memory_available = *left * 1024;
}

void Sensors::read_supplies(DeviceSample& sample) {
  double percent = 0;
  int told = 0;
  for (const Battery& battery : batteries_) {
    if (const auto its = battery.percent.number<double>(); its && *its >= 0 && *its <= 100) {
      percent += *its;
      ++told;
    }
    if (battery.status.first_line() != "Discharging") continue;
    // Some say it with a sign, and none means it.
    auto watts = battery.microwatts.number<double>();
    if (watts) {
      watts = std::abs(*watts) * kMicro;
    } else {
      const auto current = battery.microamperes.number<double>();
      const auto voltage = battery.microvolts.number<double>();
      if (current && voltage) watts = std::abs(*current) * kMicro * *voltage * kMicro;
    }
    if (watts && *watts > 0) sample.battery_watts = sample.battery_watts.value_or(0) + *watts;
  }
  if (told > 0) sample.battery_percent = percent / told;
  for (const KernelFile& feed : feeds_) {
    if (const auto online = feed.number<int>())
      sample.mains = sample.mains.value_or(false) || *online > 0;
  }
}

void Sensors::read_energy(DeviceSample& sample) {
  double joules = 0;
  bool all = !counters_.empty();
  for (EnergyCounter& counter : counters_) {
    const auto now = counter.microjoules.number<std::uint64_t>();
    const auto before = std::exchange(counter.before, now);
    if (!now || !before || (*now < *before && counter.wraps_at < *before)) {
      all = false;
      continue;
    }
    const std::uint64_t spent =
        *now >= *before ? *now - *before : counter.wraps_at - *before + *now;
    joules += static_cast<double>(spent) * kMicro;
  }
  if (!all || !before_ || sample.at <= before_->at) return;
  sample.processor_watts = joules / std::chrono::duration<double>(sample.at - before_->at).count();
}

std::optional<Temperature> Sensors::processor_temperature(const DeviceSample& sample) {
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
