// The ends of elastic channels at one edge, as RemoteSession carries them: which attachments they
// have there, on which streams, and what waits for a credit.
//
// A device's end (EndPeer) is added once and stays until it is removed, whatever becomes of the
// link: it is told when its module can be used at this edge, and when no longer. What it transmits
// goes out at once where the edge has granted a credit, else it waits here: never more than the
// end lets be unanswered. What is under way when the link is lost is gone, and the end knows what
// to do about that (channel/fixed_end.h).
//
// Locks: an end calls add(), remove() and transmit() with its own lock held; the calls to an end
// come from the session's I/O thread with no lock held. So the order is end, EndLinks, endpoint.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <compare>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "channel/end_message.h"
#include "channel/endpoint.h"
#include "function/end_protocol.h"
#include <aloft/detail/binding.h>
#include <aloft/result.h>

namespace aloft::function {

// The device's end of an elastic channel, as its edges see it. Called from the sessions' I/O
// threads, one at a time for each edge; must not block.
class EndPeer {
 public:
  virtual ~EndPeer() = default;
  virtual void on_place_up(channel::PlaceIndex place) = 0;
  // All that was under way to and from there is gone.
  virtual void on_place_down(channel::PlaceIndex place) = 0;
  virtual void on_end_message(channel::PlaceIndex place, channel::EndMessage message) = 0;
  // The edge grants no credit that is large enough for a message of this attachment, or answers
  // with more than is taken here: it is given up there.
  virtual void on_no_room(channel::PlaceIndex place, channel::Epoch epoch, const Error& why) = 0;
};

// 0 is the version that the program asked for first; each upgrade has the next number.
using ModuleVersion = std::uint32_t;
using OpenVersions = std::map<ModuleVersion, std::uint32_t>;  // and what it is called in messages

// What an end is, for the edges.
struct EndTerms {
  const ModuleDescriptor* module = nullptr;
  std::optional<std::uint32_t> object_class;  // index of the class that it is an object of
  std::uint32_t in_flight = 1;                // deliveries that may be unanswered
  std::uint8_t priority = channel::kNormal;   // of its messages; its state goes as kBulk
  bool has_state = false;
  bool has_effects = false;
};

// Thread rule: any thread, but for the functions named on_*, which are the session's I/O thread's.
class EndLinks {
 public:
  // `max_body`: of an answer or a state; a larger one is refused.
  explicit EndLinks(std::uint64_t max_body) : max_body_(max_body) {}
  EndLinks(const EndLinks&) = delete;
  EndLinks& operator=(const EndLinks&) = delete;

  // --- For the ends
  enum class Place : std::uint8_t { down, up };
  // `place` is what this edge is called in calls to `peer`. Answers whether it is up now; of later
  // changes the end is told.
  [[nodiscard]] Place add(const EndId& id, std::weak_ptr<EndPeer> peer, channel::PlaceIndex place,
                          const EndTerms& terms);
  void remove(const EndId& id);
  // Nothing happens while the edge is down. `version`: of the module, for an Attach. Errors:
  // unreachable (that version is not open there); what on_no_room() would say.
  [[nodiscard]] Result<void> transmit(const EndId& id, ModuleVersion version,
                                      const channel::EndMessage& message);

  // --- For the session
  // Which versions are open from now on, none of them pending. `endpoint` is used until close() or
  // on_down().
  void on_module_open(const ModuleDescriptor& module, OpenVersions versions,
                      channel::Endpoint& endpoint);
  // Nothing is attached to this version from now on. Any thread.
  void forget_version(const ModuleDescriptor& module, ModuleVersion version);
  void on_down();
  // The endpoint is about to be destroyed. Any thread.
  void close();
  // After close() and on_down(): there may be another endpoint.
  void reopen();
  // Waits until no end has an attachment here, or until `deadline` or a stop. Answers whether that
  // is so. Not from a callback.
  [[nodiscard]] bool wait_idle(std::chrono::steady_clock::time_point deadline,
                               const std::stop_token& stop = {});
  // For a head of which is_end_head() is true. As Receiver's functions of these names.
  [[nodiscard]] Result<std::span<std::byte>> on_message_begin(channel::StreamId stream,
                                                              std::span<const std::byte> head,
                                                              std::uint64_t body_size);
  // False: not a message of an end. (So with the three below.)
  [[nodiscard]] bool on_message_end(channel::StreamId stream);
  [[nodiscard]] bool on_message_abandoned(channel::StreamId stream);
  [[nodiscard]] bool on_credit(channel::StreamId stream);
  [[nodiscard]] bool on_reset(channel::StreamId stream, const Error& why);
  void on_sent(channel::StreamId stream);

  // on_sent is told of messages that were sent with it.
  static constexpr std::uint64_t kToken = 3;

 private:
  struct End {
    std::weak_ptr<EndPeer> peer;
    channel::PlaceIndex place = 0;
    EndTerms terms;
    bool up = false;
    std::map<channel::Epoch, EndStreams> attachments;
  };
  // One of the two of an attachment.
  struct Stream {
    EndId end{};
    channel::Epoch epoch = 0;
    std::uint8_t priority = channel::kNormal;
    std::deque<channel::EndMessage> waiting;      // for credit
    std::deque<channel::SharedBytes> being_sent;  // read by the endpoint, in this order
    bool given_up = false;                        // only kept for the endpoint's sake
  };
  struct Arriving {
    EndHead head;
    std::shared_ptr<channel::Bytes> body;
  };

  // All below: under the lock.
  Result<void> send_control(const EndId& id, const End& end, ModuleVersion version,
                            const channel::EndMessage& message);
  Result<void> send_waiting(channel::StreamId id, Stream& stream);
  void open_stream(channel::StreamId id, const EndId& end, channel::Epoch epoch,
                   std::uint8_t priority);
  void give_up(End& end, channel::Epoch epoch);
  void give_up_stream(channel::StreamId stream);
  // The peer that a message is for, with the place as it calls it; null: too late, or for nobody.
  struct Addressee {
    std::shared_ptr<EndPeer> peer;
    channel::PlaceIndex place = 0;
  };
  [[nodiscard]] bool idle() const;
  [[nodiscard]] Addressee accept(channel::StreamId stream, const EndHead& head);
  [[nodiscard]] Addressee lose(const Stream& stream);

  std::unexpected<Error> refuse_body(channel::StreamId stream, std::uint64_t body_size);

  const std::uint64_t max_body_;
  std::map<channel::StreamId, Arriving> arriving_;  // the I/O thread's
  std::atomic<std::size_t> stream_count_ = 0;       // for a look without the lock

  std::mutex mutex_;
  channel::Endpoint* endpoint_ = nullptr;
  bool closed_ = false;
  std::map<const ModuleDescriptor*, OpenVersions> open_modules_;
  std::map<EndId, End> ends_;
  std::map<channel::StreamId, Stream> streams_;
  std::condition_variable detached_;  // an attachment less
};

}  // namespace aloft::function
