// The UE Offload Handler: the device's part of the control plane. Holds the links to the edges
// and the dispatcher that elastic functions are bound to, and ends them in the right order.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "channel/io_thread.h"
#include "device/cluster_slots.h"
#include "device/news.h"
#include "function/call_dispatcher.h"
#include "function/log.h"
#include "function/remote_session.h"
#include "inference/graph_table.h"

namespace aloft::device {

// Thread rule: any thread.
class OffloadHandler {
 public:
  // Without edges everything runs here. `graphs` and `log` are borrowed.
  OffloadHandler(function::DispatchOptions dispatch, std::vector<function::SessionOptions> edges,
                 const inference::GraphTable& graphs, const function::Log& log);
  // The edges are those that a cluster gives, one after the other: two sessions made of `session`.
  OffloadHandler(function::DispatchOptions dispatch, ClusterSlotsOptions cluster,
                 function::SessionOptions session, const inference::GraphTable& graphs,
                 const function::Log& log);
  // Unbinds; synchronous calls finish, asynchronous ones are ended with `cancelled`.
  ~OffloadHandler();
  OffloadHandler(const OffloadHandler&) = delete;
  OffloadHandler& operator=(const OffloadHandler&) = delete;

  // With a cluster: begins to look for it. Errors: refused (its client is in use).
  [[nodiscard]] Result<void> start();
  // Elastic functions dispatch through this handler from now on.
  void bind();

  [[nodiscard]] function::CallDispatcher& dispatcher() { return dispatcher_; }
  [[nodiscard]] std::size_t edges() const { return sessions_.size(); }
  // Waits until any edge is ready; errors as Runtime::wait_for_edge. There are edges, and they are
  // not a cluster's.
  [[nodiscard]] Result<void> wait_for_any(std::chrono::milliseconds timeout);
  // Null without a cluster.
  [[nodiscard]] ClusterSlots* cluster() { return slots_.get(); }
  // Null without such an edge.
  [[nodiscard]] const function::RemoteSession* session(std::size_t edge) const {
    return edge < sessions_.size() ? sessions_[edge].get() : nullptr;
  }
  // The same; with a cluster the first one that has heard of its edge, if any has.
  [[nodiscard]] const function::RemoteSession* speaking_session(std::size_t edge) const;

 private:
  std::unique_ptr<ClusterSlots> slots_;  // the sessions wake it
  News news_;                            // of sessions that are not a cluster's
  std::optional<channel::IoThread> io_;
  std::vector<std::unique_ptr<function::RemoteSession>> sessions_;
  function::CallDispatcher dispatcher_;
};

}  // namespace aloft::device
