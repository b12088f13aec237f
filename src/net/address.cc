#include "net/address.h"

#include <charconv>

namespace aloft::net {

Result<Address> Address::parse(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::invalid_argument,
                "no address HOST:PORT: '" + std::string(text) + "' " + std::string(why));
  };
  if (text.find("://") != std::string_view::npos) return wrong("is a URL");
  std::string_view host;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find("]:");
    if (end == std::string_view::npos) return wrong("lacks ']:' after an IPv6 number");
    host = text.substr(1, end - 1);
    port = text.substr(end + 2);
  } else {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return wrong("lacks a port");
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.find(':') != std::string_view::npos)
      return wrong("has several colons; an IPv6 number stands in brackets");
  }
  if (host.empty()) return wrong("lacks a host");

  std::uint16_t number = 0;
  const char* const end = port.data() + port.size();
  const auto [stopped, error] = std::from_chars(port.data(), end, number);
  if (port.empty() || error != std::errc{} || stopped != end)
    return wrong("has a port that is no number from 0 to 65535");
  return Address{std::string(host), number};
}

std::string Address::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace aloft::net
