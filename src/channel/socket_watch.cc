#include "channel/socket_watch.h"

#include <sys/epoll.h>

namespace aloft::channel {

static_assert(EPOLLIN == 1 && EPOLLOUT == 4);

SocketWatch::SocketWatch(boost::asio::io_context& io, int socket)
    : epoll_(io, ::epoll_create1(EPOLL_CLOEXEC)), socket_(socket) {
  epoll_event none{};
  (void)::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, socket_, &none);
}

void SocketWatch::change(std::uint32_t interest, bool wanted) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t interests = wanted ? interests_ | interest : interests_ & ~interest;
  if (interests == interests_ || closed_) return;
  interests_ = interests;
  epoll_event event{};
  event.events = interests_;
  (void)::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, socket_, &event);
}

void SocketWatch::close() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(closed_, true)) return;
  boost::system::error_code ignored;
  epoll_.close(ignored);
}

}  // namespace aloft::channel
