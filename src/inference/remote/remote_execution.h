// One inference in the inference process. Private to this folder.
//
//   idle --compute()--> waiting --connection--> making --memory--> computing --answer--> idle
//                          ^                       |                   |
//                          '---- connection lost --+-------------------'
//
// A call that is cancelled is over at once: its memory is given back, and what the server still has
// to say of it is not heard.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "inference/remote/connection.h"
#include "inference/remote/link.h"
#include "inference/remote/remote_graph.h"
#include "inference/remote/shared_memory.h"

namespace aloft::inference::remote {

class RemoteCall;

class RemoteExecution final : public Execution {
 public:
  RemoteExecution(std::shared_ptr<Link> link, std::shared_ptr<RemoteGraph> graph);
  ~RemoteExecution() override;

  Result<void> set_input(std::uint32_t index, const TensorView& tensor) override;
  void compute(Completion done) override;
  void cancel() override;
  Result<TensorView> output(std::uint32_t index) const override;

 private:
  const std::shared_ptr<RemoteCall> call_;
};

// The insides, which live as long as anybody might still call back.
class RemoteCall final : public Caller,
                         public Waiter,
                         public std::enable_shared_from_this<RemoteCall> {
 public:
  RemoteCall(std::shared_ptr<Link> link, std::shared_ptr<RemoteGraph> graph);
  ~RemoteCall() override;

  [[nodiscard]] Result<void> set_input(std::uint32_t index, const TensorView& tensor);
  void compute(Completion done);
  void cancel();
  void wait_until_idle();
  [[nodiscard]] Result<TensorView> output(std::uint32_t index) const;

  void on_answer(std::uint32_t call, Message& answer, wire::Descriptor descriptor) override;
  void on_lost(std::uint32_t call) override;
  void on_ready() override { go_on(); }
  void on_no_connection(const Error& why) override;

 private:
  enum class State : std::uint8_t { idle, waiting, making, computing };
  struct Input {
    bool set = false;
    ElementType type = ElementType::f32;
    std::vector<std::uint32_t> dims;
    std::span<const std::byte> data;  // the caller's
  };
  struct Output {
    std::vector<std::uint32_t> dims;
    std::span<const std::byte> data;  // in memory_
  };
  struct Layout {
    Compute request;
    std::uint64_t bytes = 0;
  };

  void go_on();
  // With the mutex held; errors end the call.
  [[nodiscard]] Result<void> send(const std::shared_ptr<Connection>& connection);
  [[nodiscard]] Layout layout() const;
  [[nodiscard]] std::uint64_t room_for_outputs() const;
  [[nodiscard]] Result<void> take_outputs(const Computed& computed);
  [[nodiscard]] bool take_memory(const Message& answer, wire::Descriptor descriptor);
  [[nodiscard]] bool take_wish(const Message& answer);
  void give_memory_back();
  // With the mutex held, which is free while the completion runs.
  void complete(std::unique_lock<std::mutex>& lock, Result<void> outcome);

  const std::shared_ptr<Link> link_;
  const std::shared_ptr<RemoteGraph> graph_;
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  State state_ = State::idle;
  std::shared_ptr<Connection> at_;  // where the call is, and memory_ belongs to
  std::uint32_t number_ = 0;        // of the call there
  int losses_ = 0;                  // connections that this compute() lost
  int enlarged_ = 0;                // times that it asked for more room
  std::uint64_t asked_ = 0;         // bytes of the memory that is being made
  SharedMemory memory_;
  std::uint32_t memory_number_ = 0;
  bool computed_ = false;
  int unfinished_ = 0;  // compute()s whose completion has not returned
  Completion done_;
};

}  // namespace aloft::inference::remote
