// Tells the I/O thread when a socket is readable or writable, and can be told by any thread what of
// that is of interest.
//
// The reactor of Asio wakes its thread for every byte that comes to a socket of it, wanted or not.
// Here the socket is in an epoll of its own, which is all that the reactor sees: while another
// thread reads the socket itself, the I/O thread sleeps.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace aloft::channel {

// Thread rule: read() and write() any thread; the rest the I/O thread.
class SocketWatch {
 public:
  // `socket` is borrowed, and interests nobody at first.
  SocketWatch(boost::asio::io_context& io, int socket);

  void read(bool wanted) { change(kRead, wanted); }
  void write(bool wanted) { change(kWrite, wanted); }

  // Calls `handler(error)` once, as soon as something of interest is so. It may be so no more then.
  template <class Handler>
  void wait(Handler handler) {
    epoll_.async_wait(boost::asio::posix::stream_descriptor::wait_read, std::move(handler));
  }
  void close();

 private:
  static constexpr std::uint32_t kRead = 1;
  static constexpr std::uint32_t kWrite = 4;
  void change(std::uint32_t interest, bool wanted);

  boost::asio::posix::stream_descriptor epoll_;
  int socket_;
  std::mutex mutex_;
  std::uint32_t interests_ = 0;
  bool closed_ = false;
};

}  // namespace aloft::channel
