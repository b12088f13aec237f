// How a host infers, as its configuration says it (inference.*): in each tenant's process, or in
// one for all of them, and on what.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/units.h"
#include "config/schema.h"
#include "host/control/infer_process.h"

namespace aloft {

// What /proc/meminfo says of it; 0: nothing.
inline std::uint64_t kilobytes_of(const char* what) {
  std::ifstream in("/proc/meminfo");
  std::string name;
  std::uint64_t value = 0;
  for (std::string unit; in >> name >> value; std::getline(in, unit)) {
    if (name == what) return value;
  }
  return 0;
}

struct InferenceOptions {
  std::string where = "in-process";
  std::string device = "cpu";
  std::filesystem::path libraries, program;
  std::uint64_t slots = 0;
  Bytes memory{0};
  Bytes tenant_memory{1_GiB};
  Bytes tenant_models{2_GiB};
  std::string batching = "same-bits";
  std::uint64_t batch_rows = 0;
  std::chrono::milliseconds batch_wait{2};
  std::vector<std::string> vouched;

  // Adds them to a host's configuration; they outlive it.
  void describe(config::Schema& schema) {
    schema
        .choice(
            "inference.where", where, {"process", "in-process"},
            "process: one, aloft-infer, for all tenants of this host, which has the accelerator; "
            "in-process: each tenant's Execution Handler infers itself")
        .choice("inference.device", device, {"cpu", "cuda", "auto"},
                "of aloft-infer; auto: cuda where it can be used. For sessions that have a GPU")
        .option("inference.libraries", libraries,
                "folder of a GPU build of ONNX Runtime; none: beside the one in use")
        .option("inference.program", program, "aloft-infer; none: the one beside this program")
        .number("inference.slots", slots, 0, 256,
                "inferences at a time in aloft-infer; 0: as processors have room for, at least 2")
        .option("inference.memory", memory,
                "that inferences may take in aloft-infer; 0: half of the machine's")
        .option("inference.tenant_memory", tenant_memory, "of a tenant's tensors in aloft-infer")
        .option("inference.tenant_models", tenant_models,
                "of a tenant's model files in aloft-infer")
        .choice("inference.batching", batching, {"same-bits", "any-bits", "off"},
                "same-bits: requests share an inference where that was found to change no bit; "
                "any-bits: wherever a model's batch dimension is open")
        .number("inference.batch_rows", batch_rows, 0, 256,
                "requests in one inference at most; 0: 8 with cuda, else 1, which is none")
        .option("inference.batch_wait", batch_wait, "how long a request waits for others")
        .option("inference.vouched_models", vouched,
                "sha256:... of models that mix no rows: requests of several tenants may share an "
                "inference");
  }

  // The inference process that they ask for; none: there is to be none. `programs`: the folder of
  // this one. Errors: invalid_argument.
  [[nodiscard]] Result<std::optional<host::InferProcessOptions>> process(
      const std::filesystem::path& programs, int threads) const {
    if (where != "process") {
      if (device == "cpu") return std::nullopt;
      return fail(
          Errc::invalid_argument,
          "inference.device is " + device +
              ", but a tenant's process sees no accelerator: set inference.where = process");
    }
    host::InferProcessOptions made{
        .program = program.empty() ? programs / "aloft-infer" : std::filesystem::absolute(program),
        .setup = {}};
    host::InferSetup& setup = made.setup;
    setup.device = device;
    if (!libraries.empty()) setup.libraries = std::filesystem::absolute(libraries);
    setup.threads = threads;
    const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    setup.slots = slots != 0 ? static_cast<int>(slots) : std::max(2, processors / threads);
    setup.batching = batching;
    setup.batch_rows = batch_rows != 0   ? static_cast<std::uint32_t>(batch_rows)
                       : device == "cpu" ? 1
                                         : 8;
    setup.batch_wait_us = std::chrono::microseconds(batch_wait).count();
    setup.vouched = vouched;
    setup.memory_bytes =
        memory.count() != 0 ? memory.count() : kilobytes_of("MemTotal:") * 1024 / 2;
    return made;
  }
};

}  // namespace aloft
