// The world of a drive: a device and an edge, each a real program on a host of its own (netns.h),
// and between them a link whose rate, delay and outages are set while they run.
//
//   device  --  veth, bridge and token buckets  --  relay (delay), edge
//
// The device program is device_main.cc, held to a share of a core; the edge is an aloft-exec.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "frame.h"
#include "support/demo.h"
#include "support/netns.h"
#include "support/process.h"
#include "support/relay.h"
#include "support/temp_dir.h"
#include <aloft/result.h>

namespace aloft::drive {

enum class Carries : std::uint8_t {
  everything,
  nothing,          // a cable that was pulled: not a packet comes through
  nothing_onwards,  // the relay falls silent: bytes are taken, and go nowhere
};

// How the link is.
struct Link {
  std::uint64_t bits_per_second = 500'000'000;
  std::chrono::milliseconds one_way{2};  // beside what bytes need and wait
  Carries carries = Carries::everything;
};

struct WorldOptions {
  std::string video;
  std::filesystem::path model;
  std::string policy = "min_latency";
  std::string codec = "raw";  // or "auto"
  int hold_percent = 30;      // of a core, for the device; 100: not held
  std::size_t images = 60;    // of the video
  // After so many frames that the policy decides, one for each fixed choice; 0: none.
  std::uint64_t fixed_after = 0;
};

// Thread rule: the thread that made it, which has to outlive it.
class World {
 public:
  // Why there can be none on this machine.
  [[nodiscard]] static std::optional<std::string> what_is_missing();

  // Both run, and have found each other over this link. The calling thread is on the device's host
  // from then on. Errors: what did not start, and why.
  [[nodiscard]] static Result<std::unique_ptr<World>> make(const WorldOptions& options,
                                                           const Link& link);

  [[nodiscard]] Result<void> set(const Link& link);

  // The device's next line; none: it wrote none within `limit`, or has ended.
  [[nodiscard]] std::optional<Frame> next(std::chrono::milliseconds limit);
  // Ends the device; its last frames. Errors: internal, with what it wrote, where it does not end
  // well.
  [[nodiscard]] Result<std::vector<Frame>> end();

  // What device and edge wrote, for the message of a failure.
  [[nodiscard]] std::string transcript() const;

 private:
  World(testing::Network network, testing::DemoEdge edge, std::unique_ptr<testing::Relay> relay,
        std::unique_ptr<testing::TempDir> cache)
      : cache_(std::move(cache)),
        network_(std::move(network)),
        edge_(std::move(edge)),
        relay_(std::move(relay)) {}

  std::unique_ptr<testing::TempDir> cache_;
  testing::Network network_;
  testing::DemoEdge edge_;
  std::unique_ptr<testing::Relay> relay_;
  std::optional<testing::Process> device_;
  Link link_{.bits_per_second = 0};
};

// What is found in the images, by digest_of(), computed in this process.
[[nodiscard]] Result<std::vector<std::string>> digests_of_images(const WorldOptions& options);

}  // namespace aloft::drive
