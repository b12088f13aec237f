// An edge for the ends of elastic channels: a real endpoint over TCP that opens every module and
// serves attachments with real movable ends, each on an object of its own, run natively. What a
// test does to it is what happens to edges: links are lost, processes die, runs take their time.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "channel/endpoint.h"
#include "channel/io_thread.h"
#include "channel/tcp.h"
#include "function/end_protocol.h"
#include "function/protocol.h"
#include <aloft/detail/binding.h>
#include <aloft/detail/object_link.h>

namespace aloft::function::testing {

// An object of the edge, and what owns it.
struct EdgeObject {
  std::shared_ptr<void> owner;
  std::unique_ptr<detail::NativeObject> native;
};

// Thread rule: any thread. It listens as long as it lives.
class MovableEdge final : private channel::Acceptor, private channel::Receiver {
 public:
  using MakeObject = std::function<EdgeObject(std::uint32_t object_class)>;

  // `capacity`: of the credits for messages of ends, bytes.
  MovableEdge(const ModuleDescriptor& module, MakeObject make, std::uint64_t capacity = 1U << 20U);
  ~MovableEdge() override;

  [[nodiscard]] net::Address address() const { return address_; }

  // The link is gone at once. The ends live on, and the device may connect again.
  void drop_link();
  // As a process that is killed and started anew: no end lives on.
  void lose_process();
  // No run begins from now on / those that wait do.
  void pause();
  void go_on();
  // Refuses each Attach that makes a new end with this; nullopt: no longer.
  void refuse(std::optional<Error> why);

  // Wait (10 s at most) until so many deliveries have come in all / so many ends live.
  [[nodiscard]] bool wait_for_deliveries(std::uint64_t count);
  [[nodiscard]] bool wait_for_ends(std::size_t count);
  [[nodiscard]] std::uint64_t runs() const;  // of functions

 private:
  class End;
  struct Arriving {
    std::optional<EndHead> head;
    std::optional<OpenModule> open;
    std::shared_ptr<channel::Bytes> body;
  };
  using Key = std::pair<EndId, channel::Epoch>;

  Result<channel::Receiver*> accept(std::span<const std::byte> peer_hello,
                                    const channel::PeerInfo& peer) override;
  void ready(channel::Receiver* receiver, std::unique_ptr<channel::Endpoint> endpoint) override;
  Result<std::span<std::byte>> on_message_begin(channel::StreamId stream,
                                                std::span<const std::byte> head,
                                                std::uint64_t body_size) override;
  void on_message_end(channel::StreamId stream) override;
  void on_message_abandoned(channel::StreamId stream, const Error& why) override;
  void on_credit(channel::StreamId, std::uint64_t) override {}
  void on_reset(channel::StreamId, const Error&) override {}
  void on_sent(channel::StreamId, std::uint64_t token, const Result<void>&) override;
  void on_up(std::span<const std::byte>) override {}
  void on_down(const Error& why, std::chrono::steady_clock::time_point last_heard) override;

  // Under the lock.
  void send(channel::StreamId stream, const std::vector<std::byte>& head,
            channel::SharedBytes body);
  void take(channel::StreamId stream, EndHead head);
  void attach(const EndHead& head);
  void sweep();
  void work(const std::stop_token& stop);

  const ModuleDescriptor& module_;
  const MakeObject make_;
  const std::uint64_t capacity_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<Key, std::shared_ptr<End>> ends_;
  std::deque<std::shared_ptr<End>> to_run_;
  std::map<channel::StreamId, Arriving> arriving_;
  std::map<std::uint64_t, channel::SharedBytes> being_sent_;  // by token
  std::uint64_t last_token_ = 0;
  channel::StreamId next_stream_ = 1U << 20U;
  std::optional<Error> refusal_;
  bool paused_ = false;
  std::uint64_t deliveries_ = 0;
  std::uint64_t runs_ = 0;
  net::Address address_;
  channel::IoThread io_;
  std::unique_ptr<channel::Endpoint> endpoint_;
  std::unique_ptr<channel::Listener> listener_;
  std::jthread worker_;
};

}  // namespace aloft::function::testing
