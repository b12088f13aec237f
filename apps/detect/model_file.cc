#include "model_file.h"

#include <fstream>

namespace detect {

aloft::Result<std::vector<std::byte>> read_model(const std::filesystem::path& model) {
  std::error_code error;
  const auto size = std::filesystem::file_size(model, error);
  std::ifstream file(model, std::ios::binary);
  if (error || !file)
    return aloft::fail(aloft::Errc::not_found, "no such model: " + model.string());
  std::vector<std::byte> bytes(size);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) {
    return aloft::fail(aloft::Errc::not_found, "cannot read the model " + model.string());
  }
  return bytes;
}

}  // namespace detect
