// The address of a socket in the file system.
#pragma once

#include <cstring>
#include <filesystem>
#include <string>

#include <sys/socket.h>
#include <sys/un.h>

#include <aloft/result.h>

namespace aloft::device {

// Errors: invalid_argument (the path is longer than such an address can be).
[[nodiscard]] inline Result<sockaddr_un> unix_address(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof address.sun_path)
    return fail(Errc::invalid_argument, "too long for the path of a socket: " + text);
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  return address;
}

}  // namespace aloft::device
