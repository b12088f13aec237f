// How well the device decides while the world changes around it: a device and an edge that are real
// programs, on hosts of their own, and a link that is shaped, delayed and cut as a script says.
//
// First, outages of a link that is good otherwise: whether every frame has its result, and the
// right one, and how soon after each the edge is used again. Then a drive: stretches of a good
// link, a poor one, none and a good one again. Beside the policy's frames, after every few of them,
// one is computed here and one at the edge whatever the policy says; so the policy and both fixed
// choices meet the same link and the same machine, however much that one drifts.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "drive/verdict.h"
#include "drive/world.h"
#include "figures.h"
#include "measurements.h"
#include "test_paths.h"

namespace aloft::drive {
namespace {

using namespace std::chrono_literals;
using bench::die;
using bench::must;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr auto kPatience = 120s;  // for a frame

struct Options {
  std::filesystem::path json;
  WorldOptions world{.video = testing::video().string(),
                     .model = testing::source_dir() / "models/pedestrian.onnx"};
  std::string script = "good,poor,none,good";
  double seconds = 180;
  std::size_t outages = 10;
  double outage_seconds = 5;
  std::uint64_t fixed_after = 4;
};

double milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

const std::map<std::string, Link, std::less<>>& links() {
  static const std::map<std::string, Link, std::less<>> all{
      {"good", {.bits_per_second = 500'000'000, .one_way = 2ms}},
      {"fair", {.bits_per_second = 50'000'000, .one_way = 10ms}},
      {"poor", {.bits_per_second = 10'000'000, .one_way = 25ms}},
      {"none", {.bits_per_second = 10'000'000, .one_way = 25ms, .carries = Carries::nothing}}};
  return all;
}

std::vector<std::string> split(const std::string& script) {
  std::vector<std::string> names;
  std::istringstream text(script);
  for (std::string name; std::getline(text, name, ',');) {
    if (!links().contains(name)) die("--script: '" + name + "' is none of good, fair, poor, none");
    names.push_back(name);
  }
  if (names.empty()) die("--script: it names no link");
  return names;
}

// The device's frames as they come.
class Drive {
 public:
  Drive(const WorldOptions& options, const Link& link) : world_(must(World::make(options, link))) {}

  [[nodiscard]] World& world() { return *world_; }
  [[nodiscard]] std::span<const Frame> frames() const { return frames_; }

  void until(Clock::time_point end) {
    while (Clock::now() < end) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
      if (auto frame = world_->next(left)) frames_.push_back(*std::move(frame));
    }
  }
  // Until so many frames of the policy in a row were computed at the edge.
  void until_at_edge(std::size_t in_a_row) {
    for (std::size_t seen = 0; seen < in_a_row;) {
      auto frame = world_->next(kPatience);
      if (!frame) die("the device does not go to the edge:\n" + world_->transcript());
      if (frame->chooser == Chooser::policy) seen = frame->place == Place::edge ? seen + 1 : 0;
      frames_.push_back(*std::move(frame));
    }
  }
  void end() {
    for (Frame& frame : must(world_->end())) frames_.push_back(std::move(frame));
  }

