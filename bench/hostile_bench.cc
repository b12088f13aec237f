// What a tenant notices of another one that attacks: the p95 of its calls with the attack over the
// same without, as the median of interleaved pairs.
//
// All of it is real: a manager, a host, a process for each tenant; the attacker's tenant has half a
// processor, by its control group, and so has the process that attacks from outside. The function
// that is called takes a few milliseconds.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "figures.h"
#include "host/control/cgroup.h"
#include "hostile/attack_modules.h"
#include "hostile_attacks.h"
#include "support/local_cluster.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::bench {
namespace {

using namespace std::chrono_literals;
using namespace aloft::testing;
using Clock = std::chrono::steady_clock;

constexpr double kTarget = 1.5;
constexpr unsigned kHalf = 500;  // thousandths of a processor
constexpr auto kEvery = 10ms;
constexpr double kFunctionMs = 3;
constexpr int kTenants = 2;  // beside the attacker

constexpr const char* kTenantsFile = R"(
[tenants.evil]
max_sessions = 50
memory = "64GiB"
cpu_millicores = 500
opens_per_second = 1000
open_burst = 1000
modules = ["*"]
allow_unsigned = true
)";

struct Options {
  std::string json;
  int pairs = 5;
  double seconds = 3;
  std::vector<std::string> only;
};

// A tenant that calls its function at a steady pace.
class Tenant {
 public:
  Tenant(const LocalCluster& cluster, const std::string& name) : device_(cluster.device(name)) {
    session_ = must(device_.open({&probe_}, {.cpu_millicores = 2000}));
    ue_ = device_.connect(session_.placement());
    if (!ue_->wait_up(30s)) die("the link does not come up");
    module_ = must(ue_->open(probe_, {}));
    // The first calls are slower than the rest.
    for (int i = 0; i < 20; ++i) (void)call(1000);
    rounds_ = static_cast<std::uint32_t>(1e6 * kFunctionMs / call(1'000'000));
  }
  [[nodiscard]] const std::string& address() const { return session_.placement().address(); }

  // Milliseconds of each call.
  std::vector<double> measure(double seconds) {
    std::vector<double> times;
    auto next = Clock::now();
    const auto end =
        next + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    while (next < end) {
      std::this_thread::sleep_until(next);
      times.push_back(call(rounds_));
      next = std::max(next + kEvery, Clock::now());
    }
    return times;
  }

 private:
  double call(std::uint32_t rounds) {
    const auto begun = Clock::now();
    const auto answer = ue_->call(module_, "probe::grind", arguments(rounds));
    if (answer.error()) die("a call of a tenant failed: " + answer.head.error->message);
    return std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
  }

