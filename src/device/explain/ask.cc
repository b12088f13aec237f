#include "device/explain/ask.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "ops/user_socket.h"

namespace aloft::device {
namespace {

constexpr std::size_t kLargest = 16U << 20U;  // of an answer

}  // namespace

std::string_view socket_kind(About about) {
  return about == About::decisions ? "sock" : "timeline";
}

std::filesystem::path explain_socket(const std::filesystem::path& folder, pid_t pid, About about) {
  return ops::user_socket(folder, pid, socket_kind(about));
}

std::vector<pid_t> explained_processes() {
  return ops::processes_with(ops::user_folder(), socket_kind(About::decisions));
}

Result<std::string> ask_to_explain(pid_t pid, About about, std::chrono::milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  const std::filesystem::path socket = explain_socket(ops::user_folder(), pid, about);
  const auto unreachable = [&](const std::string& why) {
    return fail(Errc::unreachable, "nobody explains at " + socket.string() + ": " + why);
  };
  const auto connection = ops::connect_to(socket);
  if (!connection) return std::unexpected(connection.error());
  std::string text;
  std::array<char, 16384> room;
  for (;;) {
    const ssize_t size = ::read(connection->get(), room.data(), room.size());
    if (size == 0) return text;
    if (size > 0) {
      text.append(room.data(), static_cast<std::size_t>(size));
      if (text.size() > kLargest) return fail(Errc::protocol, "it explains without end");
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return unreachable(std::strerror(errno));
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd waiting{connection->get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0)
      return unreachable("it does not answer");
  }
}

}  // namespace aloft::device
