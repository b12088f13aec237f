// One call at the edge, from its arguments' bytes to its reply's: what is handed to RemoteSession.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "channel/endpoint.h"
#include "function/coded_arguments.h"
#include "function/protocol.h"
#include <aloft/detail/binding.h>
#include <aloft/result.h>

namespace aloft::function {

enum class Rank : std::uint8_t {
  call,
  // Nobody waits for it: one at a time of a module, beside the calls, when no call needs the stream
  // that it takes; its bytes go behind those of all calls.
  extra,
};

// What is asked for. Borrows all that it points to until the call has ended.
struct RemoteRequest {
  const FunctionDescriptor* function = nullptr;
  std::uint64_t number = 0;  // of the call; its id at the edge, unique among the calls of a session
  std::span<const std::span<const std::byte>> arguments;
  std::uint64_t argument_bytes = 0;       // in all
  const CodedArguments* coded = nullptr;  // sent in their place where the edge decodes them
  std::chrono::steady_clock::time_point deadline{};  // told to the edge; keeping it is the caller's
  bool digest_tensors = false;
  Rank rank = Rank::call;
  // none: the caller goes on, and mostly has more to send before it waits.
  channel::Haste haste = channel::Haste::now;
};

// What came of it, readable once the call has ended.
struct RemoteReply {
  Result<void> outcome;               // whether a Return came at all
  Return head;                        // may say, itself, that the call failed
  std::unique_ptr<std::byte[]> body;  // the encoded result
  std::size_t body_size = 0;          // bytes
  std::uint64_t tx_bytes = 0;         // on the wire
  std::uint64_t rx_bytes = 0;
  bool edge_lost = false;  // ended because the link was
  // It went to a version of its module that the cluster has chosen: a trap there says nothing of
  // what this program's own version would do.
  bool given_version = false;
  // The call was handed to the link: what became of it there is known only if a Return says so.
  bool handed_over = false;
  bool went_coded = false;  // RemoteRequest::coded was sent
};

// Owned by its caller, who keeps it until on_ended(). Thread rule: the session's alone from
// RemoteSession::start() to on_ended(), the caller's before and after.
class RemoteCall {
 public:
  RemoteCall() = default;
  virtual ~RemoteCall() = default;
  RemoteCall(const RemoteCall&) = delete;
  RemoteCall& operator=(const RemoteCall&) = delete;

  // Called exactly once for each start(), when the session uses neither the call nor its arguments
  // any more: from the I/O thread, or from within start() or cancel(). Must not block, nor call the
  // session. May destroy the call.
  virtual void on_ended() = 0;

  RemoteRequest request;
  RemoteReply reply;

 private:
  friend class CallStreams;
  friend class Effects;

  // Neither is known to the caller: the endpoint read all arguments; the outcome is settled, though
  // it may still read.
  bool sent_ = false;
  bool over_ = false;
  RemoteCall* next_ = nullptr;  // in the list of those that end
};

}  // namespace aloft::function
