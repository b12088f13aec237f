// An elastic object, and functions with effects: see calls_test.cc and object_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <aloft/object.h>

namespace calls {

class ALOFT_OFFLOAD_OBJECT Counter {
 public:
  struct Entry {
    std::string name;
    std::vector<float> weights;
    std::optional<std::int64_t> mark;
    bool operator==(const Entry&) const = default;
  };

  Counter() = default;
  explicit Counter(std::int64_t first) : total_(first) {}

  ALOFT_OFFLOAD std::int64_t add(std::int64_t by = 1);
  ALOFT_OFFLOAD std::int64_t add(const std::string& name, std::vector<float> weights);
  // Calls add(), which stays in place there.
  ALOFT_OFFLOAD std::int64_t add_twice(std::int64_t by);
  ALOFT_OFFLOAD std::int64_t total() const;
  ALOFT_OFFLOAD std::vector<Entry> entries() const;
  ALOFT_OFFLOAD void clear();
  // The bits of sums that contraction or reordering would change.
  ALOFT_OFFLOAD double mix(std::span<const double> values);
  ALOFT_OFFLOAD void resize(std::size_t bytes);
  ALOFT_OFFLOAD int gives_up(int x);

  // Not offloaded.
  std::int64_t add_untagged(std::int64_t by) { return add(by); }

 private:
  std::int64_t total_ = 0;
  std::size_t calls_ = 0;
  std::vector<Entry> entries_;
  std::map<std::string, std::uint32_t> seen_;
  double mixed_ = 0.5;
  std::vector<std::uint8_t> bulk_;
  ALOFT_STATE(total_, calls_, entries_, seen_, mixed_, bulk_)
};

// Another class of the same module.
class ALOFT_OFFLOAD_OBJECT Switch {
 public:
  ALOFT_OFFLOAD bool flip();

 private:
  bool on_ = false;
  ALOFT_STATE(on_)
};

ALOFT_OFFLOAD_ONCE int draw(int x);
ALOFT_OFFLOAD_ONCE void announce(const std::string& text);

// Not offloaded.
std::int64_t count_in_same_file(Counter& counter);
std::int64_t count_in_other_file(Counter& counter);
std::int64_t count_in_static_library(Counter& counter);

}  // namespace calls