 private:
  std::unique_ptr<World> world_;
  std::vector<Frame> frames_;
};

Json to_json(const Account& account) {
  return {{"frames", account.frames}, {"lost", account.lost}, {"wrong", account.wrong}};
}

// The digests that are right; none where a codec may change what is found.
std::vector<std::string> right_digests(const Options& options) {
  if (options.world.codec != "raw") return {};
  return must(digests_of_images(options.world));
}

Json outages(const Options& options, std::span<const std::string> digests, bool& good) {
  Link link = links().at("good");
  Drive drive(options.world, link);
  Json rows = Json::array();
  std::vector<double> back;
  for (std::size_t i = 0; i < options.outages; ++i) {
    // Each a little longer: where one ends between two attempts to connect is chance.
    const double seconds = options.outage_seconds + 0.2 * static_cast<double>(i / 2);
    const auto outage =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    drive.until_at_edge(5);
    link.carries = i % 2 == 0 ? Carries::nothing : Carries::nothing_onwards;
    must(drive.world().set(link));
    const auto began = Clock::now();
    drive.until(began + outage);
    link.carries = Carries::everything;
    must(drive.world().set(link));
    const auto healed = Clock::now();
    drive.until_at_edge(1);
    const auto took = way_back(drive.frames(), healed);
    if (!took) die("the device does not come back:\n" + drive.world().transcript());
    back.push_back(milliseconds(*took));
    double longest = 0;
    std::size_t during = 0;
    for (const Frame& frame : drive.frames()) {
      if (frame.ended() < began || frame.began > healed) continue;
      ++during;
      longest = std::max(longest, frame.latency_ms);
    }
    const char* const kind = i % 2 == 0 ? "cable" : "silence";
    rows.push_back({{"kind", kind},
                    {"seconds", seconds},
                    {"frames", during},
                    {"longest_ms", longest},
                    {"way_back_ms", back.back()}});
    std::printf(
        "outage of %.1f s (%s): %zu frames, the longest %.0f ms; back at the edge after "
        "%.0f ms\n",
        seconds, kind, during, longest, back.back());
    std::fflush(stdout);
  }
  drive.end();
  const Account counted = account(drive.frames(), digests);
  good = good && counted.lost == 0 && counted.wrong == 0;
  std::printf(
      "outages: %llu frames, %llu lost, %llu wrong; way back: median %.0f ms, longest %.0f "
      "ms\n\n",
      static_cast<unsigned long long>(counted.frames),
      static_cast<unsigned long long>(counted.lost), static_cast<unsigned long long>(counted.wrong),
      detect::percentile(back, 0.5), std::ranges::max(back));
  Json json = to_json(counted);
  json["way_back_ms"] = detect::percentile(back, 0.5);
  json["way_back_ms_max"] = std::ranges::max(back);
  json["outages"] = rows;
  return json;
}

void print_decisions(const Drive& drive) {
  const Frame* before = nullptr;
  for (const Frame& frame : drive.frames()) {
    if (frame.chooser != Chooser::policy) continue;
    if (frame.tries || before == nullptr || before->place != frame.place || before->tries)
      std::printf("  frame %llu (%.0f ms, %s): %s\n", static_cast<unsigned long long>(frame.number),
                  frame.latency_ms, frame.place == Place::edge ? "edge" : "here",
                  frame.reason.c_str());
    before = &frame;
  }
}

Json drive(const Options& options, std::span<const std::string> digests, bool& good) {
  const auto names = split(options.script);
  WorldOptions wanted = options.world;
  wanted.fixed_after = options.fixed_after;
  Drive drive(wanted, links().find(names.front())->second);
  const std::chrono::duration<double> each(options.seconds / static_cast<double>(names.size()));
  std::vector<Stretch> stretches;
  auto end = Clock::now();
  for (const std::string& name : names) {
    must(drive.world().set(links().find(name)->second));
    const auto begin = Clock::now();
    end = begin + std::chrono::duration_cast<Clock::duration>(each);
    stretches.push_back({.name = name, .begin = begin, .end = end});
    drive.until(end);
  }
  drive.end();
  print_decisions(drive);
  const Account counted = account(drive.frames(), digests);
  good = good && counted.lost == 0 && counted.wrong == 0;

  Json json = to_json(counted);
  json["policy"] = options.world.policy;
  json["codec"] = options.world.codec;
  json["seconds"] = options.seconds;
  json["fixed_after"] = options.fixed_after;
  std::vector<Choices> made;
  std::printf("\n%-8s %8s %8s %6s %12s %12s %12s %9s\n", "link", "frames", "at edge", "tries",
              "policy ms", "here ms", "edge ms", "/best");
  for (const Stretch& stretch : stretches) {
    const Choices& of = made.emplace_back(choices(drive.frames(), stretch));
    const Link& link = links().find(of.name)->second;
    json["stretches"].push_back({{"link", of.name},
                                 {"bits_per_second", link.bits_per_second},
                                 {"one_way_ms", link.one_way.count()},
                                 {"frames", of.frames},
                                 {"at_edge", of.at_edge},
                                 {"tries", of.tries},
                                 {"fell_back", of.fell_back},
                                 {"fixed_frames", of.fixed_frames},
                                 {"mean_ms", of.policy_ms},
                                 {"here_ms", of.here_ms},
                                 {"edge_ms", of.edge_ms},
                                 {"over_best", of.over_best()}});
    std::printf("%-8s %8llu %8llu %6llu %12.1f %12.1f %12.1f %+8.1f%%\n", of.name.c_str(),
                static_cast<unsigned long long>(of.frames),
                static_cast<unsigned long long>(of.at_edge),
                static_cast<unsigned long long>(of.tries), of.policy_ms, of.here_ms, of.edge_ms,
                100 * (of.over_best() - 1));
  }
  json["over_best"] = over_best(made);
  std::printf(
      "drive: %llu frames, %llu lost, %llu wrong; mean latency %+.1f %% beside the best fixed "
      "choice of each stretch\n",
      static_cast<unsigned long long>(counted.frames),
      static_cast<unsigned long long>(counted.lost), static_cast<unsigned long long>(counted.wrong),
      100 * (over_best(made) - 1));
  return json;
}

Options read_options(int argc, char** argv) {
  Options options;
  CLI::App app{"How well the device decides while its link changes: outages, and a drive."};
  app.add_option("--json", options.json, "file for the figures");
  app.add_option("--video", options.world.video)->capture_default_str();
  app.add_option("--model", options.world.model)->capture_default_str()->check(CLI::ExistingFile);
  app.add_option("--policy", options.world.policy)->capture_default_str();
  app.add_option("--codec", options.world.codec, "how frames go to the edge: raw or auto")
      ->capture_default_str()
      ->check(CLI::IsMember({"raw", "auto"}));
  app.add_option("--device-cpu", options.world.hold_percent, "of one core, for the device")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--script", options.script, "of the drive: good, fair, poor and none, with commas")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "of the drive; 0: none")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--fixed-after", options.fixed_after,
                 "frames of the policy between two of each fixed choice")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--outages", options.outages, "one after the other; 0: none")
      ->capture_default_str();
  app.add_option("--outage-seconds", options.outage_seconds, "of the first two")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

int run(const Options& options) {
  if (const auto missing = World::what_is_missing()) {
    std::fprintf(stderr, "warning: there can be no drive here: %s\n", missing->c_str());
    return 0;
  }
  const auto digests = right_digests(options);
  bool good = true;
  Json json = Json::object();
  if (options.outages > 0) json["outages"] = outages(options, digests, good);
  if (options.seconds > 0) json["drive"] = drive(options, digests, good);
  bench::write_json(options.json, json);
  if (good) return 0;
  std::fprintf(stderr, "error: frames were lost, or had another result than here\n");
  return 1;
}

}  // namespace
}  // namespace aloft::drive

int main(int argc, char** argv) {
  return aloft::drive::run(aloft::drive::read_options(argc, argv));
}
