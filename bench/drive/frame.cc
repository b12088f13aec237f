#include "frame.h"

#include <array>
#include <bit>

#include <nlohmann/json.hpp>

#include "base/digest.h"

namespace aloft::drive {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

}  // namespace

std::string to_line(const Frame& frame) {
  return nlohmann::json{{"frame", frame.number},
                        {"image", frame.image},
                        {"chooser", static_cast<int>(frame.chooser)},
                        {"began_ns", nanoseconds(frame.began.time_since_epoch()).count()},
                        {"latency_ms", frame.latency_ms},
                        {"edge", frame.place == Place::edge},
                        {"tries", frame.tries},
                        {"fell_back", frame.fell_back},
                        {"digest", frame.digest},
                        {"reason", frame.reason},
                        {"error", frame.error}}
      .dump();
}

std::optional<Frame> from_line(std::string_view line) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("frame")) return std::nullopt;
  return Frame{
      .number = json.at("frame"),
      .image = json.at("image"),
      .chooser = static_cast<Chooser>(json.at("chooser").get<int>()),
      .began = steady_clock::time_point(nanoseconds(json.at("began_ns").get<std::int64_t>())),
      .latency_ms = json.at("latency_ms"),
      .place = json.at("edge").get<bool>() ? Place::edge : Place::here,
      .tries = json.at("tries"),
      .fell_back = json.at("fell_back"),
      .digest = json.at("digest"),
      .reason = json.at("reason"),
      .error = json.at("error")};
}

std::string digest_of(std::span<const detect::Detection> detections) {
  Sha256 sha;
  for (const detect::Detection& each : detections) {
    const std::array<std::uint32_t, 6> bits{std::bit_cast<std::uint32_t>(each.class_id),
                                            std::bit_cast<std::uint32_t>(each.score),
                                            std::bit_cast<std::uint32_t>(each.box.x),
                                            std::bit_cast<std::uint32_t>(each.box.y),
                                            std::bit_cast<std::uint32_t>(each.box.width),
                                            std::bit_cast<std::uint32_t>(each.box.height)};
    sha.update(std::as_bytes(std::span(bits)));
  }
  return sha.finish().hex();
}

}  // namespace aloft::drive
