// Hedges: pure calls that run here, on copies of their arguments, while an edge is late with the
// result.
//
// What has a copy can be left behind. When the edge answers first, the call is told at once, and
// its hedge ends unheard, as soon as its inference notices; without the copy the caller would have
// to wait for it, since it would read the caller's arguments.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "function/here_executor.h"
#include "inference/graph_table.h"
#include <aloft/detail/binding.h>
#include <aloft/result.h>

namespace aloft::function {

// Whose call it is.
class HedgeOwner {
 public:
  struct Ended {
    Result<std::vector<std::byte>> result;  // encoded; Errors: those of FunctionDescriptor's
    std::vector<std::string> tensor_digests;
  };
  // On a thread of the executor; must not block. Not called once stop() has returned.
  virtual void on_hedge_ended(Ended ended) = 0;

 protected:
  ~HedgeOwner() = default;
};

// Thread rule: any thread.
class CallHedges {
 public:
  // Both are borrowed.
  CallHedges(HereExecutor& executor, const inference::GraphTable& graphs, bool digest_tensors);
  ~CallHedges();  // after end()
  CallHedges(const CallHedges&) = delete;
  CallHedges& operator=(const CallHedges&) = delete;

  // `function` can be run encoded.
  void start(HedgeOwner& owner, const FunctionDescriptor& function,
             std::vector<std::byte> arguments);
  // Its owner hears no more of it. Nothing when it has ended.
  void stop(const HedgeOwner& owner);
  // Stops all, and waits until none runs. None may be started any more.
  void end();

 private:
  class Hedge;

  void run(Hedge& hedge);
  void erase(const Hedge& hedge);  // under the lock

  HereExecutor& executor_;
  const inference::GraphTable& graphs_;
  const bool digest_tensors_;
  std::mutex mutex_;  // held while an owner is told
  std::condition_variable ended_;
  std::vector<std::unique_ptr<Hedge>> hedges_;
};

}  // namespace aloft::function
