#include "frames_csv.h"

#include <chrono>
#include <cstdio>

namespace detect {
namespace {

std::string decimal(double value, int digits) {
  char text[64];
  const int length = std::snprintf(text, sizeof text, "%.*f", digits, value);
  return {text, static_cast<std::size_t>(length)};
}

}  // namespace

std::string FramesCsv::header() {
  return "frame,place,latency_ms,fps,ue_cpu_percent,ue_temperature_c,tx_bytes,rx_bytes,detections,"
         "tracks,codec,encode_ms,decode_ms";
}

std::string FramesCsv::line(const FrameRow& row) {
  std::string text = std::to_string(row.frame);
  text += row.place == aloft::Place::edge ? ",remote," : ",local,";
  text += decimal(row.latency_ms, 3) + ',' + decimal(row.fps, 2) + ',' +
          decimal(row.ue_cpu_percent, 1) + ',';
  if (row.ue_temperature_c) text += decimal(*row.ue_temperature_c, 1);
  text += ',' + std::to_string(row.tx_bytes) + ',' + std::to_string(row.rx_bytes) + ',' +
          std::to_string(row.detections) + ',';
  for (std::size_t i = 0; i < row.tracks.size(); ++i) {
    if (i > 0) text += ';';
    text += std::to_string(row.tracks[i]);
  }
  // What ran on the device went nowhere.
  if (row.place != aloft::Place::edge) return text + ",,,";
  const auto milliseconds = [](std::chrono::nanoseconds time) {
    return decimal(std::chrono::duration<double, std::milli>(time).count(), 3);
  };
  text += ',' + codec_name(row.images.coding) + ',' + milliseconds(row.images.encode) + ',' +
          milliseconds(row.images.decode);
  return text;
}

aloft::Result<FramesCsv> FramesCsv::create(const std::filesystem::path& path) {
  std::ofstream file(path);
  file << header() << '\n' << std::flush;
  if (!file) return aloft::fail(aloft::Errc::refused, "cannot write " + path.string());
  return FramesCsv(path, std::move(file));
}

aloft::Result<void> FramesCsv::append(const FrameRow& row) {
  file_ << line(row) << '\n' << std::flush;
  if (!file_)
    return aloft::fail(aloft::Errc::refused,
                       "cannot write " + path_.string() + ": is the disk full?");
  return {};
}

}  // namespace detect
