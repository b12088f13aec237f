// What the live page shows, between the program that makes it and browsers that fetch it.
//
// Everything here is bounded and only the newest is kept: the last points and decisions, one state,
// one picture. Each browser has a Seen, says what is new since then, and so skips what it was too
// slow for. A picture is copied when one is wanted, and encoded once for all browsers.
//
// A message is one JSON object, of which each part is absent where nothing of it is new:
//
//   {"hello": {"title", "unit"},                          with a browser's first
//    "points": [[number, 0 here | 1 edge, per second, CPU %, Celsius | null, bytes, age ms |
//    null]], "decisions": [{"number", "function", "place", "edge", "reason"}],        oldest first,
//    both "state": {"hand": "policy" | "here" | "edge", "policy", "edges": [{"ready", "tx",
//    "rx"}]}}
//
// A picture is a message of its own: its number in 8 bytes, least significant first, then the JPEG.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "image/jpeg.h"
#include <aloft/call_record.h>
#include <aloft/image.h>
#include <aloft/live_page.h>

namespace aloft::device {

class Board {
 public:
  static constexpr std::size_t kDecisionsKept = 256;

  Board(std::string title, std::string unit);

  // The program's side. Thread rule: any thread.
  void add(const LivePoint& point);
  void show(const Image& picture, std::uint64_t number);

  // The page's side. Thread rule: the page's thread.
  // Somebody waits for a picture, or nobody.
  void want_picture() { wanted_ = true; }
  void want_none() { wanted_ = false; }
  // The last decisions, oldest first; those that came before are known already.
  void decided(std::span<const DecisionRecord> decisions);
  // As JSON; the same again is no news.
  void set_state(std::string state);

  // What a browser was sent.
  struct Seen {
    bool greeted = false;
    std::uint64_t points = 0;
    std::uint64_t decisions = 0;
    std::uint64_t states = 0;
    std::uint64_t pictures = 0;
  };
  // A message of all that is new, which then is not; empty: nothing is.
  [[nodiscard]] std::string news(Seen& seen);
  // The newest picture as a message; null: nothing new.
  [[nodiscard]] std::shared_ptr<const std::vector<std::byte>> picture(Seen& seen);

 private:
  void encode();

  const std::string hello_;

  std::mutex mutex_;
  std::deque<std::string> points_;
  std::uint64_t points_made_ = 0;  // the last of them has this number, from 1
  struct Picture {
    std::uint64_t number = 0;
    image::Shape shape;
    std::vector<std::byte> pixels;
  };
  Picture shown_;
  bool has_shown_ = false;

  std::atomic<bool> wanted_ = false;

  // The page's thread's own.
  std::deque<std::string> decisions_;
  std::uint64_t decisions_made_ = 0;
  std::optional<std::uint64_t> last_decision_;
  std::string state_;
  std::uint64_t states_made_ = 0;
  image::JpegEncoder encoder_;
  Picture encoding_;
  std::shared_ptr<const std::vector<std::byte>> encoded_;
  std::uint64_t pictures_made_ = 0;
};

}  // namespace aloft::device
