// Who may look at the live page and move the execution by it.
//
// The page listens on the loopback interface, which keeps other machines out, but neither other
// users of this one nor the web sites that its user visits: a site's script may send requests to
// any address, loopback included. Three things are asked of each request:
//   the key     in its path, which only whoever was shown the address knows
//   Host        this page's own, so that a site whose name was made to point to 127.0.0.1 (DNS
//               rebinding) is not taken for this page
//   Origin      this page's own where the browser says one, as it does with every WebSocket and
//               every request of another site's script
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <aloft/result.h>

namespace aloft::device {

class Door {
 public:
  Door(std::uint16_t port, std::string key) : port_(port), key_(std::move(key)) {}

  // What is asked for: "http://127.0.0.1:PORT/KEY/".
  [[nodiscard]] std::string url() const;

  struct Knock {
    std::string_view target;  // of the request, "/KEY/page.js"
    std::optional<std::string_view> host{};
    std::optional<std::string_view> origin{};
  };
  enum class Wants : std::uint8_t {
    file,    // GET or HEAD; a browser says no origin where it opens an address
    socket,  // WebSocket: a browser always says one
  };
  // The path below the key, "page.js", without a query. Errors: refused, saying what is wrong.
  [[nodiscard]] Result<std::string_view> open(const Knock& knock, Wants wants) const;

 private:
  const std::uint16_t port_;
  const std::string key_;
};

}  // namespace aloft::device
