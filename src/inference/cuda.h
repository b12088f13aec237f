// What it takes to infer on an NVIDIA GPU, found at run time: nothing of it is linked, so that one
// program runs with it and without. Private to this folder.
//
//   libonnxruntime.so                  of a GPU build: the CPU build has no way in for the provider
//   libonnxruntime_providers_cuda.so   beside it
//   libcuda.so.1                       NVIDIA's driver
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "inference/ort.h"
#include <aloft/result.h>

namespace aloft::inference {

// The libraries that are to be loaded; none is yet. Errors: not_found (which file was looked for
// where, and what to install).
struct CudaFiles {
  std::filesystem::path runtime;  // empty: the one that is linked
};
[[nodiscard]] Result<CudaFiles> find_cuda_files(const std::filesystem::path& libraries);

// The GPUs, by name. Starts the driver: no fork afterwards. Errors: not_found (no driver, no GPU).
[[nodiscard]] Result<std::vector<std::string>> find_gpus();

// Has sessions with these options compute on the first GPU. Errors: refused (the library was built
// without CUDA, or lacks something of it).
[[nodiscard]] Result<void> add_cuda(OrtSessionOptions& options);

// A model (y = x + x) to see whether sessions can be made at all.
[[nodiscard]] std::vector<std::byte> trial_model();

}  // namespace aloft::inference
