// The UE Offload Handler: the device's part of the control plane. Holds the link to the edge and
// the dispatcher that elastic functions are bound to, and ends them in the right order.
#pragma once

#include <memory>
#include <optional>

#include "channel/io_thread.h"
#include "function/call_dispatcher.h"
#include "function/log.h"
#include "function/remote_session.h"
#include "inference/graph_table.h"

namespace aloft::device {

// Thread rule: any thread.
class OffloadHandler {
 public:
  // Without `edge` everything runs here. `graphs` and `log` are borrowed.
  OffloadHandler(function::DispatchOptions dispatch, std::optional<function::SessionOptions> edge,
                 const inference::GraphTable& graphs, const function::Log& log);
  // Unbinds; synchronous calls finish, asynchronous ones are ended with `cancelled`.
  ~OffloadHandler();
  OffloadHandler(const OffloadHandler&) = delete;
  OffloadHandler& operator=(const OffloadHandler&) = delete;

  // Elastic functions dispatch through this handler from now on.
  void bind();

  [[nodiscard]] function::CallDispatcher& dispatcher() { return dispatcher_; }
  // Null without an edge.
  [[nodiscard]] function::RemoteSession* session() { return session_ ? &*session_ : nullptr; }
  [[nodiscard]] const function::RemoteSession* session() const {
    return session_ ? &*session_ : nullptr;
  }

 private:
  std::optional<channel::IoThread> io_;
  std::optional<function::RemoteSession> session_;
  function::CallDispatcher dispatcher_;
};

}  // namespace aloft::device
