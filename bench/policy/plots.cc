#include "plots.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "support/process.h"

namespace aloft::bench {
namespace {

using namespace std::chrono_literals;

Result<void> draw(const std::filesystem::path& folder, const std::string& name,
                  const std::string& numbers, const std::string& script) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::ofstream(folder / (name + ".dat")) << numbers;
  std::ofstream file(folder / (name + ".gp"));
  file << "set terminal pngcairo size 1200,700 font 'sans,10'\nset output '" << name << ".png'\n"
       << script << std::flush;
  if (!file) return fail(Errc::refused, "cannot write to the folder " + folder.string());
  auto gnuplot = testing::Process::start(
      {"sh", "-c", "cd \"$1\" && exec gnuplot \"$2\"", "sh", folder.string(), name + ".gp"});
  if (!gnuplot) return std::unexpected(gnuplot.error());
  const auto status = gnuplot->wait(60s);
  if (status == 127)
    return fail(Errc::not_found, "gnuplot is missing (Debian: apt-get install gnuplot-nox)");
  if (status != 0)
    return fail(Errc::internal, "gnuplot failed on " + (folder / (name + ".gp")).string() + "\n" +
                                    gnuplot->transcript());
  return {};
}

// gnuplot would take an underscore for a subscript.
std::string plain(std::string text) {
  std::ranges::replace(text, '_', '-');
  return text;
}

}  // namespace

Result<void> draw_overview(std::span<const Comparison> comparisons,
                           const std::filesystem::path& folder) {
  // The ones whose aim is latency.
  constexpr std::string_view kShown[] = {"local", "remote", "every", "min_latency"};
  constexpr std::string_view kColours[] = {"#e08214", "#542788", "#bbbbbb", "#1b7837"};
  std::vector<std::string> functions;
  for (const Comparison& each : comparisons) {
    if (std::ranges::find(functions, each.function) == functions.end())
      functions.push_back(each.function);
  }
  std::ostringstream numbers;
  for (const std::string& function : functions) {
    for (const Comparison& each : comparisons) {
      if (each.function != function) continue;
      numbers << '"' << plain(each.trace) << '"';
      for (const std::string_view policy : kShown)
        numbers << ' ' << each.of(policy).mean_ms / each.oracle_ms;
      numbers << '\n';
    }
    numbers << "\n\n";
  }
  std::ostringstream script;
  script << "set multiplot layout " << functions.size()
         << ",1 title 'mean latency as a multiple of the oracle (which knows the future)'\n"
            "set style data histogram\nset style fill solid\nset boxwidth 0.9\nset logscale y 2\n"
            "set yrange [0.95:8]\nset grid y\nset xtics rotate by -20\nset key outside right\n";
  for (std::size_t index = 0; index < functions.size(); ++index) {
    script << "set ylabel '" << plain(functions[index]) << "'\nplot ";
    for (std::size_t i = 0; i < std::size(kShown); ++i) {
      script << (i > 0 ? ", " : "") << "'overview.dat' index " << index << " using " << i + 2
             << (i == 0 ? ":xtic(1)" : "") << " title '" << plain(std::string(kShown[i]))
             << "' lc rgb '" << kColours[i] << "'";
    }
    script << '\n';
  }
  script << "unset multiplot\n";
  return draw(folder, "overview", numbers.str(), script.str());
}

Result<void> draw_timeline(const Trace& trace, const Workload& workload, std::size_t frames,
                           std::uint64_t seed, const std::filesystem::path& folder) {
  const World world = make_world(trace, workload, frames, seed);
  const Plan oracle = best_latency(world);
  const Played played = play(*min_latency_policy(), world);
  std::ostringstream numbers;
  for (std::size_t i = 0; i < world.size(); ++i) {
    const FramePlayed& frame = played.frames[i];
    numbers << i << ' ' << world.here_ms(i) << ' '
            << (world.ready(i) ? std::to_string(world.edge(i, 0).latency_ms) : "NaN") << ' '
            << frame.latency_ms << ' ' << (frame.place == Place::edge ? 1 : 0) << ' '
            << (oracle.places[i] == Place::edge ? 1 : 0) << '\n';
  }
  const std::string name = trace.name + "-" + workload.name;
  std::ostringstream script;
  script << "set multiplot\nset lmargin 12\nset xrange [0:" << frames
         << "]\nset size 1,0.72\nset origin 0,0.28\nset title '" << plain(trace.name) << ", "
         << plain(workload.name)
         << "'\nset logscale y\nset ylabel 'ms'\nset grid\nset key top right\nplot '" << name
         << ".dat' using 1:2 with lines lc rgb '#e08214' title 'here', '' using 1:3 with lines lc "
            "rgb '#542788' title 'at the edge', '' using 1:4 with points pt 7 ps 0.3 lc rgb "
            "'#1b7837' title 'min-latency'\n"
            "unset logscale\nunset title\nset size 1,0.28\nset origin 0,0\nset yrange "
            "[-0.3:2.8]\nset ytics ('min-latency' 0.5, 'oracle' 2)\nset ylabel ''\nset xlabel "
            "'frame (raised: at the edge)'\nset key off\nplot '"
         << name
         << ".dat' using 1:($5*0.9) with steps lc rgb '#1b7837', '' using 1:(1.6+$6*0.9) with "
            "steps lc rgb '#333333'\nunset multiplot\n";
  return draw(folder, name, numbers.str(), script.str());
}

}  // namespace aloft::bench
