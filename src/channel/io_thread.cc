#include "channel/io_thread.h"

#include <pthread.h>
#include <signal.h>

#include "channel/io_thread_impl.h"

namespace aloft::channel {

IoThread::IoThread() : impl_(std::make_unique<Impl>()) {
  // Signals are for the program's other threads; but not those that say what a thread itself does.
  // A callback may start threads, which inherit the mask, and a guest's trap in one of them is a
  // SIGILL or SIGSEGV: blocked, it would end the process.
  sigset_t others;
  sigset_t before;
  sigfillset(&others);
  for (const int own : {SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP, SIGABRT}) sigdelset(&others, own);
  pthread_sigmask(SIG_SETMASK, &others, &before);
  impl_->thread = std::thread([impl = impl_.get()] {
    pthread_setname_np(pthread_self(), "aloft-io");
    impl->context.run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

IoThread::~IoThread() {
  impl_->context.stop();
  impl_->thread.join();
}

}  // namespace aloft::channel
