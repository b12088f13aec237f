#include "trace_csv.h"

#include <cstdio>
#include <utility>

namespace detect {

aloft::Result<TraceCsv> TraceCsv::create(const std::filesystem::path& path) {
  std::ofstream file(path);
  file << "at_ms,input_bytes,reply_bytes,here_ms,edge_ms,edge_run_ms,edge_queue_ms,round_trip_ms\n"
       << std::flush;
  if (!file) return aloft::fail(aloft::Errc::refused, "cannot write " + path.string());
  return TraceCsv(path, std::move(file));
}

aloft::Result<void> TraceCsv::append(const TraceRow& row) {
  char line[256];
  std::snprintf(line, sizeof line, "%.3f,%llu,%llu,%.3f,%.3f,%.3f,%.3f,%.3f\n", row.at_ms,
                static_cast<unsigned long long>(row.input_bytes),
                static_cast<unsigned long long>(row.reply_bytes), row.here_ms, row.edge_ms,
                row.edge_run_ms, row.edge_queue_ms, row.round_trip_ms);
  file_ << line << std::flush;
  if (!file_) {
    return aloft::fail(aloft::Errc::refused,
                       "cannot write " + path_.string() + ": is the disk full?");
  }
  return {};
}

}  // namespace detect
