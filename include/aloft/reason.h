// Where a call goes, and why: what a policy answers, and what logs, records and `aloft explain`
// tell.
//
// A reason is a code, or a policy's own words, with numbers. The text for people is made when it is
// asked for, so that a decision costs no more than a few stores.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace aloft {

enum class Place : std::uint8_t { here = 0, edge = 1 };  // on the UE, or on the edge host

[[nodiscard]] constexpr std::string_view to_string(Place place) {
  return place == Place::here ? "here" : "edge";
}

enum class ReasonCode : std::uint8_t {
  none,           // not decided yet
  asked_for,      // by the caller's PlaceScope
  unbound,        // no runtime is bound
  within_call,    // made within a tagged body
  with_object,    // a method: where its object is
  local_always,   // local_policy()
  remote_always,  // remote_policy()
  remote_not_ready,
  every_here,  // every_policy(): calls a span, the span's first and last call
  every_edge,
  every_not_ready,
  latency_here,  // min_latency_policy(): predicted there, at the other place, microseconds
  latency_edge,
  latency_keeps_here,  // the other place is not faster by enough to change for it
  latency_keeps_edge,
  latency_not_ready,
  learns_here,  // nothing is known of this place yet
  learns_edge,
  tries_here,  // an exploratory call: predicted there, and how long ago it was known, microseconds
  tries_edge,
  deadline_met_here,  // deadline_policy(): predicted (p90), deadline, microseconds
  deadline_met_edge,
  deadline_missed_here,  // no place is predicted to meet it, this one comes closest
  deadline_missed_edge,
  deadline_not_ready,
  cool_edge,  // cool_policy(): the processor's temperature, the limit, tenths of a degree Celsius
  cool_not_ready,
  cool_near,  // said beside another reason
  cool_no_sensor,
  energy_here,  // min_energy_policy(): predicted there, at the other place, microjoules
  energy_edge,
  energy_keeps_here,
  energy_keeps_edge,
  energy_not_ready,
  energy_model,  // said beside another reason: a model, not a sensor, says so
  other,         // a policy's own words
};

// Why a call goes where it goes. Numbers that a text shows: "{}" as they are, "{ms}" microseconds
// as milliseconds, "{C}" tenths of a degree Celsius (signed), "{mJ}" microjoules as millijoules.
class Reason {
 public:
  static constexpr std::size_t kNumbers = 3;
  using Numbers = std::array<std::uint64_t, kNumbers>;

  // Words of a policy's own, known when it is compiled; each gap in them stands for a number.
  class Words {
   public:
    template <std::size_t N>
    consteval explicit(false) Words(const char (&words)[N]) : words_(words) {}
    [[nodiscard]] constexpr const char* get() const { return words_; }

   private:
    const char* words_;
  };

  // For whoever keeps reasons in other shapes.
  struct Stored {
    ReasonCode code = ReasonCode::none;
    ReasonCode also = ReasonCode::none;
    const char* words = nullptr;
    Numbers numbers{};
    Numbers also_numbers{};
  };

  constexpr Reason() = default;
  constexpr explicit Reason(const Stored& stored) : stored_(stored) {}
  constexpr explicit(false) Reason(ReasonCode code, std::uint64_t first = 0,
                                   std::uint64_t second = 0, std::uint64_t third = 0)
      : stored_{.code = code, .numbers = {first, second, third}} {}
  template <std::size_t N>
  consteval explicit(false) Reason(const char (&words)[N])
      : stored_{.code = ReasonCode::other, .words = words} {}
  constexpr Reason(Words words, std::uint64_t first, std::uint64_t second = 0,
                   std::uint64_t third = 0)
      : stored_{
            .code = ReasonCode::other, .words = words.get(), .numbers = {first, second, third}} {}

  // This reason, and one more thing that counts: of a policy that asked another one.
  [[nodiscard]] constexpr Reason also(ReasonCode code, std::uint64_t first = 0,
                                      std::uint64_t second = 0, std::uint64_t third = 0) const {
    Reason both = *this;
    both.stored_.also = code;
    both.stored_.also_numbers = {first, second, third};
    return both;
  }

  [[nodiscard]] constexpr ReasonCode code() const { return stored_.code; }
  [[nodiscard]] constexpr const Numbers& numbers() const { return stored_.numbers; }
  // As it stands in the code; null without words of its own.
  [[nodiscard]] constexpr const char* words() const { return stored_.words; }
  [[nodiscard]] constexpr const Stored& stored() const { return stored_; }
  // For people, e.g. "every 50: calls 50..99 at the edge".
  [[nodiscard]] std::string text() const;

  friend constexpr bool operator==(const Reason& a, const Reason& b) {
    return a.stored_.code == b.stored_.code && a.stored_.also == b.stored_.also &&
           a.stored_.words == b.stored_.words && a.stored_.numbers == b.stored_.numbers &&
           a.stored_.also_numbers == b.stored_.also_numbers;
  }

 private:
  Stored stored_;
};

}  // namespace aloft
