// Serves the live page: its files over HTTP (net/http_server.h), what there is to show over a
// WebSocket, and takes from that what its buttons say. On 127.0.0.1 alone, to those whom the door
// lets in.
//
// A browser is written to at kRefresh at most, and only when it has taken the message before; what
// came in between is in the next one, or is gone (board.h). So a browser that is slow, or stands
// still, costs what one message does.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "device/page/board.h"
#include <aloft/result.h>

namespace aloft::device {

// Who decides where calls go: the program's policy, or a hand on the page.
enum class Hand : std::uint8_t { policy, here, edge };
[[nodiscard]] constexpr std::string_view to_string(Hand hand) {
  switch (hand) {
    case Hand::policy: return "policy";
    case Hand::here: return "here";
    case Hand::edge: return "edge";
  }
  return "unknown";
}

// On the server's thread.
struct PageCalls {
  std::function<void()> look;      // brings the board up to date; while somebody watches
  std::function<void(Hand)> move;  // a button was clicked
};

class PageServer {
 public:
  static constexpr std::chrono::milliseconds kRefresh{33};
  static constexpr std::size_t kMostBrowsers = 8;

  // Port 0: a free one. The board outlives it. Errors: unreachable (the port is taken).
  [[nodiscard]] static Result<std::unique_ptr<PageServer>> listen(std::uint16_t port, Board& board,
                                                                  PageCalls calls);
  ~PageServer();
  PageServer(const PageServer&) = delete;
  PageServer& operator=(const PageServer&) = delete;

  [[nodiscard]] const std::string& url() const;
  // Of its thread.
  [[nodiscard]] std::chrono::nanoseconds cpu_time() const;

 private:
  struct Impl;
  explicit PageServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::device
