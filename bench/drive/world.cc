#include "world.h"

#include <csignal>
#include <thread>
#include <utility>

#include "detect.aloft.h"
#include "detect.h"
#include "edge_link.h"
#include "test_paths.h"
#include "video.h"
#include <aloft/runtime.h>

namespace aloft::drive {
namespace {

using namespace std::chrono_literals;
using testing::Network;

constexpr auto kStarts = 120s;
constexpr auto kEnds = 60s;

// Its thread stays where the one that makes it is.
Result<std::unique_ptr<testing::Relay>> relay_on(const Network& network, const std::string& host,
                                                 const testing::RelayPlace& place) {
  std::unique_ptr<testing::Relay> relay;
  Result<void> entered{};
  std::thread([&] {
    entered = network.enter(host);
    if (entered) relay = std::make_unique<testing::Relay>(place);
  }).join();
  if (!entered) return std::unexpected(entered.error());
  return relay;
}

}  // namespace

std::optional<std::string> World::what_is_missing() { return Network::what_is_missing(); }

Result<std::unique_ptr<World>> World::make(const WorldOptions& options, const Link& link) {
  auto network = Network::make();
  if (!network) return std::unexpected(network.error());
  for (const char* const host : {"device", "edge"}) {
    if (auto added = network->add_host(host); !added) return std::unexpected(added.error());
  }
  auto cache = std::make_unique<testing::TempDir>();
  const std::string edge_address = network->address("edge");
  testing::EdgeOptions at_edge;
  at_edge.cache = cache->path();
  at_edge.host = edge_address;
  at_edge.arguments = {"--insecure"};
  at_edge.on = [&](std::vector<std::string> command) {
    return network->command("edge", std::move(command));
  };
  auto edge = testing::DemoEdge::start(at_edge);
  if (!edge) return std::unexpected(edge.error());
  auto relay =
      relay_on(*network, "edge",
               {.listen = edge_address, .server = edge_address, .server_port = edge->port()});
  if (!relay) return std::unexpected(relay.error());
  const std::string address = edge_address + ":" + std::to_string((*relay)->port());
  std::unique_ptr<World> world(
      new World(*std::move(network), *std::move(edge), *std::move(relay), std::move(cache)));
  if (auto set = world->set(link); !set) return std::unexpected(set.error());
  // Not by Network::command: `ip netns exec` hides the control groups, which hold the device.
  if (auto entered = world->network_.enter("device"); !entered)
    return std::unexpected(entered.error());
  auto device = testing::Process::start(
      {(testing::binary_dir() / "tests/drive_device").string(), "--edge", address, "--video",
       options.video, "--model", options.model.string(), "--policy", options.policy, "--codec",
       options.codec, "--hold", std::to_string(options.hold_percent), "--images",
       std::to_string(options.images), "--fixed-after", std::to_string(options.fixed_after)});
  if (!device) return std::unexpected(device.error());
  world->device_.emplace(*std::move(device));
  if (!world->device_->wait_for_line("driving", kStarts))
    return fail(Errc::unreachable, "the device did not start:\n" + world->transcript());
  return world;
}

Result<void> World::set(const Link& link) {
  const Link before = std::exchange(link_, link);
  relay_->set_delay(link.one_way);
  if (before.bits_per_second != link.bits_per_second) {
    for (const char* const host : {"device", "edge"}) {
      if (auto shaped = network_.shape(host, {.bits_per_second = link.bits_per_second}); !shaped)
        return shaped;
    }
  }
  if (before.carries == link.carries) return {};
  if (before.carries == Carries::nothing_onwards) relay_->resume();
  if (before.carries == Carries::nothing) {
    if (auto healed = network_.heal("device"); !healed) return healed;
  }
  if (link.carries == Carries::nothing_onwards) relay_->blackhole();
  if (link.carries == Carries::nothing) return network_.cut("device");
  return {};
}

std::optional<Frame> World::next(std::chrono::milliseconds limit) {
  const auto line = device_->read_line(limit);
  return line ? from_line(*line) : std::nullopt;
}

Result<std::vector<Frame>> World::end() {
  device_->signal(SIGTERM);
  const auto status = device_->wait(kEnds);
  if (status != 0) return fail(Errc::internal, "the device did not end well:\n" + transcript());
  std::vector<Frame> last;
  while (auto frame = next(0ms)) last.push_back(*std::move(frame));
  return last;
}

std::string World::transcript() const {
  return (device_ ? device_->transcript() : "") + "\n" + edge_.process().transcript();
}

Result<std::vector<std::string>> digests_of_images(const WorldOptions& options) {
  const auto frames = first_frames(options.video, options.images);
  if (!frames) return std::unexpected(frames.error());
  RuntimeOptions wanted;
  wanted.models.emplace(detect::kDetectorGraph, options.model);
  auto runtime = Runtime::create(std::move(wanted));
  if (!runtime) return std::unexpected(runtime.error());
  bind(**runtime);
  std::vector<std::string> digests;
  for (const cv::Mat& frame : *frames)
    digests.push_back(digest_of(detect::detect_object(image_of(frame))));
  return digests;
}

}  // namespace aloft::drive
