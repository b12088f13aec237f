// One movable end at this edge: the state machine that decides (channel/movable_end.h), an instance
// of its own, and the one thread that runs it.
//
//   I/O thread                     mutex                       worker thread
//   EndBinding::end -> received -> MovableEnd -> execute ->    a job: arguments into the guest,
//                                                              call, reply out of the guest
//   EndBinding      <- transmit <- MovableEnd <- executed <-   done
//
// The machine is asked under the mutex and answers within; what it wants run is left for the
// worker, what it wants sent goes to the binding at once, so that messages leave in the order in
// which it said them. The endpoint calls nobody from within send(), so that is no lock in its way.
//
// Arguments and results are copied: both may be needed again after the guest's memory is gone.
//
// An end is made by the worker, off the I/O thread: the UE's Attach is passed to the machine, which
// answers it, when the instance is warm, so that a move stalls nobody. An instance whose guest
// trapped is thrown away. With a state the object is gone with it, and so is the end: the UE is
// told what trapped, then that the end is lost, and recovers from its checkpoint. Without one
// another instance takes its place.
//
// The end outlives its binding, see end_table.h.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "channel/movable_end.h"
#include "host/call_recording.h"
#include "host/end_binding.h"
#include "host/guest_services.h"
#include "host/held_bytes.h"
#include "host/instance_worker.h"
#include "runtime/instance.h"
#include "runtime/module.h"
#include <aloft/result.h>

namespace aloft::host {

// What an end needs of the module version that it was attached to; it keeps that alive.
struct EndContext {
  std::uint64_t session = 0;              // that attached it, for the log
  ops::LogFields log_fields{};            // of that session
  std::shared_ptr<InferenceTurns> turns;  // of that session
  std::shared_ptr<const runtime::Module> module;
  std::vector<std::string> exports;  // a Deliver's `method` is an index here
  std::vector<NamedModel> models;
  runtime::InstanceLimits instance_limits;
  std::chrono::milliseconds call_limit{};     // of one message
  std::chrono::milliseconds end_grace{2000};  // for what was told to end
  std::uint64_t max_body = 0;                 // bytes of a result or a state
  CallCounters counters{};                    // of its calls
  const CallRecording* recording = nullptr;   // null: no call is kept. Borrowed
  std::shared_ptr<const void> memory{};       // claimed of the session's, as long as this lives
};

// A message that an end should have done with, and has not.
struct OverdueEnd {
  EndKey key;
  std::uint64_t session = 0;
  channel::Sequence sequence = 0;
  Digest module;
  std::optional<Digest> model;  // whose inference it waits for
};

class EndRunner final : public BoundEnd,
                        private channel::MovableEndHost,
                        private channel::MovableEndPort {
 public:
  // `held` outlives it. `over` is called once, on any thread and with no lock held, when the end
  // serves no more; it may not destroy the runner before it returns.
  EndRunner(const EndKey& key, EndContext context, const function::AttachTerms& terms,
            HeldBytes& held, std::function<void(const EndRunner&)> over);
  ~EndRunner();  // finish()
  EndRunner(const EndRunner&) = delete;
  EndRunner& operator=(const EndRunner&) = delete;

  // Makes the instance, on the worker, then answers the Attach that bind() brought. Once.
  void start();
  // Asks what runs to end, and waits for it. One thread, not an I/O thread.
  void finish();

  // --- any thread ----------------------------------------------------------------------
  // From here on the end speaks over `binding`, which replaces an earlier one. `attach` is answered
  // when the instance is warm. False: the end is over.
  [[nodiscard]] bool bind(std::shared_ptr<EndBinding> binding, channel::EndMessage attach);
  // Asks what runs to end, takes no more; returns at once.
  void stop();
  [[nodiscard]] std::optional<OverdueEnd> overdue(Clock::time_point now) const;
  // Answers the UE in place of the worker that cannot, as the process ends.
  void give_up(const Error& why);

 private:
  struct Execute {
    channel::Sequence sequence = 0;
    std::uint32_t method = 0;
    channel::SharedBytes body;
  };
  struct Save {};
  struct Load {
    channel::SharedBytes state;
  };
  using Job = std::variant<Execute, Save, Load>;
  using Outcome = Result<channel::SharedBytes>;
  // A method's call before it runs, with the state that it runs on; none: it is not kept.
  [[nodiscard]] std::optional<runtime::RecordedCall> record(const CallRecorder& recorder,
                                                            const Execute& message,
                                                            Clock::time_point deadline);

  // BoundEnd
  void received(EndBinding& from, channel::EndMessage message) override;
  void broken(EndBinding& from, const Error& why) override;
  [[nodiscard]] bool unbind(const EndBinding& from) override;
  // MovableEndHost and -Port: with the mutex held.
  void execute(channel::Sequence sequence, std::uint32_t method,
               channel::SharedBytes body) override;
  void save() override;
  void load(channel::SharedBytes state) override;
  void transmit(channel::EndMessage message) override;

  // With the mutex held; answers whether over_ is to be called once it is released.
  [[nodiscard]] bool lose(const Error& why);
  [[nodiscard]] bool note_over();
  [[nodiscard]] bool end_here();

  // Worker thread.
  void work();
  [[nodiscard]] bool begin();
  [[nodiscard]] Result<void> make_instance();
  void run(const Job& job);
  [[nodiscard]] Outcome call_guest(const Execute& message, Clock::time_point deadline);
  [[nodiscard]] Outcome save_state(Clock::time_point deadline);
  [[nodiscard]] Outcome load_state(const Load& load, Clock::time_point deadline);
  [[nodiscard]] Result<std::uint32_t> put(std::span<const std::byte> bytes);
  [[nodiscard]] Outcome take_out(const runtime::Reply& reply);
  [[nodiscard]] Error explain(channel::Sequence sequence, const runtime::CallFailure& failure);

  const EndKey key_;
  const EndContext context_;
  const function::AttachTerms terms_;
  HeldBytes& held_;
  const std::function<void(const EndRunner&)> over_;

  // The worker's own. The services outlive the instance.
  GuestServices services_;
  std::unique_ptr<runtime::Instance> instance_;
  std::optional<runtime::GuestBuffer> buffer_;
  bool spent_ = false;  // the instance is of no more use

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  channel::MovableEnd core_;
  std::shared_ptr<EndBinding> binding_;        // null: parked
  std::optional<channel::EndMessage> attach_;  // to be answered when warm
  bool warm_ = false;
  bool over_told_ = false;
  std::deque<Job> jobs_;
  std::optional<Job> running_;
  std::stop_source stop_running_{std::nostopstate};
  Clock::time_point must_end_by_ = Clock::time_point::max();
  bool ending_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aloft::host
