#include "device/explain/folder.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "device/explain/unix_address.h"

namespace aloft::device {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".sock";
constexpr std::size_t kLargest = 16U << 20U;  // of an answer

}  // namespace

fs::path explain_folder() {
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && runtime[0] == '/') return fs::path(runtime) / "aloft";
  return "/tmp/aloft-" + std::to_string(::geteuid());
}

Result<fs::path> make_explain_folder() {
  const fs::path folder = explain_folder();
  (void)::mkdir(folder.c_str(), S_IRWXU);
  struct stat found = {};
  // A link of somebody else's would lead elsewhere.
  if (::lstat(folder.c_str(), &found) != 0) {
    return fail(Errc::refused,
                "cannot make the folder " + folder.string() + ": " + std::strerror(errno));
  }
  if (!S_ISDIR(found.st_mode) || found.st_uid != ::geteuid() ||
      (found.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail(Errc::refused, folder.string() +
                                   " is not a folder of this user's alone (mode 0700): remove it, "
                                   "or set XDG_RUNTIME_DIR to a folder that is");
  }
  return folder;
}

fs::path explain_socket(const fs::path& folder, pid_t pid) {
  return folder / (std::to_string(pid) + std::string(kSuffix));
}

fs::path timeline_socket(const fs::path& folder, pid_t pid) {
  return folder / (std::to_string(pid) + ".timeline");
}

std::vector<pid_t> explained_processes(const fs::path& folder) {
  std::vector<pid_t> processes;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (!name.ends_with(kSuffix)) continue;
    name.resize(name.size() - kSuffix.size());
    pid_t pid = 0;
    const auto [last, wrong] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (wrong == std::errc() && last == name.data() + name.size()) processes.push_back(pid);
  }
  std::ranges::sort(processes);
  return processes;
}

Result<std::string> ask_to_explain(const fs::path& socket, std::chrono::milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  const auto unreachable = [&](const std::string& why) {
    return fail(Errc::unreachable, "nobody explains at " + socket.string() + ": " + why);
  };
  const auto address = unix_address(socket);
  if (!address) return std::unexpected(address.error());
  const Descriptor connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connection || ::connect(connection.get(), reinterpret_cast<const sockaddr*>(&*address),
                               sizeof *address) != 0) {
    return unreachable(std::strerror(errno));
  }
  std::string text;
  std::array<char, 16384> room;
  for (;;) {
    const ssize_t size = ::read(connection.get(), room.data(), room.size());
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
    pollfd waiting{connection.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0)
      return unreachable("it does not answer");
  }
}

}  // namespace aloft::device
