// Where a peer listens: a host and a TCP port, as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <aloft/result.h>

namespace aloft::net {

struct Address {
  std::string host;        // a name or a number, an IPv6 number without its brackets
  std::uint16_t port = 0;  // 0: the system chooses (listening only)

  // "HOST:PORT", "[V6]:PORT". Errors: invalid_argument, saying what is wrong with `text`.
  [[nodiscard]] static Result<Address> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Address&, const Address&) = default;
};

}  // namespace aloft::net
