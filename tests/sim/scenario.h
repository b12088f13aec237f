// What a run is about: drawn from its seed, once, before anything happens.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "channel/fixed_end.h"
#include "random.h"

namespace aloft::sim {

using channel::PlaceIndex;

enum class Plot : std::uint8_t { stateful, stateless, latest, deadline, once, call };
inline constexpr std::array<std::string_view, 6> kPlotNames{"stateful", "stateless", "latest",
                                                            "deadline", "once",      "call"};
[[nodiscard]] inline std::string_view to_string(Plot plot) {
  return kPlotNames[static_cast<std::size_t>(plot)];
}
[[nodiscard]] std::optional<Plot> plot_of(std::string_view name);

// How often, in 1000, something goes wrong when it could.
struct Rates {
  std::uint64_t strike = 0;      // a fault just after a message that begins or ends a step was sent
  std::uint64_t load = 0;        // a state cannot be loaded
  std::uint64_t save = 0;        // or saved
  std::uint64_t attach = 0;      // an attachment cannot be made
  std::uint64_t slow = 0;        // a run takes long
  std::uint64_t trap = 0;        // a message traps, everywhere
  std::uint64_t trap_kills = 0;  // and takes the object along
  std::uint64_t checkpoint = 0;  // the application asks for one
  std::uint64_t repeat = 0;      // a connection says something twice
  std::uint64_t failure = 0;     // a run fails once, at one place, for its time was up
};

struct Scenario {
  Plot plot = Plot::stateful;
  channel::FixedEndOptions options;
  std::uint32_t edges = 2;
  std::size_t messages = 60;        // the application tries to send
  Duration send_gap{};              // at most, between two
  std::size_t largest_message = 0;  // bytes of padding
  bool cancels = false;
  bool takes_here = false;         // the application runs some messages by itself
  std::uint64_t bad_versions = 0;  // bit n: version n of the module cannot load a state
  std::uint32_t versions = 1;      // of the module, that moves ask for
  Duration move_gap{};             // at most, between two requests; 0: none
  Duration fault_gap{};            // at most, between two faults; 0: none
  Duration grace{};                // of an attachment without a connection
  Duration delay{};                // of a connection, one way, at most
  std::array<Duration, 3> lag{};   // of each stream of a connection, besides
  Duration run_time{};             // of a message, at most
  std::uint64_t bytes_per_ms = 0;  // of a connection
  bool close_amid = false;         // closed while things go on, not when all has ended
  Rates rates;
};

// `forced`: the plot is this one, whatever the seed would say; all else is drawn as ever.
[[nodiscard]] Scenario draw(Random& random, std::optional<Plot> forced);

}  // namespace aloft::sim
