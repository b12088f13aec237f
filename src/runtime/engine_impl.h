// What Engine, Module and Instance share of Wasmtime. Private to this folder.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "runtime/artifact_cache.h"
#include "runtime/engine.h"
#include "runtime/epoch_clock.h"
#include "runtime/wasmtime_handles.h"

namespace aloft::runtime {

struct Engine::Impl {
  EngineHandle engine;
  LinkerHandle linker;  // all host functions; each finds its instance through the store's data
  std::optional<ArtifactCache> cache;
  std::atomic<std::uint64_t> compilations = 0;
  std::optional<EpochClock> epochs;  // last: its thread uses the engine
};

}  // namespace aloft::runtime
