// A model on its way from the UE: asked for by the thread that opens a module, received by the I/O
// thread.
//
// One at a time in a session. The memory for it is taken when the UE begins to send, not when it
// promises to.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/digest.h"
#include "channel/endpoint.h"
#include "function/protocol.h"
#include <aloft/result.h>

namespace aloft::host {

class ModelUpload {
 public:
  // Streams below this one carry models, the others calls.
  static constexpr channel::StreamId kFirstCallStream = 16;

  // Asks for the model and waits until it is there; its bytes are as the UE sent them, of the size
  // that was asked for. The opening thread. Errors: cancelled (stop() was called), corrupt (the
  // UE's file has another size by now), deadline_exceeded (not whole within `limit`; a link on
  // which it is under way is closed), unreachable (the link is lost), or what the UE said when it
  // gave up.
  [[nodiscard]] Result<std::vector<std::byte>> fetch(channel::Endpoint& endpoint,
                                                     std::uint32_t module_id, const Digest& digest,
                                                     std::uint64_t size,
                                                     std::chrono::milliseconds limit);
  // Any thread: a running fetch() ends, further ones end at once.
  void stop();

  // I/O thread, for streams below kFirstCallStream.
  [[nodiscard]] Result<std::span<std::byte>> begin(channel::StreamId stream,
                                                   const function::ModelBytes& head,
                                                   std::uint64_t body_size);
  void end(channel::StreamId stream);
  void abandon(channel::StreamId stream, const Error& why);

 private:
  enum class State { idle, wanted, receiving, whole, failed };

  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::idle;
  bool stopped_ = false;
  channel::StreamId stream_ = 0;
  Digest digest_;
  std::uint64_t size_ = 0;  // bytes
  std::vector<std::byte> bytes_;
  Error why_;  // failed
};

}  // namespace aloft::host
