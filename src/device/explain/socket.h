// Answers whoever of this user asks what this process has decided, and why: `aloft explain`; and
// when its last calls were: `aloft trace`.
//
// A socket each in the user's folder (ops/user_socket.h). Whoever connects is given one JSON
// document, and nothing is read from them. One is served at a time, for kPatience at most.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/descriptor.h"
#include "base/wake_up.h"
#include "device/explain/ask.h"
#include <aloft/result.h>

namespace aloft::device {

// Thread rule: any thread. Destroying it waits for a running `explain`, and removes the socket.
class ExplainSocket {
 public:
  static constexpr std::chrono::seconds kPatience{2};

  // `explain` makes the document, on a thread of this. Errors: refused (the folder is not this
  // user's, the socket cannot be made), invalid_argument (its path is too long).
  [[nodiscard]] static Result<std::unique_ptr<ExplainSocket>> listen(
      About about, std::function<std::string()> explain);
  ~ExplainSocket();
  ExplainSocket(const ExplainSocket&) = delete;
  ExplainSocket& operator=(const ExplainSocket&) = delete;

 private:
  ExplainSocket(std::filesystem::path path, Descriptor listening, WakeUp stop,
                std::function<std::string()> explain);
  void serve();
  void answer(int connection) const;

  const std::filesystem::path path_;
  const Descriptor listening_;
  const WakeUp stop_;
  const std::function<std::string()> explain_;
  std::thread thread_;
};

}  // namespace aloft::device
