#include "device/explain/socket.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ops/user_socket.h"

namespace aloft::device {

using std::chrono::steady_clock;

Result<std::unique_ptr<ExplainSocket>> ExplainSocket::listen(About about,
                                                             std::function<std::string()> explain) {
  const auto folder = ops::make_user_folder();
  if (!folder) return std::unexpected(folder.error());
  std::filesystem::path path = explain_socket(*folder, ::getpid(), about);
  auto listening = ops::listen_for_user(*folder, ::getpid(), socket_kind(about));
  if (!listening) return std::unexpected(listening.error());
  WakeUp stop;
  if (!stop)
    return fail(Errc::refused,
                std::string("nothing is left to be woken by: ") + std::strerror(errno));
  return std::unique_ptr<ExplainSocket>(new ExplainSocket(std::move(path), *std::move(listening),
                                                          std::move(stop), std::move(explain)));
}

ExplainSocket::ExplainSocket(std::filesystem::path path, Descriptor listening, WakeUp stop,
                             std::function<std::string()> explain)
    : path_(std::move(path)),
      listening_(std::move(listening)),
      stop_(std::move(stop)),
      explain_(std::move(explain)),
      thread_([this] { serve(); }) {}

ExplainSocket::~ExplainSocket() {
  stop_.wake();
  thread_.join();
  (void)::unlink(path_.c_str());
}

void ExplainSocket::serve() {
  std::array<pollfd, 2> waiting{{{listening_.get(), POLLIN, 0}, {stop_.descriptor(), POLLIN, 0}}};
  for (;;) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents != 0) return;
    if (waiting[0].revents == 0) continue;
    const Descriptor connection(
        ::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) answer(connection.get());
  }
}

void ExplainSocket::answer(int connection) const {
  const std::string text = explain_();
  const auto until = steady_clock::now() + kPatience;
  std::array<pollfd, 2> waiting{{{connection, POLLOUT, 0}, {stop_.descriptor(), POLLIN, 0}}};
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t size = ::send(connection, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (size > 0) {
      sent += static_cast<std::size_t>(size);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now());
    if (left.count() <= 0 ||
        ::poll(waiting.data(), waiting.size(), static_cast<int>(left.count())) <= 0)
      return;
    if (waiting[1].revents != 0) return;
  }
}

}  // namespace aloft::device
