#include "scenario.h"

#include <algorithm>

namespace aloft::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Of 100 runs.
Plot draw_plot(Random& random) {
  const std::uint64_t drawn = random.below(100);
  if (drawn < 45) return Plot::stateful;
  if (drawn < 58) return Plot::stateless;
  if (drawn < 68) return Plot::latest;
  if (drawn < 78) return Plot::deadline;
  if (drawn < 92) return Plot::once;
  return Plot::call;
}

void draw_options(Random& random, Scenario& scenario) {
  channel::FixedEndOptions& options = scenario.options;
  options.has_state = scenario.plot == Plot::stateful;
  options.has_effects = scenario.plot == Plot::once;
  const bool dropping = scenario.plot == Plot::latest || scenario.plot == Plot::deadline;
  if (dropping) options.has_state = random.chance(300);
  if (scenario.plot == Plot::latest) options.kind = channel::Kind::latest;
  if (scenario.plot == Plot::deadline) {
    options.kind = channel::Kind::deadline;
    options.deadline = random.skewed(microseconds(200), milliseconds(400));
  }
  options.in_flight = random.size_between(1, 6);
  options.max_messages = random.chance(300) ? random.size_between(4, 24) : 256;
  options.max_bytes =
      random.chance(200) ? random.size_between(2'000, 20'000) : std::size_t{1} << 20U;
  options.resume_within = random.skewed(milliseconds(0), milliseconds(1500));
  options.step_timeout = random.skewed(milliseconds(100), milliseconds(5000));
  options.recover_here = random.chance(750);
  options.here_may_fail = random.chance(500);
}

void draw_rates(Random& random, Rates& rates) {
  const auto sometimes = [&](std::uint64_t runs, std::uint64_t most) {
    return random.chance(runs) ? random.between(1, most) : 0;
  };
  rates.strike = sometimes(600, 60);
  rates.load = sometimes(300, 300);
  rates.save = sometimes(200, 200);
  rates.attach = sometimes(300, 300);
  rates.slow = sometimes(300, 60);
  rates.trap = sometimes(400, 100);
  rates.trap_kills = random.chance(500) ? 1000 : random.below(1000);
  rates.checkpoint = random.chance(500) ? 20 : 200;
  rates.repeat = sometimes(300, 60);
  rates.failure = sometimes(150, 50);
}

}  // namespace

std::optional<Plot> plot_of(std::string_view name) {
  const auto* const found = std::ranges::find(kPlotNames, name);
  if (found == kPlotNames.end()) return std::nullopt;
  return static_cast<Plot>(found - kPlotNames.begin());
}

Scenario draw(Random& random, std::optional<Plot> forced) {
  Scenario scenario;
  scenario.plot = draw_plot(random);
  if (forced) scenario.plot = *forced;
  draw_options(random, scenario);
  draw_rates(random, scenario.rates);
  scenario.edges = static_cast<std::uint32_t>(random.between(2, 3));
  scenario.messages = random.size_between(20, 120);
  scenario.send_gap = random.skewed(microseconds(100), milliseconds(60));
  scenario.largest_message = random.chance(300) ? 4000 : 64;
  scenario.cancels = random.chance(300);
  scenario.takes_here = random.chance(200);
  scenario.versions = random.chance(500) ? static_cast<std::uint32_t>(random.between(2, 4)) : 1;
  scenario.bad_versions = random.chance(400) ? random.below(16) & ~std::uint64_t{1} : 0;
  if (!random.chance(100)) scenario.move_gap = random.skewed(milliseconds(1), milliseconds(1500));
  if (!random.chance(150)) scenario.fault_gap = random.skewed(milliseconds(5), milliseconds(3000));
  scenario.grace = random.chance(300) ? random.between(milliseconds(1), milliseconds(300))
                                      : Duration(seconds(10));
  scenario.delay = random.skewed(microseconds(50), milliseconds(60));
  scenario.run_time = random.skewed(microseconds(20), milliseconds(40));
  scenario.bytes_per_ms = 200 + random.below(random.below(random.below(100'000) + 1) + 1);
  // What goes on another stream may be overtaken by far.
  if (random.chance(500))
    scenario.lag.at(1 + random.below(2)) = random.between(Duration(0), scenario.delay * 4);
  scenario.close_amid = random.chance(80);
  // Nobody can move over a connection who has less patience than the largest state takes.
  constexpr std::uint64_t kLargestState = 26'000;
  const Duration one_way = scenario.delay + std::ranges::max(scenario.lag) +
                           milliseconds(kLargestState / scenario.bytes_per_ms);
  const Duration step = 2 * one_way + milliseconds(25);
  scenario.options.step_timeout = std::max(scenario.options.step_timeout, step);
  return scenario;
}

}  // namespace aloft::sim
