// A UE for tests of movable ends: speaks the protocol of ends as it is, decides nothing, and keeps
// all that it hears.
//
//   EndUe ue(address);
//   ASSERT_TRUE(ue.open(module));
//   auto end = ue.attach(key, terms);
//   ASSERT_TRUE(ue.deliver(key, 1, method, bytes));
//   const auto answer = ue.next<channel::Answer>(key);
//
// What waits does so up to a limit, so that no test hangs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "channel/tcp.h"
#include "function/end_protocol.h"
#include "function/protocol.h"
#include "host/end_binding.h"
#include <aloft/result.h>

namespace aloft::host::testing {

using channel::SharedBytes;

[[nodiscard]] SharedBytes shared(std::vector<std::byte> bytes);

// Thread rule: one thread.
class EndUe final : private channel::Receiver {
 public:
  using Limit = std::chrono::milliseconds;
  static constexpr Limit kLimit{15'000};

  explicit EndUe(const net::Address& address);
  ~EndUe() override;

  [[nodiscard]] bool wait_up(Limit limit = kLimit);
  // Opens a module; the edge's refusal is the Error.
  [[nodiscard]] Result<void> open(function::OpenModule request);

  // Sends Attach; the streams of what comes are used from then on.
  void attach(const EndKey& key, const function::AttachTerms& terms, channel::Attach attach = {});
  // Waits for a credit where the message needs one.
  [[nodiscard]] Result<void> send(const EndKey& key, channel::EndMessage message);
  [[nodiscard]] Result<void> deliver(const EndKey& key, channel::Sequence sequence,
                                     std::uint32_t method, std::vector<std::byte> body);

  // The next message of this kind from this end that was not asked for yet.
  template <class Content>
  [[nodiscard]] std::optional<Content> next(const EndKey& key, Limit limit = kLimit) {
    std::unique_lock lock(mutex_);
    std::optional<Content> found;
    (void)changed_.wait_for(lock, limit, [&] {
      auto& heard = heard_[key];
      for (auto at = heard.begin(); at != heard.end(); ++at) {
        if (auto* const content = std::get_if<Content>(&*at)) {
          found = std::move(*content);
          heard.erase(at);
          return true;
        }
      }
      return false;
    });
    return found;
  }
  // What it said and was not asked for yet.
  [[nodiscard]] std::size_t unheard(const EndKey& key) const;
  [[nodiscard]] std::vector<function::GuestLog> log() const;
  // Whether the edge gave up a stream of ours, or our message there.
  [[nodiscard]] bool wait_reset(const EndKey& key, Limit limit = kLimit);
  [[nodiscard]] channel::Endpoint& endpoint() { return *endpoint_; }
  [[nodiscard]] function::EndStreams streams_of(const EndKey& key) const;

 private:
  using Content = decltype(channel::EndMessage::content);
  struct Incoming {
    EndKey key;
    channel::EndMessage message;
    std::shared_ptr<channel::Bytes> body;
  };

  Result<std::span<std::byte>> on_message_begin(channel::StreamId stream,
                                                std::span<const std::byte> head,
                                                std::uint64_t body_size) override;
  void on_message_end(channel::StreamId stream) override;
  void on_message_abandoned(channel::StreamId, const Error&) override {}
  void on_credit(channel::StreamId stream, std::uint64_t capacity) override;
  void on_reset(channel::StreamId stream, const Error& why) override;
  void on_sent(channel::StreamId stream, std::uint64_t token, const Result<void>& outcome) override;
  void on_up(std::span<const std::byte> peer_hello) override;
  void on_down(const Error& why, std::chrono::steady_clock::time_point last_heard) override;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool up_ = false;
  std::map<std::uint32_t, Result<void>> opened_;
  std::map<EndKey, function::EndStreams> streams_;
  std::map<channel::StreamId, EndKey> keys_;
  std::map<channel::StreamId, int> credits_;
  std::map<channel::StreamId, bool> resets_;
  std::map<channel::StreamId, Incoming> incoming_;
  std::map<EndKey, std::deque<Content>> heard_;
  std::map<std::uint64_t, SharedBytes> leaving_;
  std::uint64_t last_token_ = 0;
  std::vector<function::GuestLog> log_;

  channel::IoThread io_;
  std::unique_ptr<channel::Endpoint> endpoint_;  // last: its callbacks use all of the above
};

}  // namespace aloft::host::testing
