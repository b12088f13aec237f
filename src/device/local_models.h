// The models of this device, loaded and ready: what native runs of elastic functions infer with,
// and what an edge that lacks them is given.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "function/model_uploads.h"
#include "inference/engine.h"
#include "inference/graph_table.h"
#include <aloft/result.h>

namespace aloft::device {

struct LocalModels {
  std::unique_ptr<inference::Engine> engine;  // null without models
  inference::GraphTable graphs;
  std::vector<function::ModelFile> files;
};

// Loads each file (aloft::nn::Graph name -> ONNX file) into one engine. Each file is read once; its
// bytes are not kept. Errors: not_found, and the engine's own of a file, which is named.
[[nodiscard]] Result<LocalModels> load_models(
    const std::map<std::string, std::filesystem::path>& paths,
    const inference::EngineOptions& options);

}  // namespace aloft::device
