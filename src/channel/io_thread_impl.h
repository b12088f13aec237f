// What an IoThread is made of; only for the sources of this folder.
#pragma once

#include <latch>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "channel/io_thread.h"

namespace aloft::channel {

struct IoThread::Impl {
  boost::asio::io_context context{1};  // one thread runs it
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
      context.get_executor()};
  std::thread thread;

  // Runs `task` on the I/O thread and waits for its end: what an object's destructor does, so that
  // no callback runs after it. From the I/O thread itself it runs at once.
  template <class Task>
  void run(Task task) {
    if (context.get_executor().running_in_this_thread()) {
      task();
      return;
    }
    std::latch done(1);
    boost::asio::post(context, [&] {
      task();
      done.count_down();
    });
    done.wait();
  }
};

}  // namespace aloft::channel
