// A page that shows a program while it runs, and moves its execution by hand: the picture that it
// makes, the four curves of the paper's Figure 3, where its calls go, and why.
//
//   auto page = aloft::LivePage::serve(*runtime, {.policy = policy});
//   if (page) std::puts((*page)->url().c_str());  // to be opened on this machine
//
// The program serves it itself, on the loopback interface alone. The address holds a key that is
// made anew with each page: another user of the machine does not know it, and a web site that the
// browser is shown could neither read it nor use it (docs/live-page.md says how that is kept).
//
// Nothing waits for a browser. What a slow one has not fetched is replaced by what is newer, and
// with none there, showing costs a look at a flag. To be linked beside aloft::aloft:
// aloft::live_page.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <aloft/image.h>
#include <aloft/policy.h>
#include <aloft/result.h>
#include <aloft/runtime.h>

namespace aloft {

// A point of each curve, and the result that it is about.
struct LivePoint {
  std::uint64_t number = 0;  // of the frame or call: where the point is, from left to right
  Place place = Place::here;
  double per_second = 0;
  double ue_cpu_percent = 0;           // of one core
  std::optional<double> ue_celsius{};  // absent: no sensor
  std::uint64_t network_bytes = 0;     // that this result cost, both directions
  // From when there was what the result is about (a frame was read) to when it is shown.
  std::optional<std::chrono::nanoseconds> age{};
};

// Where the points come from.
enum class LivePoints : std::uint8_t {
  sampled,     // the page looks at the runtime and at this process, while somebody watches
  by_program,  // LivePage::add()
};

struct LivePageOptions {
  // What the runtime decides by: what `by policy` on the page goes back to. Null: local_policy().
  std::shared_ptr<Policy> policy{};
  LivePoints points = LivePoints::sampled;
  std::string title{};        // empty: the program's name
  std::string unit = "call";  // what there is a number of in a second, singular
  std::uint16_t port = 0;     // of 127.0.0.1; 0: a free one
};

// Thread rule: all methods from any thread.
class LivePage {
 public:
  // Serves it from now on, on a thread of its own. The runtime outlives the page. Errors:
  // unreachable (the port is taken).
  [[nodiscard]] static Result<std::unique_ptr<LivePage>> serve(Runtime& runtime,
                                                               LivePageOptions options = {});
  // Browsers are told that the program has ended; execution goes back to the policy.
  ~LivePage();
  LivePage(const LivePage&) = delete;
  LivePage& operator=(const LivePage&) = delete;

  // "http://127.0.0.1:PORT/KEY/"
  [[nodiscard]] const std::string& url() const;

  // With LivePoints::by_program; the page keeps the last kPointsKept.
  void add(const LivePoint& point);
  static constexpr std::size_t kPointsKept = 1200;

  // The newest picture. It is copied where a browser waits for one, up to 30 times a second, and
  // not looked at otherwise. gray8, bgr8 or rgb8; others are not shown.
  void show(const Image& picture, std::uint64_t number);

  // What the page has cost so far: processor time of its thread, which a program that measures
  // itself takes off.
  [[nodiscard]] std::chrono::nanoseconds cpu_time() const;

 private:
  struct Impl;
  explicit LivePage(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft
