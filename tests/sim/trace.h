// What happened in a run, a line an event: for a person when asked for, as a fingerprint always, so
// that a test can say that two runs were the same.
#pragma once

#include <cstdint>
#include <iomanip>
#include <ostream>
#include <string_view>

#include "channel/end_message.h"
#include "random.h"

namespace aloft::sim {

class Trace {
 public:
  explicit Trace(std::ostream* out) : out_(out) {}

  // `what` is a literal; the numbers belong to the words of it that end with '='.
  template <class... Number>
  void note(Time now, std::string_view what, Number... numbers) {
    fingerprint_ = mix(fingerprint_ ^ static_cast<std::uint64_t>(now.time_since_epoch().count()));
    fingerprint_ = mix(fingerprint_ ^ what.size());
    ((fingerprint_ = mix(fingerprint_ ^ static_cast<std::uint64_t>(numbers))), ...);
    if (out_ == nullptr) return;
    begin(now);
    ((word(what) << static_cast<std::uint64_t>(numbers)), ...);
    *out_ << what << '\n';
  }

  // A message that goes or comes: "-> 2  e5 Deliver 17".
  void message(Time now, std::string_view arrow, std::uint32_t place,
               const channel::EndMessage& message);

  // For people alone.
  void text(Time now, std::string_view what) {
    if (out_ == nullptr) return;
    begin(now);
    *out_ << what << '\n';
  }
  [[nodiscard]] bool on() const { return out_ != nullptr; }
  [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }

 private:
  void begin(Time now) {
    const auto ns = now.time_since_epoch().count();
    *out_ << std::setw(12) << ns / 1000 << " us  ";
  }
  // Writes up to and with the next '='.
  std::ostream& word(std::string_view& what) {
    const std::size_t end = what.find('=') + 1;
    *out_ << what.substr(0, end);
    what.remove_prefix(end);
    return *out_;
  }

  std::ostream* out_;
  std::uint64_t fingerprint_ = 0;
};

}  // namespace aloft::sim
