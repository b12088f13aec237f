#include "device/offload_handler.h"

#include <utility>

#include "function/binding.h"

namespace aloft::device {
namespace {

std::vector<function::RemoteSession*> connect(
    std::optional<channel::IoThread>& io,
    std::vector<std::unique_ptr<function::RemoteSession>>& sessions,
    std::vector<function::SessionOptions> edges, const function::Log& log) {
  std::vector<function::RemoteSession*> made;
  if (!edges.empty()) io.emplace();
  for (function::SessionOptions& edge : edges) {
    sessions.push_back(std::make_unique<function::RemoteSession>(std::move(edge), *io, log));
    made.push_back(sessions.back().get());
  }
  return made;
}

}  // namespace

OffloadHandler::OffloadHandler(function::DispatchOptions dispatch,
                               std::vector<function::SessionOptions> edges,
                               const inference::GraphTable& graphs, const function::Log& log)
    : dispatcher_(std::move(dispatch), graphs, connect(io_, sessions_, std::move(edges), log),
                  log) {}

OffloadHandler::~OffloadHandler() { function::unbind_dispatcher(&dispatcher_); }

void OffloadHandler::bind() { function::bind_dispatcher(dispatcher_); }

}  // namespace aloft::device
