// An elastic channel of the application (aloft/channel.h) over an elastic end: its own for a
// function, that of the object for a method.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "function/elastic_end.h"
#include <aloft/channel.h>

namespace aloft::function {

// Thread rule: any thread.
class ElasticChannel final : public detail::ChannelCore,
                             public EndSender,
                             public ElasticTask,
                             public std::enable_shared_from_this<ElasticChannel> {
 public:
  enum class End : std::uint8_t {
    own,     // closed with the channel
    shared,  // of an object, whose kind and bounds are not the channel's
  };
  ElasticChannel(std::shared_ptr<ElasticEnd> end, End whose, std::uint32_t method,
                 const ChannelOptions& options);
  ~ElasticChannel() override = default;

  Result<std::uint64_t> send(Bytes arguments) override;
  Result<Arrived> receive(std::chrono::nanoseconds timeout) override;
  void receive_with(std::function<void(Arrived)> receiver) override;
  void move(Location to, std::function<void(Result<MoveReport>)> then) override {
    end_->move(to, std::move(then));
  }
  Result<MoveReport> move(Location to) override { return end_->move(to); }
  [[nodiscard]] Location location() const override { return end_->location(); }
  [[nodiscard]] ChannelStats stats() const override;
  void close() override;

 private:
  void on_outcome(channel::Outcome outcome) override;
  void run_task() override;
  // Under the lock, which it gives up while the receiver runs.
  void hand_over(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] Arrived take_first();

  const std::shared_ptr<ElasticEnd> end_;
  const End whose_;
  const std::uint32_t method_;
  const ChannelOptions options_;

  mutable std::mutex mutex_;  // taken after the end's
  std::condition_variable changed_;
  std::deque<channel::Outcome> arrived_;
  std::size_t arrived_bytes_ = 0;
  std::size_t outstanding_ = 0;  // sent, and neither dropped nor received
  std::uint64_t dropped_ = 0;
  channel::Sequence last_ = 0;
  bool closing_ = false;  // no more is sent
  bool closed_ = false;   // all has arrived
  bool handing_over_ = false;
  std::shared_ptr<const std::function<void(Arrived)>> receiver_;
};

}  // namespace aloft::function
