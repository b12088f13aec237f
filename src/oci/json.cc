#include "oci/json.h"

#include <algorithm>

namespace aloft::oci {

Result<Json> parse_json(std::span<const std::byte> bytes, std::string_view what) {
  bool too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t, Json&) {
    if (depth <= kMaxJsonDepth) return true;
    too_deep = true;
    return false;  // not kept
  };
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  Json json = Json::parse(text, text + bytes.size(), watch, false);
  if (too_deep) return fail(Errc::corrupt, std::string(what) + " is nested too deeply");
  if (json.is_discarded()) return fail(Errc::corrupt, std::string(what) + " is no JSON");
  return json;
}

const Json* member(const Json& json, const char* name) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(name);
  return found == json.end() ? nullptr : &*found;
}

const std::string* text(const Json& json, const char* name) {
  const Json* found = member(json, name);
  return found == nullptr ? nullptr : found->get_ptr<const std::string*>();
}

std::optional<std::uint64_t> number(const Json& json, const char* name) {
  const Json* found = member(json, name);
  const auto* value = found == nullptr ? nullptr : found->get_ptr<const Json::number_unsigned_t*>();
  if (value == nullptr) return std::nullopt;
  return *value;
}

std::vector<std::byte> json_bytes(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string printable(std::string_view text) {
  std::string shown(text.substr(0, 200));
  std::ranges::replace_if(shown, [](char c) { return c < ' ' || c > '~'; }, '?');
  return shown;
}

}  // namespace aloft::oci
