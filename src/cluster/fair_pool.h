// Threads for work that may take long through its owner's own doing: no owner has more than a part
// of them at a time, so that one whose work does not end leaves the others some. What an owner has
// beyond its part waits in a line of its own, of a bounded length.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

namespace aloft::cluster {

// Thread rule: any thread.
class FairPool {
 public:
  using Work = std::move_only_function<void()>;

  // `part`: of the threads, at least 1, for one owner; `max_waiting`: of one owner.
  FairPool(std::size_t threads, std::size_t part, std::size_t max_waiting)
      : part_(part), max_waiting_(max_waiting), threads_(threads) {}
  ~FairPool() { end(); }
  FairPool(const FairPool&) = delete;
  FairPool& operator=(const FairPool&) = delete;

  // False: too much of this owner's waits.
  [[nodiscard]] bool post(const std::string& owner, Work work) {
    const std::scoped_lock lock(mutex_);
    Owner& its = owners_[owner];
    if (its.threads == part_ && its.waiting.size() - its.posted >= max_waiting_) return false;
    its.waiting.push_back(std::move(work));
    if (its.threads < part_) {
      ++its.threads;
      run_next(owner, its);
    }
    return true;
  }
  // Waits for all that was posted.
  void end() { threads_.join(); }

 private:
  struct Owner {
    std::size_t threads = 0;  // that it has, or will have when it is its turn
    std::size_t posted = 0;   // of these, waiting for their turn; each takes one of `waiting`
    std::deque<Work> waiting;
  };

  // Behind what all others have posted: owners take turns. With the mutex held.
  void run_next(const std::string& owner, Owner& its) {
    ++its.posted;
    boost::asio::post(threads_, [this, owner] {
      Work work;
      {
        const std::scoped_lock lock(mutex_);
        Owner& here = owners_[owner];
        --here.posted;
        work = std::move(here.waiting.front());
        here.waiting.pop_front();
      }
      work();
      const std::scoped_lock lock(mutex_);
      const auto here = owners_.find(owner);
      if (here->second.waiting.size() > here->second.posted) return run_next(owner, here->second);
      if (--here->second.threads == 0) owners_.erase(here);
    });
  }

  const std::size_t part_;
  const std::size_t max_waiting_;
  std::mutex mutex_;
  std::map<std::string, Owner> owners_;
  boost::asio::thread_pool threads_;
};

}  // namespace aloft::cluster
