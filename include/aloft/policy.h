// A policy decides for each call of an elastic function where it runs, and says why.
//
// Policies are small and pure: all they know is in the CallContext. Their reason goes to the log
// and to CallRecord.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
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
  other,  // a policy's own words
};

// Why a call goes where it goes: a code, or a policy's own words, and up to three numbers. The text
// for people is made when it is asked for, so that a decision costs no more than a few stores.
class Reason {
 public:
  // Words of a policy's own, known when it is compiled; each "{}" in them stands for a number.
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
    const char* words = nullptr;
    std::array<std::uint64_t, 3> numbers{};
  };

  constexpr Reason() = default;
  constexpr explicit Reason(const Stored& stored)
      : code_(stored.code), words_(stored.words), numbers_(stored.numbers) {}
  constexpr explicit(false) Reason(ReasonCode code, std::uint64_t first = 0,
                                   std::uint64_t second = 0, std::uint64_t third = 0)
      : code_(code), numbers_{first, second, third} {}
  template <std::size_t N>
  consteval explicit(false) Reason(const char (&words)[N])
      : code_(ReasonCode::other), words_(words) {}
  constexpr Reason(Words words, std::uint64_t first, std::uint64_t second = 0,
                   std::uint64_t third = 0)
      : code_(ReasonCode::other), words_(words.get()), numbers_{first, second, third} {}

  [[nodiscard]] constexpr ReasonCode code() const { return code_; }
  [[nodiscard]] constexpr const std::array<std::uint64_t, 3>& numbers() const { return numbers_; }
  // As it stands in the code; null without words of its own.
  [[nodiscard]] constexpr const char* words() const { return words_; }
  // For people, e.g. "every 50: calls 50..99 at the edge".
  [[nodiscard]] std::string text() const;

  friend constexpr bool operator==(const Reason&, const Reason&) = default;

 private:
  ReasonCode code_ = ReasonCode::none;
  const char* words_ = nullptr;
  std::array<std::uint64_t, 3> numbers_{};
};

struct CallContext {
  std::string_view function;  // qualified name
  std::uint64_t number = 0;   // calls of this function before this one
  bool edge_ready = false;    // at least one is: connected, module opened
};

struct Decision {
  Place place = Place::here;
  Reason reason;
};

// Thread rule: decide() is called from any thread that makes a call, several at once. It must not
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
