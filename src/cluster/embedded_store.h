// The state of a cluster with one manager: a file of SQLite's. Nothing to set up.
//
// What was committed is on the disk (write-ahead log, synchronised before the answer): it survives
// kill -9 and a power cut. Where all that the cluster has is on one machine, which a power cut ends
// altogether, kill -9 may be enough (EmbeddedOptions::survives): then no commit waits for the disk.
// Everything is in memory as well, so that reading never waits for a disk and goes on when it is
// full. Commits that are made at a time share one synchronisation.
//
// Leases are timed by CLOCK_BOOTTIME. A store that is opened again gives each lease its whole time,
// since whoever kept it alive could not reach the manager meanwhile.
//
// A watch is told from a bounded log in memory. One that falls behind it, or that goes on from a
// revision before the store was opened, is told that changes were missed.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>

#include "base/clock.h"
#include "cluster/store.h"
#include "cluster/store_file.h"
#include <aloft/result.h>

namespace aloft::cluster {

struct EmbeddedOptions {
  Survives survives = Survives::power_cut;
  // A call waits so long at most; a disk that takes longer is unreachable.
  std::chrono::milliseconds timeout{5'000};
  // What the log keeps for watches that are behind.
  std::size_t log_events = 100'000;
  std::size_t log_bytes = std::size_t{32} << 20;
  BootClockSource clock = &BootClock::now;
};

struct EmbeddedStore {
  // Makes the file, readable by its owner alone, where there is none; the folder must be there. The
  // file is this store's alone until it is destroyed: `refused` for anyone else who opens it. Other
  // errors: not_found (no such folder), corrupt, version_mismatch (of a newer aloft),
  // resource_exhausted; they name the file.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(const std::filesystem::path& file,
                                                           EmbeddedOptions options = {});
};

}  // namespace aloft::cluster
