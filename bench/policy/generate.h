// Traces made of published figures, each the same whenever it is made from the same seed.
//
//   Wi-Fi    round trip over the radio: median 3 ms, 90 % within 20 ms, 99 % within 250 ms
//            (K. Sui et al., "Characterizing and Improving WiFi Latency in Large-Scale Operational
//            Networks", MobiSys 2016)
//   LTE      median uplink 6 Mbit/s, downlink 13 Mbit/s, round trip about 70 ms (J. Huang et al.,
//            "A Close Examination of Performance and Power Characteristics of 4G LTE Networks",
//            MobiSys 2012); on the move it swings by a factor of several within a minute and breaks
//            off (J. van der Hooft et al., 4G/LTE Bandwidth Logs, Ghent 2016; D. Raca et al.,
//            "Beyond Throughput: a 4G LTE Dataset", MMSys 2018)
//   5G       a hand-over holds traffic up by 108 ms between 5G cells, by 80 ms from 5G to 4G, by
//            30 ms between 4G cells; uplink around 100 Mbit/s (D. Xu et al., "Understanding
//            Operational 5G", SIGCOMM 2020); millimetre waves are lost behind bodies and buildings
//            (A. Narayanan et al., "A First Look at Commercial 5G Performance on Smartphones",
//            WWW 2020)
//
// What these do not say is ours: how long a link stays good or bad (seconds to tens of seconds),
// how loaded device and edge are, and for how long (phases of half a minute and more).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "conditions.h"

namespace aloft::bench {

// Names of all there are.
[[nodiscard]] std::span<const std::string_view> scenarios();

// `seconds` of it. The name must be one of scenarios().
[[nodiscard]] Trace generate(std::string_view scenario, std::uint64_t seed, double seconds);

}  // namespace aloft::bench
