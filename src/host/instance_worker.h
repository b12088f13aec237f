// A warm instance of a module, its receive buffers, and the one thread that runs it.
//
// Each receive buffer is a region of the instance's memory and one call stream of the session; a
// credit on the stream says that the buffer is free. While the guest computes a call in one buffer,
// the I/O thread receives the next call's arguments into the other.
//
//              begin              end             (worker)            (worker)
//     free --------> receiving --------> queued ---------> running ---------> replying
//     | ^                |                                                       |
//     | +----------------+-- abandon                                             |
//     | +------------------------------------------------------------------- sent+
//     | need_capacity
//     +--------> growing --(worker)--> free
//
// Every way back to `free` grants the stream anew; after a reply the credit follows the Return in
// the same write. Which thread moves a slot on is fixed by its state: the I/O thread out of free,
// receiving and replying, the worker out of queued, running and growing; and out of replying where
// the kernel took the whole Return at once, so that nothing is left for the I/O thread to tell. The
// UE may use the credit before `sent` is told: the slot is free then, and what the reply needs
// stays in `leaving_` until it is.
//
// Memory that the I/O thread uses stays. Between begin and end/abandon the endpoint writes into an
// instance's memory, and between a Return and its on_sent it reads there. A call may meanwhile trap
// in the same instance, which is then thrown away. So every slot that is not free or growing holds
// the instance that its bytes are in (`home`), and:
//   - a memory's base never moves and its size never shrinks while the instance lives (src/runtime
//   reserves the address
//     space), so a span that was handed out stays valid however the guest grows its memory;
//   - replacing an instance swaps `current_` and the buffers of all slots under the mutex, and
//   leaves every `home` alone: a
//     body under way lands in the old instance's memory, which no guest runs in any more, and is
//     copied into the new one before its call runs; a reply under way leaves from the old one;
//   - a body with encoded pictures lands in the host's memory (`coded`); the worker decodes it into
//   the buffer of the
//     instance of that time, just before the call;
//   - an instance is destroyed when the last `home` lets go of it, by the worker: the I/O thread,
//   which is the one that
//     lets go, puts it on `retired_` (unmapping memory takes too long for that thread);
//   - when the endpoint is down it uses no span any more, and only then is a worker destroyed.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include "channel/endpoint.h"
#include "function/coded_arguments.h"
#include "function/protocol.h"
#include "host/call_counters.h"
#include "host/call_recording.h"
#include "host/guest_services.h"
#include "host/held_bytes.h"
#include "host/session_rights.h"
#include "runtime/instance.h"
#include "runtime/module.h"
#include <aloft/result.h>

namespace aloft::host {

using Clock = std::chrono::steady_clock;

// What all workers of one module in one session share; outlives them.
struct WorkerContext {
  std::uint64_t session = 0;              // for the log
  channel::Endpoint* endpoint = nullptr;  // borrowed
  InferenceTurns* turns = nullptr;        // borrowed
  std::shared_ptr<const runtime::Module> module;
  std::vector<std::string> exports;  // a Call's `function` is an index here
  std::vector<NamedModel> models;
  runtime::InstanceLimits instance_limits;
  std::chrono::milliseconds call_limit{};     // arrival of the arguments to the end of the call
  std::chrono::milliseconds end_grace{2000};  // for a call that was told to end
  CallCounters counters{};                    // of its calls
  ops::LogFields log_fields{};                // of the session
  HeldBytes* held = nullptr;  // for bodies whose pictures are encoded; null: none are taken.
                              // Borrowed
  const CallRecording* recording = nullptr;  // null: no call is kept. Borrowed
  EndMemory* end_memory = nullptr;  // what instances of movable ends take theirs from; null: not
                                    // limited. Borrowed
};

// A call that was told to end, or whose time is over, and that still runs.
struct Overdue {
  channel::StreamId stream = 0;
  std::uint64_t call_id = 0;
  std::optional<Digest> model;  // whose inference it waits for
};

class InstanceWorker {
 public:
  // Makes the instance and one buffer of `capacity` bytes for each stream; grants nothing yet. Not
  // on an I/O thread. Errors: resource_exhausted, trapped.
  [[nodiscard]] static Result<std::unique_ptr<InstanceWorker>> create(
      const WorkerContext& context, std::span<const channel::StreamId> streams,
      std::uint64_t capacity);
  ~InstanceWorker();  // finish()
  InstanceWorker(const InstanceWorker&) = delete;
  InstanceWorker& operator=(const InstanceWorker&) = delete;

  // Grants every stream its first credit.
  void open();
  // Cancels the running call and waits for its end. Only when the endpoint is down, before open(),
  // or when idle() and nothing comes in any more. One thread.
  void finish();

