// The movable ends of one session: which stream is whose, and how they come to be attached here.
//
// Streams are numbered by who hands them out, each from a range of its own:
//   0                    control
//   1 .. 15              models that are uploaded      (model_upload.h)
//   16 ..                calls                         (module_opener.h)
//   kFirstEndStream ..   movable ends, two for each attachment; none is used twice in a session
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "channel/endpoint.h"
#include "function/end_protocol.h"
#include "host/end_table.h"
#include "host/module_opener.h"
#include <aloft/result.h>

namespace aloft::host {

// Thread rule: the I/O thread.
class SessionEnds {
 public:
  static constexpr channel::StreamId kFirstEndStream = 1U << 20U;

  // All outlive it.
  SessionEnds(std::uint64_t session, EndTable& table, channel::Endpoint& endpoint);

  // `module`: the one that the terms name, or null when it is not open. The UE hears Attached, or
  // Lost: not_found (no such module or class), overloaded, refused, or why no instance was made.
  void attach(function::EndHead head, const OpenedModule* module,
              const std::shared_ptr<InferenceTurns>& turns);
  // Any other message of stream 0; dropped when its end is not attached here (any more).
  void control(function::EndHead head);

  // What the endpoint says about a stream from kFirstEndStream on.
  [[nodiscard]] Result<std::span<std::byte>> begin(channel::StreamId stream,
                                                   std::span<const std::byte> head,
                                                   std::uint64_t body_size);
  void end(channel::StreamId stream);
  void abandon(channel::StreamId stream);
  void reset(channel::StreamId stream, const Error& why);
  // Of stream 0, too.
  void sent(channel::StreamId stream, std::uint64_t token);

  // The link is gone: the ends wait to be resumed.
  void down();

 private:
  // Null when no end has this stream.
  [[nodiscard]] EndBinding* find(channel::StreamId stream) const;
  [[nodiscard]] std::shared_ptr<EndBinding> make_binding(const EndKey& key,
                                                         const function::EndHead& attach,
                                                         std::shared_ptr<EndRunner> runner);
  void answer(const EndKey& key, channel::EndMessage message);
  void forget_idle();

  const std::uint64_t session_;
  EndTable& table_;
  channel::Endpoint& endpoint_;
  std::map<channel::StreamId, std::shared_ptr<EndBinding>> bindings_;  // by the first of the two
  std::map<EndKey, std::shared_ptr<EndBinding>> by_key_;               // the newest of each
  channel::StreamId next_stream_ = kFirstEndStream;
};

}  // namespace aloft::host
