// A policy decides for each call of an elastic function where it runs, and says why.
//
// Policies are small and pure: all they know is in the CallContext. Their reason goes to the log
// and to CallRecord.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace aloft {

enum class Place : std::uint8_t { here = 0, edge = 1 };  // on the UE, or on the edge host

[[nodiscard]] constexpr std::string_view to_string(Place place) {
  return place == Place::here ? "here" : "edge";
}

// A short text for people, held in place, so that a decision allocates nothing. What does not fit
// is cut off.
class Reason {
 public:
  static constexpr std::size_t kCapacity = 119;  // bytes

  constexpr Reason() = default;
  template <class Text>
    requires std::convertible_to<const Text&, std::string_view>
  constexpr explicit(false) Reason(const Text& text) {
    append(text);
  }

  constexpr Reason& append(std::string_view text) {
    const std::size_t taken = std::min(text.size(), kCapacity - size_);
    std::copy_n(text.begin(), taken, text_.begin() + size_);
    size_ = static_cast<std::uint8_t>(size_ + taken);
    return *this;
  }
  constexpr Reason& append(std::uint64_t number) {
    std::array<char, 20> digits{};
    std::size_t first = digits.size();
    do {
      digits[--first] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    return append(std::string_view(digits.data() + first, digits.size() - first));
  }

  [[nodiscard]] constexpr std::string_view view() const { return {text_.data(), size_}; }
  [[nodiscard]] constexpr bool empty() const { return size_ == 0; }

 private:
  std::array<char, kCapacity> text_{};
  std::uint8_t size_ = 0;
};

struct CallContext {
  std::string_view function;  // qualified name
  std::uint64_t number = 0;   // calls of this function before this one
  bool edge_ready = false;    // connected, module opened
};

struct Decision {
  Place place = Place::here;
  Reason reason;  // e.g. "every 50: calls 50..99 at the edge"
};

// Thread rule: decide() is called from any thread that makes a call, one at a time. It must not
// block, nor call an elastic function. It is pure: the same context, the same decision.
class Policy {
 public:
  virtual ~Policy() = default;
  [[nodiscard]] virtual Decision decide(const CallContext& context) const = 0;
};

// Always here.
[[nodiscard]] std::shared_ptr<Policy> local_policy();
// At the edge whenever it is ready, here otherwise.
[[nodiscard]] std::shared_ptr<Policy> remote_policy();
// Starts here and changes the place every `calls` calls (at least 1), as the paper's demonstration
// does. Here when no edge is ready.
[[nodiscard]] std::shared_ptr<Policy> every_policy(std::uint64_t calls);

}  // namespace aloft
