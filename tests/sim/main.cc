// aloft-sim: runs the simulation of elastic channels and functions for many seeds, or one of them
// with all that happens in it; or with a fault planted in the protocol, which it has to notice.
#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/mutation.h"
#include "mutations.h"
#include "world.h"

namespace aloft::sim {
namespace {

constexpr std::string_view kUsage =
    R"(usage: aloft-sim [--seeds N] [--first K] [--jobs J] [--plot NAME] [--mutation NAME] [--trace]
       aloft-sim --mutations

Simulates elastic channels and functions, with seeded faults, and says where the contract is broken.

  --seeds N         seeds to run, 2000 unless told; one with --trace
  --first K         the first of them, 1 unless told
  --jobs J          threads, 1 unless told
  --plot NAME       stateful, stateless, latest, deadline, once or call; drawn from the seed unless told
  --mutation NAME   with this fault planted in the protocol; ends at the first violation
  --mutations       lists the faults that can be planted
  --trace           says all that happens
)";

struct Arguments {
  std::optional<std::uint64_t> seeds;
  std::uint64_t first = 1;
  std::uint64_t jobs = 1;
  std::optional<Plot> plot;
  std::string mutation;
  bool list = false;
  bool trace = false;
  bool help = false;
};

[[noreturn]] void bad_usage(const std::string& what) {
  std::cerr << "error: " << what << " (aloft-sim --help)\n";
  std::exit(2);
}

std::uint64_t number_of(std::string_view option, std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end)
    bad_usage(std::string(option) + " needs a number, not '" + std::string(text) + "'");
  return value;
}

bool is_mutation(std::string_view name) {
  for (const Mutation& mutation : all_mutations())
    if (mutation.name == name) return true;
  return false;
}

Arguments parse(std::vector<std::string_view> words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const auto value = [&] {
      if (++i == words.size()) bad_usage(std::string(word) + " needs a value");
      return words[i];
    };
    if (word == "--seeds") {
      arguments.seeds = number_of(word, value());
    } else if (word == "--first") {
      arguments.first = number_of(word, value());
    } else if (word == "--jobs") {
      arguments.jobs = number_of(word, value());
      if (arguments.jobs == 0 || arguments.jobs > 256) bad_usage("--jobs is 1 to 256");
    } else if (word == "--plot") {
      const std::string_view name = value();
      arguments.plot = plot_of(name);
      if (!arguments.plot) bad_usage("no plot '" + std::string(name) + "'");
    } else if (word == "--mutation") {
      arguments.mutation = value();
      if (!is_mutation(arguments.mutation))
        bad_usage("no mutation '" + arguments.mutation + "'; --mutations lists them");
    } else if (word == "--mutations") {
      arguments.list = true;
    } else if (word == "--trace") {
      arguments.trace = true;
    } else if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else {
      bad_usage("unknown argument '" + std::string(word) + "'");
    }
  }
  if (arguments.trace && arguments.jobs != 1) bad_usage("--trace needs one job");
  return arguments;
}

class Runs {
 public:
  explicit Runs(const Arguments& arguments)
      : arguments_(arguments), seeds_(arguments.seeds.value_or(arguments.trace ? 1 : 2000)) {}

  int run() {
    std::vector<std::thread> others;
    for (std::uint64_t i = 1; i < arguments_.jobs; ++i) others.emplace_back([this] { work(); });
    work();
    for (std::thread& other : others) other.join();
    std::uint64_t violations = 0;
    for (const auto& [seed, result] : violated_) {
      ++violations;
      // A broken protocol breaks everywhere; the first ones are enough to read.
      if (violations <= 20) report(seed, result);
    }
    std::cout << done_ << " seeds, " << violations << " violations\n";
    return violations == 0 ? 0 : 1;
  }

 private:
  void work() {
    for (;;) {
      const std::uint64_t index = next_.fetch_add(1);
      if (index >= seeds_ || stop_) return;
      RunOptions options;
      options.seed = arguments_.first + index;
      options.plot = arguments_.plot;
      if (arguments_.trace) options.trace = &std::cout;
      RunResult result = sim::run(options);
      done_.fetch_add(1);
      if (result.violations.empty()) continue;
      if (!arguments_.mutation.empty()) stop_ = true;
      const std::lock_guard lock(mutex_);
      violated_.emplace(options.seed, std::move(result));
    }
  }

  void report(std::uint64_t seed, const RunResult& result) const {
    std::cout << "seed " << seed << " (" << to_string(result.plot) << "):\n";
    for (const std::string& violation : result.violations) std::cout << "  " << violation << '\n';
    std::cout << "  replay: ./dev fuzz sim --first " << seed;
    if (arguments_.plot) std::cout << " --plot " << to_string(*arguments_.plot);
    if (!arguments_.mutation.empty()) std::cout << " --mutation " << arguments_.mutation;
    std::cout << " --trace\n";
  }

  const Arguments& arguments_;
  std::uint64_t seeds_;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<std::uint64_t> done_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::map<std::uint64_t, RunResult> violated_;
};

int main(const std::vector<std::string_view>& words) {
  const Arguments arguments = parse(words);
  if (arguments.help) {
    std::cout << kUsage;
    return 0;
  }
  if (arguments.list) {
    for (const Mutation& mutation : all_mutations())
      std::cout << mutation.name << "\n    " << mutation.meaning << '\n';
    return 0;
  }
  planted_mutation = arguments.mutation;
  return Runs(arguments).run();
}

}  // namespace
}  // namespace aloft::sim

int main(int count, char** words) {
  return aloft::sim::main(std::vector<std::string_view>(words + 1, words + count));
}
