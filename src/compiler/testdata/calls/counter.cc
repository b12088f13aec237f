#include "counter.h"

#include <cstdio>
#include <utility>

#include <aloft/offload.h>

namespace calls {

std::int64_t count_in_same_file(Counter& counter) { return counter.add(10) + counter.add_untagged(100); }

std::int64_t Counter::add(std::int64_t by) {
  ++calls_;
  return total_ += by;
}

std::int64_t Counter::add(const std::string& name, std::vector<float> weights) {
  const std::uint32_t times = ++seen_[name];
  entries_.push_back({name, std::move(weights), times > 1 ? std::optional<std::int64_t>(times) : std::nullopt});
  return add(1);
}

std::int64_t Counter::total() const { return total_; }
std::vector<Counter::Entry> Counter::entries() const { return entries_; }

double Counter::mix(std::span<const double> values) {
  for (const double value : values) mixed_ = mixed_ * 0.75 + value * 1.1;
  return mixed_;
}

void Counter::resize(std::size_t bytes) {
  for (std::size_t i = bulk_.size(); i < bytes; ++i) bulk_.push_back(static_cast<std::uint8_t>(i * i));
  bulk_.resize(bytes);
}

int Counter::gives_up(int x) {
  total_ += x;
  if (x > 0) aloft::abort_call("no use: " + std::to_string(x));
  return x;
}

bool Switch::flip() { return on_ = !on_; }

int draw(int x) { return x + 1; }
void announce(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

}  // namespace calls
