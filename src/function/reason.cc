#include <string>
#include <string_view>

#include <aloft/policy.h>

namespace aloft {
namespace {

std::string_view pattern(const Reason& reason) {
  switch (reason.code()) {
    case ReasonCode::none: return "";
    case ReasonCode::asked_for: return "asked for by the caller";
    case ReasonCode::unbound: return "no runtime is bound";
    case ReasonCode::within_call: return "within an elastic call";
    case ReasonCode::with_object: return "where its object is";
    case ReasonCode::local_always: return "local: always here";
    case ReasonCode::remote_always: return "remote: always at the edge";
    case ReasonCode::remote_not_ready: return "remote: here, since no edge is ready";
    case ReasonCode::every_here: return "every {}: calls {}..{} here";
    case ReasonCode::every_edge: return "every {}: calls {}..{} at the edge";
    case ReasonCode::every_not_ready:
      return "every {}: calls {}..{} at the edge, but no edge is ready";
    case ReasonCode::other: return reason.words();
  }
  return "";
}

}  // namespace

std::string Reason::text() const {
  std::string text;
  std::string_view rest = pattern(*this);
  for (const std::uint64_t number : numbers_) {
    const auto gap = rest.find("{}");
    if (gap == std::string_view::npos) break;
    text.append(rest.substr(0, gap)).append(std::to_string(number));
    rest.remove_prefix(gap + 2);
  }
  return text.append(rest);
}

}  // namespace aloft
