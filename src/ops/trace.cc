#include "ops/trace.h"

#include <algorithm>

#include "base/ids.h"

namespace aloft::ops {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

bool is_hex(std::string_view text) {
  return text.find_first_not_of(kDigits) == std::string_view::npos;
}
bool is_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

Trace Trace::make() {
  Trace trace;
  trace.id_ = random_hex();
  trace.flags_ = "01";
  return trace;
}

std::optional<Trace> Trace::parse(std::string_view text) {
  constexpr std::size_t kSize = 55;
  if (text.size() != kSize || !text.starts_with("00-") || text[35] != '-' || text[52] != '-')
    return std::nullopt;
  const std::string_view id = text.substr(3, 32);
  const std::string_view step = text.substr(36, 16);
  const std::string_view flags = text.substr(53, 2);
  if (!is_hex(id) || !is_hex(step) || !is_hex(flags) || is_zero(id) || is_zero(step))
    return std::nullopt;
  Trace trace;
  trace.id_ = id;
  trace.flags_ = flags;
  return trace;
}

std::string Trace::next_step() const {
  return id_.empty() ? std::string() : "00-" + id_ + "-" + random_hex(8) + "-" + flags_;
}

}  // namespace aloft::ops
