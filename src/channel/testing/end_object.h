// What a module does in tests of the ends of elastic channels: a number that depends on all calls
// in their order, so that one that is lost, doubled or out of order shows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "channel/end_message.h"

namespace aloft::channel::testing {

inline SharedBytes bytes_of(std::uint64_t number) {
  Bytes bytes(sizeof number);
  std::memcpy(bytes.data(), &number, sizeof number);
  return std::make_shared<const Bytes>(std::move(bytes));
}
inline std::uint64_t number_of(const SharedBytes& bytes) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes->data(), std::min(sizeof number, bytes->size()));
  return number;
}

enum Method : std::uint32_t {
  kAdd,    // folds the argument into the state, answers what it is then
  kTrap,   // spoils the state, then traps
  kRefuse  // fails without an effect
};

// What the module does: the number of calls and a number that depends on all of them in their
// order, over a state as large as the test likes.
class Object {
 public:
  explicit Object(std::size_t size = 64) : state_(std::max<std::size_t>(size, 32)) {}

  std::uint64_t add(std::uint64_t argument) {
    const std::uint64_t calls = read(0) + 1;
    const std::uint64_t value = read(8) * 31 + argument;
    write(0, calls);
    write(8, value);
    // Somewhere else each time, the last bytes too.
    write((calls % 7) * ((state_.size() - 8) / 6 / 8 * 8) % (state_.size() - 8 - 16) + 16, value);
    write(state_.size() - 8, value);
    return value;
  }
  void spoil() { write(8, 0xbad); }
  [[nodiscard]] std::uint64_t calls() const { return read(0); }
  [[nodiscard]] const Bytes& state() const { return state_; }
  void load(const Bytes& state) { state_ = state; }

 private:
  [[nodiscard]] std::uint64_t read(std::size_t at) const {
    std::uint64_t value = 0;
    std::memcpy(&value, &state_[at], sizeof value);
    return value;
  }
  void write(std::size_t at, std::uint64_t value) {
    std::memcpy(&state_[at], &value, sizeof value);
  }

  Bytes state_;
};

}  // namespace aloft::channel::testing
