// What a daemon answers over plain HTTP on this machine, as whoever operates it would ask.
#pragma once

#include <string>

namespace aloft::testing {

struct HttpAnswer {
  unsigned status = 0;  // 0: nobody answers there
  std::string body;
  [[nodiscard]] bool operator==(const HttpAnswer&) const = default;
};

[[nodiscard]] HttpAnswer http_get(const std::string& port, const std::string& path);

}  // namespace aloft::testing