  // --- from the endpoint's I/O thread; `stream` is one of this worker's ----------------
  [[nodiscard]] Result<std::span<std::byte>> begin(channel::StreamId stream,
                                                   const function::Call& call,
                                                   std::uint64_t body_size);
  void end(channel::StreamId stream);
  // A message that is not taken used up the stream's credit.
  void refuse(channel::StreamId stream);
  void abandon(channel::StreamId stream);
  void sent(channel::StreamId stream, std::uint64_t token);
  void need_capacity(channel::StreamId stream, std::uint64_t bytes);
  // The UE gave the stream's call up.
  void reset(channel::StreamId stream);

  [[nodiscard]] std::vector<channel::StreamId> streams() const;
  // Nothing is under way: once no more comes in, it may be destroyed, also while the link is up.
  [[nodiscard]] bool idle() const;

  // --- any thread ----------------------------------------------------------------------
  // No effect when no such call is queued or running here.
  void cancel(std::uint64_t call_id);
  // The running call, when it is past the time at which it must have ended.
  [[nodiscard]] std::optional<Overdue> overdue(Clock::time_point now) const;
  // Asks the running call to end, takes no other; returns at once.
  void stop();

 private:
  enum class State { free, receiving, queued, running, replying, growing };

  struct Slot {
    channel::StreamId stream = 0;
    State state = State::free;
    std::uint64_t capacity = 0;               // bytes of `buffer`
    runtime::GuestBuffer buffer;              // in current_
    std::shared_ptr<runtime::Instance> home;  // where the body, then the reply is; see above
    std::span<std::byte> body;                // in home's memory
    // Of a call with encoded pictures: what was received, of which the arguments are made in the
    // guest's memory when the call runs. It has no home and no body until then.
    std::shared_ptr<channel::Bytes> coded;
    function::Call call;
    Clock::time_point arrived;
    bool cancelled = false;
    std::uint64_t wanted = 0;      // growing: bytes
    std::uint32_t descriptor = 0;  // replying: what to release
    std::uint64_t reply = 0;       // replying: the Return's token
  };
  // A reply that the endpoint may still be reading, though its slot is at another call.
  struct Leaving {
    std::uint64_t reply = 0;
    std::shared_ptr<runtime::Instance> home;
    std::uint32_t descriptor = 0;
  };

  InstanceWorker(const WorkerContext& context, std::span<const channel::StreamId> streams);

  [[nodiscard]] Slot& slot(channel::StreamId stream);
  [[nodiscard]] Result<void> make_instance();

  // Memory for a body with encoded pictures. I/O thread.
  [[nodiscard]] Result<std::shared_ptr<channel::Bytes>> take_coded(channel::StreamId stream,
                                                                   const function::Call& call,
                                                                   std::uint64_t body_size);

  // Has the worker look at what there is to do. With the mutex held.
  void wake();

  // Worker thread.
  void work();
  void wait_for_work(std::unique_lock<std::mutex>& lock);
  void run(Slot& slot);
  [[nodiscard]] std::vector<std::span<const std::byte>> call_guest(Slot& slot,
                                                                   Clock::time_point deadline,
                                                                   const std::stop_token& stop,
                                                                   function::Return& reply);
  // Makes the arguments of what came encoded, in current_'s memory.
  [[nodiscard]] Result<void> decode(Slot& slot, function::Return& reply);
  void answer(Slot& slot, const function::Return& reply,
              std::span<const std::span<const std::byte>> result);
  void grow(Slot& slot);
  [[nodiscard]] Result<runtime::GuestBuffer> make_buffer(runtime::Instance& instance,
                                                         std::uint64_t size);
  void replace();
  void release(const std::vector<std::uint32_t>& descriptors);

  // With the mutex held.
  void let_go(std::shared_ptr<runtime::Instance>& home);
  // Nothing reads a reply in `home` any more.
  void reply_left(std::shared_ptr<runtime::Instance>& home, std::uint32_t descriptor);
  // The UE has the slot's credit, so its reply is as good as gone.
  void make_way(Slot& slot);
  // Whether the answer of the call that has just run can wait for that of the next one.
  [[nodiscard]] bool next_is_short() const;
  [[nodiscard]] std::uint64_t set_free(
      Slot& slot);  // the capacity to grant once the mutex is released

  const WorkerContext& context_;
  GuestServices services_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> awake_ = false;             // there may be something to do
  std::shared_ptr<runtime::Instance> current_;  // changed by the worker only
  std::vector<Slot> slots_;
  std::deque<Slot*> queue_;              // queued and growing, in the order they came
  std::vector<std::uint32_t> releases_;  // descriptors of current_ whose replies have left
  std::vector<std::shared_ptr<runtime::Instance>> retired_;  // to be destroyed by the worker
  std::vector<Leaving> leaving_;
  Slot* running_ = nullptr;
  std::stop_source stop_running_{std::nostopstate};
  Clock::time_point must_end_by_ = Clock::time_point::max();
  bool ending_ = false;
  bool spent_ = false;                     // worker thread: current_ is of no more use
  std::uint64_t replies_ = 0;              // worker thread: tokens of Returns, from 1
  image::JpegDecoder jpeg_;                // worker thread
  std::vector<Clock::duration> last_run_;  // worker thread: by export, of its last call

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aloft::host
