#include "device/local_models.h"

#include <cstddef>
#include <fstream>
#include <system_error>
#include <utility>

#include "base/digest.h"

namespace aloft::device {
namespace {

Result<std::vector<std::byte>> read_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return fail(Errc::not_found, "no model " + path.string() + ": " + error.message());
  std::ifstream file(path, std::ios::binary);
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file) return fail(Errc::not_found, "cannot read the model " + path.string());
  return bytes;
}

}  // namespace

Result<LocalModels> load_models(const std::map<std::string, std::filesystem::path>& paths,
                                const inference::EngineOptions& options) {
  LocalModels models;
  if (paths.empty()) return models;
  auto engine = inference::make_engine(options);
  if (!engine) return std::unexpected(std::move(engine.error()));
  models.engine = *std::move(engine);
  for (const auto& [graph, path] : paths) {
    const auto bytes = read_file(path);
    if (!bytes) return std::unexpected(bytes.error());
    auto loaded = models.engine->load_onnx(*bytes);
    if (!loaded)
      return fail(loaded.error().code,
                  "the model " + path.string() + ": " + loaded.error().message);
    models.graphs.set(graph, *std::move(loaded));
    models.files.push_back(
        {.graph = graph, .path = path, .sha256 = sha256(*bytes).hex(), .size = bytes->size()});
  }
  return models;
}

}  // namespace aloft::device