  const ModuleFile probe_{binary_dir() / "modules/probe.wasm"};
  const ClusterDevice device_;
  v1::Session session_;
  std::unique_ptr<RawUe> ue_;
  RawUe::Module module_;
  std::uint32_t rounds_ = 0;
};

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options), cluster_(must(LocalCluster::start(folder_.path(), what()))) {
    const auto issued = cluster_->device("evil").certificate();
    put("evil.pem", issued.certificate_pem);
    put("evil.key", issued.key_pem);
    for (int i = 0; i < kTenants; ++i)
      tenants_.push_back(std::make_unique<Tenant>(*cluster_, name_of(i)));
  }

  nlohmann::json run(const std::string& kind) {
    std::vector<std::string> bombs;
    if (kind == "compile") bombs = make_bombs();
    nlohmann::json pairs = nlohmann::json::array();
    std::vector<double> ratios;
    for (int pair = 0; pair < options_.pairs; ++pair) {
      const double without = p95();
      auto attacker = begin(kind, bombs, pair);
      const double with = p95();
      attacker.signal(SIGTERM);
      if (attacker.wait(30s) != 0) die("the attacker: " + attacker.transcript());
      ratios.push_back(with / without);
      pairs.push_back({{"p95_ms_without", without}, {"p95_ms_with", with}});
    }
    const double ratio = median(ratios);
    std::printf("%-13s p95 %6.2f -> %6.2f ms   ratio %5.2f  (<= %.1f)  %s\n", kind.c_str(),
                pairs.back().at("p95_ms_without").get<double>(),
                pairs.back().at("p95_ms_with").get<double>(), ratio, kTarget,
                verdict(ratio, kTarget));
    std::fflush(stdout);
    return {{"attack", kind},
            {"ratio", ratio},
            {"limit", kTarget},
            {"attacker_millicores", kHalf},
            {"pairs", pairs}};
  }

 private:
  static std::string name_of(int tenant) { return "good-" + std::to_string(tenant); }
  static LocalClusterOptions what() {
    std::string tenants = kTenantsFile;
    for (int i = 0; i < kTenants; ++i) {
      tenants += "[tenants." + name_of(i) +
                 "]\nmax_sessions = 10\nmemory = \"64GiB\"\ncpu_millicores = 100000\n"
                 "modules = [\"*\"]\nallow_unsigned = true\n";
    }
    return {.tenants = std::move(tenants),
            .modules = {binary_dir() / "modules/probe.wasm", binary_dir() / "modules/hostile.wasm"},
            // Nobody renews.
            .manager_arguments = {"--sessions-lives", "1h"},
            .host_arguments = {}};
  }
  void put(const std::string& file, const std::string& text) const {
    write_file(cluster_->keys() / file, std::as_bytes(std::span(text)));
  }

  // Of the calls of all tenants, which call at the same time.
  double p95() {
    std::vector<std::vector<double>> times(tenants_.size());
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < tenants_.size(); ++i)
        threads.emplace_back([&, i] { times[i] = tenants_[i]->measure(options_.seconds); });
    }
    std::vector<double> all;
    for (const auto& one : times) all.insert(all.end(), one.begin(), one.end());
    return quantile(std::move(all), 0.95);
  }

  Process begin(const std::string& kind, const std::vector<std::string>& bombs, int pair) {
    std::vector<std::string> command{"/proc/self/exe", "--attack",          kind,
                                     "--manager",      cluster_->manager(), "--folder",
                                     cluster_->keys()};
    command[0] = std::filesystem::read_symlink("/proc/self/exe");
    for (const auto& tenant : tenants_)
      command.insert(command.end(), {"--target", tenant->address()});
    command.insert(command.end(), {"--target", cluster_->manager()});
    // Others in each pair: what was compiled once is not compiled again.
    const std::size_t part = bombs.size() / static_cast<std::size_t>(options_.pairs);
    for (std::size_t i = 0; i < part; ++i) {
      command.insert(command.end(), {"--bomb", bombs[static_cast<std::size_t>(pair) * part + i]});
    }
    auto attacker = must(Process::start(std::move(command)));
    if (const auto added = group_.add(attacker.pid()); !added)
      std::fprintf(stderr, "warning: the attacker's own process has no limit: %s\n",
                   added.error().message.c_str());
    if (!attacker.wait_for_line("attacking", 60s)) die("the attacker: " + attacker.transcript());
    return attacker;
  }

  std::vector<std::string> make_bombs() {
    std::vector<std::string> files;
    const auto count = static_cast<unsigned>(options_.pairs) * 4;
    for (unsigned i = 0; i < count; ++i) {
      const std::string name = "bomb-" + std::to_string(i);
      const auto file = folder_ / (name + ".wasm");
      write_file(file, sealed(many_functions(20'000 + i), name, {"few"}));
      must(cluster_->push(file));
      files.push_back(file);
    }
    return files;
  }

  const Options& options_;
  const TempDir folder_;
  std::unique_ptr<LocalCluster> cluster_;
  host::Cgroup group_ = [] {
    auto group = host::Cgroup::make("bench-hostile");
    for (const std::string& what : group.limit({.cpu_millicores = kHalf}))
      std::fprintf(stderr, "warning: the attacker's own process: %s\n", what.c_str());
    return group;
  }();
  std::vector<std::unique_ptr<Tenant>> tenants_;
};

int run(int argc, char** argv) {
  Options options;
  AttackOptions own;
  CLI::App app("What tenants notice of one that attacks: p95 of their calls, with over without");
  app.add_option("--json", options.json, "file for the figures");
  app.add_option("--pairs", options.pairs, "of measurements")->check(CLI::Range(1, 100));
  app.add_option("--seconds", options.seconds, "of one measurement")->check(CLI::Range(0.1, 60.0));
  app.add_option("--only", options.only, "these attacks")->check(CLI::IsMember(attack_kinds()));
  auto* const as_attacker = app.add_option("--attack", own.kind, "attack")->group("");
  app.add_option("--manager", own.manager, "")->group("");
  app.add_option("--folder", own.folder, "")->group("");
  app.add_option("--target", own.targets, "")->group("");
  app.add_option("--bomb", own.bombs, "")->group("");
  CLI11_PARSE(app, argc, argv);
  if (*as_attacker) return attack(own);

  Bench bench(options);
  nlohmann::json all = nlohmann::json::array();
  for (const std::string& kind : options.only.empty() ? attack_kinds() : options.only)
    all.push_back(bench.run(kind));
  write_json(options.json, all);
  return 0;
}

}  // namespace
}  // namespace aloft::bench

int main(int argc, char** argv) { return aloft::bench::run(argc, argv); }
