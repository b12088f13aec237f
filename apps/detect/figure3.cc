#include "figure3.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

namespace detect {
namespace {

using aloft::Errc;
using aloft::fail;

constexpr double kBytesPerMegabyte = 1e6;

// Half-open spans of consecutive rows computed at the edge, as indices into the rows.
std::vector<std::pair<std::size_t, std::size_t>> remote_spans(std::span<const FrameRow> rows) {
  std::vector<std::pair<std::size_t, std::size_t>> spans;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].place != aloft::Place::edge) continue;
    if (spans.empty() || spans.back().second != i) spans.emplace_back(i, i);
    spans.back().second = i + 1;
  }
  return spans;
}

std::string data_lines(std::span<const FrameRow> rows) {
  std::ostringstream data;
  data << "# frame fps ue_cpu_percent ue_temperature_c network_megabytes\n";
  for (const FrameRow& row : rows) {
    data << row.frame << ' ' << row.fps << ' ' << row.ue_cpu_percent << ' ';
    if (row.ue_temperature_c) {
      data << *row.ue_temperature_c;
    } else {
      data << "NaN";
    }
    data << ' ' << static_cast<double>(row.tx_bytes + row.rx_bytes) / kBytesPerMegabyte << '\n';
  }
  return data.str();
}

// gnuplot's enhanced text gives these a meaning.
std::string plain(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (std::string_view("_^{}@&~\\\"").contains(c)) escaped += c == '"' ? "" : "\\\\";
    if (c != '"') escaped += c;
  }
  return escaped;
}

}  // namespace

std::string figure3_script(std::span<const FrameRow> rows, const std::string& edge_note) {
  std::ostringstream script;
  const std::uint64_t last = rows.empty() ? 0 : rows.back().frame;
  script << "set terminal pngcairo size 1000,1100 font 'sans,11'\n"
            "set output 'figure3.png'\n"
            "set datafile missing 'NaN'\n"
            "set multiplot layout 4,1 title \"detect\\\\_object on the device and at the edge "
            "(shaded)\\n"
         << plain(edge_note)
         << "\"\n"
            "set grid ytics lc rgb '#d0d0d0'\n"
            "set lmargin 10\nset rmargin 3\n"
            "unset key\n"
            "set xrange [0:"
         << std::max<std::uint64_t>(last, 1) << "]\n";
  for (const auto& [begin, end] : remote_spans(rows)) {
    script << "set object rectangle from " << rows[begin].frame << ", graph 0 to "
           << rows[end - 1].frame + 1
           << ", graph 1 fc rgb '#4c9be8' fs transparent solid 0.18 noborder behind\n";
  }
  const auto panel = [&script](const char* label, int column, const char* colour) {
    script << "set ylabel '" << label
           << "'\nset yrange [0:0.1<*]\nplot 'figure3.dat' using 1:" << column
           << " with lines lw 1.5 lc rgb '" << colour << "'\n";
  };
  panel("frames / s", 2, "#1b7837");
  panel("UE CPU (% of a core)", 3, "#b2182b");
  const bool has_sensor = std::ranges::any_of(
      rows, [](const FrameRow& row) { return row.ue_temperature_c.has_value(); });
  if (has_sensor) {
    script << "set ylabel 'UE CPU ({/Symbol \\260}C)'\nset yrange [*:*]\n"
              "plot 'figure3.dat' using 1:4 with lines lw 1.5 lc rgb '#e08214'\n";
  } else {
    script << "set ylabel 'UE CPU (deg C)'\nset yrange [0:1]\nset format y ''\n"
              "set label 1 'no sensor' at graph 0.5, graph 0.5 center font 'sans,14'\n"
              "plot NaN\n"
              "unset label 1\nset format y\n";
  }
  script << "set xlabel 'frame'\n";
  panel("network (MB / frame)", 5, "#542788");
  script << "unset multiplot\n";
  return script.str();
}

aloft::Result<void> draw_figure3(std::span<const FrameRow> rows,
                                 const std::filesystem::path& folder,
                                 const std::string& edge_note) {
  std::ofstream(folder / "figure3.dat") << data_lines(rows);
  std::ofstream script(folder / "figure3.gp");
  script << figure3_script(rows, edge_note) << std::flush;
  if (!script) return fail(Errc::refused, "cannot write " + (folder / "figure3.gp").string());

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  std::string command = "gnuplot";
  std::string script_name = "figure3.gp";
  char* arguments[] = {command.data(), script_name.data(), nullptr};
  pid_t child = 0;
  const int spawned = ::posix_spawnp(&child, "gnuplot", &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (spawned != 0) {
    return fail(
        Errc::not_found,
        "figure3.png is not drawn: gnuplot is missing (Debian: apt-get install gnuplot-nox)");
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return fail(Errc::internal,
                "figure3.png is not drawn: gnuplot failed on " + (folder / "figure3.gp").string());
  }
  return {};
}

}  // namespace detect
