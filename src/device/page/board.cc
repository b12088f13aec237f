#include "device/page/board.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <nlohmann/json.hpp>

namespace aloft::device {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kQuality = 80;

std::string text_of(const LivePoint& point) {
  Json json = Json::array();
  json.push_back(point.number);
  json.push_back(point.place == Place::edge ? 1 : 0);
  json.push_back(point.per_second);
  json.push_back(point.ue_cpu_percent);
  json.push_back(point.ue_celsius ? Json(*point.ue_celsius) : Json());
  json.push_back(point.network_bytes);
  json.push_back(point.age ? Json(std::chrono::duration<double, std::milli>(*point.age).count())
                           : Json());
  return json.dump();
}

std::string text_of(const DecisionRecord& decision) {
  const bool here = decision.location.is_here();
  Json json{{"number", decision.number},
            {"function", decision.function},
            {"place", to_string(here ? Place::here : Place::edge)}};
  if (!here) json["edge"] = decision.location.number() - 1;
  json["reason"] = decision.reason.text();
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void keep(std::deque<std::string>& kept, std::size_t most, std::string text) {
  if (kept.size() == most) kept.pop_front();
  kept.push_back(std::move(text));
}

// Adds `"name":[what is newer than seen]` to an object that is being written.
void add_newer(std::string& object, std::string_view name, const std::deque<std::string>& kept,
               std::uint64_t made, std::uint64_t& seen) {
  const std::uint64_t count = std::min<std::uint64_t>(made - seen, kept.size());
  seen = made;
  if (count == 0) return;
  object += (object.empty() ? "{\"" : ",\"") + std::string(name) + "\":";
  char separator = '[';
  for (auto each = kept.end() - static_cast<std::ptrdiff_t>(count); each != kept.end(); ++each) {
    object += separator + *each;
    separator = ',';
  }
  object += ']';
}

}  // namespace

Board::Board(std::string title, std::string unit)
    : hello_(Json{{"title", std::move(title)}, {"unit", std::move(unit)}}.dump(
          -1, ' ', false, Json::error_handler_t::replace)) {}

void Board::add(const LivePoint& point) {
  std::string text = text_of(point);
  const std::lock_guard lock(mutex_);
  keep(points_, LivePage::kPointsKept, std::move(text));
  ++points_made_;
}

void Board::show(const Image& picture, std::uint64_t number) {
  if (!wanted_.load(std::memory_order_relaxed)) return;
  const image::Shape shape{
      .width = picture.width(), .height = picture.height(), .format = picture.format()};
  if (!image::fits_jpeg(shape) || picture.pixels().size() != shape.bytes()) return;
  const auto pixels = std::as_bytes(picture.pixels());
  const std::lock_guard lock(mutex_);
  shown_.number = number;
  shown_.shape = shape;
  shown_.pixels.assign(pixels.begin(), pixels.end());
  has_shown_ = true;
  wanted_ = false;
}

void Board::decided(std::span<const DecisionRecord> decisions) {
  for (const DecisionRecord& each : decisions) {
    if (last_decision_ && each.number <= *last_decision_) continue;
    last_decision_ = each.number;
    keep(decisions_, kDecisionsKept, text_of(each));
    ++decisions_made_;
  }
}

void Board::set_state(std::string state) {
  if (state == state_) return;
  state_ = std::move(state);
  ++states_made_;
}

std::string Board::news(Seen& seen) {
  std::string object;
  if (!std::exchange(seen.greeted, true)) object = "{\"hello\":" + hello_;
  {
    const std::lock_guard lock(mutex_);
    add_newer(object, "points", points_, points_made_, seen.points);
  }
  add_newer(object, "decisions", decisions_, decisions_made_, seen.decisions);
  if (std::exchange(seen.states, states_made_) != states_made_) {
    object += (object.empty() ? "{" : ",") + ("\"state\":" + state_);
  }
  if (!object.empty()) object += '}';
  return object;
}

void Board::encode() {
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(has_shown_, false)) return;
    std::swap(shown_, encoding_);
  }
  std::vector<std::byte> message;
  for (int byte = 0; byte < 8; ++byte)
    message.push_back(static_cast<std::byte>(encoding_.number >> (8 * byte)));
  // What cannot be encoded is a picture less.
  if (!encoder_.encode(encoding_.pixels, encoding_.shape, kQuality, message)) return;
  encoded_ = std::make_shared<const std::vector<std::byte>>(std::move(message));
  ++pictures_made_;
}

std::shared_ptr<const std::vector<std::byte>> Board::picture(Seen& seen) {
  encode();
  if (std::exchange(seen.pictures, pictures_made_) == pictures_made_) return nullptr;
  return encoded_;
}

}  // namespace aloft::device
