#include <future>
#include <mutex>
#include <thread>

#include <aloft/offload.h>

namespace {

std::mutex mutex;

}  // namespace

ALOFT_OFFLOAD int locks(int x) {
  const std::lock_guard lock(mutex);
  return x;
}

ALOFT_OFFLOAD int starts(int x) {
  std::thread thread([] {});
  thread.join();
  return x;
}

ALOFT_OFFLOAD int waits(int x) {
  return std::async([x] { return x; }).get();
}
