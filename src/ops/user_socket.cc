#include "ops/user_socket.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace aloft::ops {
namespace {

namespace fs = std::filesystem;

constexpr int kBacklog = 8;

Result<sockaddr_un> address_of(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof address.sun_path)
    return fail(Errc::invalid_argument, "too long for the path of a socket: " + text);
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  return address;
}

// A process that is not there may be one of another container that shares the folder: then somebody
// listens all the same.
bool is_deserted(const fs::path& socket, pid_t process) {
  if (::kill(process, 0) == 0 || errno != ESRCH) return false;
  const auto address = address_of(socket);
  const Descriptor asking(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return address && asking &&
         ::connect(asking.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) !=
             0 &&
         errno == ECONNREFUSED;
}

}  // namespace

fs::path user_folder() {
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && runtime[0] == '/') return fs::path(runtime) / "aloft";
  return "/tmp/aloft-" + std::to_string(::geteuid());
}

Result<fs::path> make_user_folder() {
  const fs::path folder = user_folder();
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

fs::path user_socket(const fs::path& folder, pid_t pid, std::string_view kind) {
  return folder / (std::to_string(pid) + "." + std::string(kind));
}

std::vector<pid_t> processes_with(const fs::path& folder, std::string_view kind) {
  std::vector<pid_t> processes;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos || std::string_view(name).substr(dot + 1) != kind) continue;
    pid_t pid = 0;
    const auto [last, wrong] = std::from_chars(name.data(), name.data() + dot, pid);
    if (wrong == std::errc() && last == name.data() + dot) processes.push_back(pid);
  }
  std::ranges::sort(processes);
  return processes;
}

Result<Descriptor> listen_for_user(const fs::path& folder, pid_t pid, std::string_view kind) {
  const fs::path socket = user_socket(folder, pid, kind);
  // It gets its name when it listens: one that does not, nobody will ever listen at again.
  const fs::path unnamed = folder / ("." + socket.filename().string());
  const auto address = address_of(unnamed);
  if (!address) return std::unexpected(address.error());
  (void)::unlink(unnamed.c_str());  // of a process of this number that did not end well
  Descriptor listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listening ||
      ::bind(listening.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
      ::chmod(unnamed.c_str(), S_IRUSR | S_IWUSR) != 0 ||
      ::listen(listening.get(), kBacklog) != 0 || ::rename(unnamed.c_str(), socket.c_str()) != 0) {
    return fail(Errc::refused, "cannot listen at " + socket.string() + ": " + std::strerror(errno));
  }
  for (const pid_t other : processes_with(folder, kind)) {
    const fs::path left = user_socket(folder, other, kind);
    if (is_deserted(left, other)) (void)::unlink(left.c_str());
  }
  return listening;
}

Result<Descriptor> connect_to(const fs::path& socket) {
  const auto address = address_of(socket);
  if (!address) return std::unexpected(address.error());
  Descriptor connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connection || ::connect(connection.get(), reinterpret_cast<const sockaddr*>(&*address),
                               sizeof *address) != 0) {
    return fail(Errc::unreachable,
                "nobody listens at " + socket.string() + ": " + std::strerror(errno));
  }
  return connection;
}

}  // namespace aloft::ops
