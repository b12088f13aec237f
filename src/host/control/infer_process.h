// The inference process of a host (aloft-infer), as the host's daemon has it: started, watched, and
// started again when it ends.
//
// Those who use it are told when there is another one (Subscription), and fetch a new socket then.
// A model that brought a process down is not loaded by the next one: at once when it did not end
// (infer_line.h), after the second time when a process crashed while it was in its hands.
// One that was killed from outside, or for want of memory, says nothing about models.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "base/digest.h"
#include "base/wake_up.h"
#include "host/infer_line.h"
#include "host/process/child.h"
#include "inference/service/crash_journal.h"
#include "ops/log.h"
#include <aloft/result.h>

namespace aloft::host {

struct InferProcessOptions {
  std::filesystem::path program;  // aloft-infer
  InferSetup setup;
  ops::LogFormat log_format = ops::LogFormat::text;
  std::chrono::milliseconds start_limit{10'000};
  std::chrono::milliseconds end_limit{2'000};
};

// Thread rule: any thread.
class InferProcess {
 public:
  // Returns when it can serve. Errors: not_found (no program), refused (the sandbox, a device that
  // cannot be used), deadline_exceeded, internal.
  [[nodiscard]] static Result<std::unique_ptr<InferProcess>> start(InferProcessOptions options);
  ~InferProcess();
  InferProcess(const InferProcess&) = delete;
  InferProcess& operator=(const InferProcess&) = delete;

  // A socket whose other end the process has; the tenant's Execution Handler gets it. Errors:
  // unreachable (there is no process now; subscribers are told when there is).
  [[nodiscard]] Result<wire::Descriptor> connect(const InferClient& client);
  void set_share(const InferShare& share);

  // What the first one said of itself, and the GPUs that it can use, by name.
  [[nodiscard]] const InferReady& ready() const { return first_ready_; }
  // As Execution Handlers tell their devices, for a tenant with so many GPUs.
  [[nodiscard]] const std::string& engine_for(std::uint32_t gpus) const {
    return gpus != 0 && !first_ready_.accelerated.empty() ? first_ready_.accelerated
                                                          : first_ready_.engine;
  }
  [[nodiscard]] std::uint64_t starts();
  [[nodiscard]] pid_t pid();  // -1: none now
  [[nodiscard]] std::vector<std::string> forbidden();

  // While it lives, `restarted` is called, from a thread of this object, whenever there is another
  // process. Must not block, nor drop the subscription.
  class Subscription {
   public:
    Subscription(InferProcess& process, std::function<void()> restarted);
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    ~Subscription();  // waits for a call under way

   private:
    InferProcess& process_;
    std::uint64_t number_ = 0;
  };

 private:
  explicit InferProcess(InferProcessOptions options,
                        std::unique_ptr<inference::service::CrashJournal> journal);
  struct Running {
    Child child;
    InferLine line;
  };
  [[nodiscard]] Result<InferReady> start_process();
  [[nodiscard]] Result<InferReady> wait_until_ready(Running& running) const;
  void run();
  void watch();  // until the process has ended
  void blame(int status);

  InferProcessOptions options_;
  const std::unique_ptr<inference::service::CrashJournal> journal_;
  InferReady first_ready_;
  WakeUp wake_;

  std::mutex mutex_;
  std::shared_ptr<Running> running_;  // null: none now
  std::set<Digest> forbidden_;
  std::map<Digest, int> crashes_;
  std::uint64_t starts_ = 0;
  bool ending_ = false;

  std::mutex subscribers_mutex_;
  std::map<std::uint64_t, std::function<void()>> subscribers_;
  std::uint64_t last_subscriber_ = 0;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aloft::host
