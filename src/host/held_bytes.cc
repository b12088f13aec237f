#include "host/held_bytes.h"

#include <atomic>
#include <utility>

namespace aloft::host {

struct HeldBytes::Count {
  std::atomic<std::uint64_t> bytes = 0;
};

// Gives back what was added to the count for it.
struct HeldBytes::Counted {
  explicit Counted(std::shared_ptr<Count> in) : count(std::move(in)) {}
  ~Counted() { count->bytes.fetch_sub(bytes.size(), std::memory_order_relaxed); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  std::shared_ptr<Count> count;
  channel::Bytes bytes;
};

HeldBytes::HeldBytes(std::uint64_t limit) : limit_(limit), count_(std::make_shared<Count>()) {}

std::shared_ptr<channel::Bytes> HeldBytes::take(std::uint64_t size) {
  const std::uint64_t before = count_->bytes.fetch_add(size, std::memory_order_relaxed);
  if (size > limit_ || before > limit_ - size) {
    count_->bytes.fetch_sub(size, std::memory_order_relaxed);
    return nullptr;
  }
  return make(size);
}

std::shared_ptr<channel::Bytes> HeldBytes::take_all_the_same(std::uint64_t size) {
  count_->bytes.fetch_add(size, std::memory_order_relaxed);
  return make(size);
}

std::shared_ptr<channel::Bytes> HeldBytes::make(std::uint64_t size) {
  auto counted = std::make_shared<Counted>(count_);
  counted->bytes.resize(size);
  return {counted, &counted->bytes};
}

std::uint64_t HeldBytes::held() const { return count_->bytes.load(std::memory_order_relaxed); }

}  // namespace aloft::host
