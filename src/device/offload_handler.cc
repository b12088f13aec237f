#include "device/offload_handler.h"

#include <utility>

#include "function/binding.h"

namespace aloft::device {
namespace {

function::RemoteSession* connect(std::optional<channel::IoThread>& io,
                                 std::optional<function::RemoteSession>& session,
                                 std::optional<function::SessionOptions> edge,
                                 const function::Log& log) {
  if (!edge) return nullptr;
  io.emplace();
  return &session.emplace(*std::move(edge), *io, log);
}

}  // namespace

OffloadHandler::OffloadHandler(function::DispatchOptions dispatch,
                               std::optional<function::SessionOptions> edge,
                               const inference::GraphTable& graphs, const function::Log& log)
    : dispatcher_(std::move(dispatch), graphs, connect(io_, session_, std::move(edge), log), log) {}

OffloadHandler::~OffloadHandler() { function::unbind_dispatcher(&dispatcher_); }

void OffloadHandler::bind() { function::bind_dispatcher(dispatcher_); }

}  // namespace aloft::device
