// frames.csv: one line a frame, written as the frames come, so that a run that ends early leaves
// what it measured.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "measurements.h"
#include <aloft/result.h>

namespace detect {

class FramesCsv {
 public:
  // Creates the file with its header line. Errors: refused when it cannot be written.
  [[nodiscard]] static aloft::Result<FramesCsv> create(const std::filesystem::path& path);
  [[nodiscard]] aloft::Result<void> append(const FrameRow& row);

  // "frame,place,latency_ms,...": the columns of the file, without line end.
  [[nodiscard]] static std::string header();
  [[nodiscard]] static std::string line(const FrameRow& row);

 private:
  FramesCsv(std::filesystem::path path, std::ofstream file)
      : path_(std::move(path)), file_(std::move(file)) {}
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace detect
