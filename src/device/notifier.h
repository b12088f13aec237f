// The Notifier: tells whoever subscribes how the device is, how its links are, and that its network
// has changed. One subscription brings all of it.
//
// Works only while somebody is subscribed: then it looks at the sensors and the links once a
// period, on a thread of its own, and hears of changes of the network as they come (rtnetlink).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <variant>
#include <vector>

#include "device/network_changes.h"
#include "device/sensors.h"

namespace aloft::device {

// How the link to one edge is, as the channel sees it.
struct LinkSample {
  std::chrono::steady_clock::time_point at;
  std::uint32_t edge = 0;                                // in RuntimeOptions::edges
  bool up = false;                                       // connected, and the modules are open
  std::optional<std::chrono::nanoseconds> round_trip{};  // smoothed, from heartbeats
  std::uint64_t tx_bytes = 0;                            // ever, on the wire
  std::uint64_t rx_bytes = 0;
  // Bytes a second since the look before; absent in the first.
  std::optional<double> tx_rate{};
  std::optional<double> rx_rate{};
  // Part of the segments since then that TCP sent anew; absent where none were sent.
  std::optional<double> loss{};
};
// An interface, an address or a route came or went.
struct NetworkChange {
  std::chrono::steady_clock::time_point at;
};
using Notice = std::variant<DeviceSample, LinkSample, NetworkChange>;

// Thread rule: any thread.
class Notifier {
 public:
  // What a link has counted.
  struct LinkCount {
    bool up = false;
    std::chrono::nanoseconds round_trip{};  // 0: not known
    std::uint64_t tx_bytes = 0;
    std::uint64_t rx_bytes = 0;
    std::uint64_t segments = 0;  // sent, ever
    std::uint64_t resent = 0;    // of these
  };
  struct Options {
    Sensors::Roots roots{};
    std::chrono::milliseconds period{100};
    // Asked once a period, on the Notifier's thread: a count for each edge. Empty: no links.
    std::function<std::vector<LinkCount>()> links{};
  };

  // Ends the subscription: no call is made once the destructor has returned. Not from within one.
  class Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&& other) noexcept;
    Subscription& operator=(Subscription&& other) noexcept;
    ~Subscription() { end(); }
    void end();

   private:
    friend class Notifier;
    using Subscriber = std::function<void(const Notice&)>;
    Subscription(Notifier& notifier, std::list<Subscriber>::iterator at)
        : notifier_(&notifier), at_(at) {}
    Notifier* notifier_ = nullptr;
    std::list<Subscriber>::iterator at_;
  };

  explicit Notifier(Options options);
  ~Notifier();  // no subscription is left
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // `on_notice` is called from threads of the Notifier, one at a time; the first look comes at
  // once. It must not block, nor subscribe or unsubscribe.
  [[nodiscard]] Subscription subscribe(std::function<void(const Notice&)> on_notice);

 private:
  void start();
  void stop();
  void watch(const std::stop_token& stop);
  void look(Sensors& sensors);
  void tell(const Notice& notice);
  [[nodiscard]] static LinkSample sample_of(std::uint32_t edge, const LinkCount& now,
                                            const LinkCount* before,
                                            std::chrono::steady_clock::time_point at,
                                            std::chrono::duration<double> time);

  const Options options_;
  std::mutex starting_;  // taken before the other one: who subscribes or unsubscribes
  std::size_t subscribed_ = 0;
  std::unique_ptr<NetworkChanges> network_;
  std::jthread thread_;
  std::mutex mutex_;  // held while subscribers are told
  std::list<Subscription::Subscriber> subscribers_;
  std::mutex sleep_mutex_;
  std::condition_variable_any wake_;
  bool look_now_ = false;
  // The thread's:
  std::vector<LinkCount> before_;
  std::optional<std::chrono::steady_clock::time_point> looked_;
};

}  // namespace aloft::device
