// Threads for requests that wait for a store or a host, so that gRPC's own never do. What waits for
// a thread is bounded; beyond that the answer is `overloaded`, at once.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

namespace aloft::cluster {

// Thread rule: any thread.
class Pool {
 public:
  Pool(std::size_t threads, std::size_t max_waiting)
      : max_(threads + max_waiting), threads_(threads) {}
  ~Pool() { end(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // False: too many wait.
  template <class Function>
  [[nodiscard]] bool post(Function function) {
    if (busy_.fetch_add(1) >= max_) {
      busy_.fetch_sub(1);
      return false;
    }
    boost::asio::post(threads_, [this, function = std::move(function)]() mutable {
      function();
      busy_.fetch_sub(1);
    });
    return true;
  }
  // Waits for all that was posted.
  void end() { threads_.join(); }

 private:
  const std::size_t max_;
  std::atomic<std::size_t> busy_ = 0;
  boost::asio::thread_pool threads_;
};

}  // namespace aloft::cluster
