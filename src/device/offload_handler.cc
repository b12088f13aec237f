#include "device/offload_handler.h"

#include <algorithm>
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

std::vector<function::SessionOptions> that_tell(std::vector<function::SessionOptions> edges,
                                                News& news) {
  for (function::SessionOptions& edge : edges) edge.on_change = [&news] { news.tell(); };
  return edges;
}

std::vector<function::SessionOptions> slots_of(function::SessionOptions session,
                                               ClusterSlots& slots) {
  session.edge.reset();
  session.on_change = [&slots] { slots.wake(); };
  return std::vector<function::SessionOptions>(ClusterSlots::kSlots, session);
}

}  // namespace

OffloadHandler::OffloadHandler(function::DispatchOptions dispatch,
                               std::vector<function::SessionOptions> edges,
                               const inference::GraphTable& graphs, const function::Log& log)
    : dispatcher_(std::move(dispatch), graphs,
                  connect(io_, sessions_, that_tell(std::move(edges), news_), log), log) {}

OffloadHandler::OffloadHandler(function::DispatchOptions dispatch, ClusterSlotsOptions cluster,
                               function::SessionOptions session,
                               const inference::GraphTable& graphs, const function::Log& log)
    : slots_(std::make_unique<ClusterSlots>(std::move(cluster), log)),
      dispatcher_(std::move(dispatch), graphs,
                  connect(io_, sessions_, slots_of(std::move(session), *slots_), log), log) {}

OffloadHandler::~OffloadHandler() {
  function::unbind_dispatcher(&dispatcher_);
  if (slots_ == nullptr) return;
  dispatcher_.bring_home();  // while the session is open, and its host lets states go
  slots_->stop();
}

Result<void> OffloadHandler::start() {
  if (slots_ == nullptr) return {};
  return slots_->start({sessions_[0].get(), sessions_[1].get()}, dispatcher_);
}

Result<void> OffloadHandler::wait_for_any(std::chrono::milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const std::uint64_t before = news_.told();
    std::vector<function::RemoteSession::LinkState> states;
    for (const auto& session : sessions_) states.push_back(session->link_state());
    if (std::ranges::any_of(states, &function::RemoteSession::LinkState::ready)) return {};
    const bool all_refuse =
        std::ranges::all_of(states, [](const auto& state) { return state.refused.has_value(); });
    if (all_refuse || !news_.wait(before, until))
      return std::unexpected(sessions_.front()->why_not_ready(timeout));
  }
}

const function::RemoteSession* OffloadHandler::speaking_session(std::size_t edge) const {
  if (slots_ != nullptr && edge < edges()) {
    for (const auto& session : sessions_) {
      if (!session->wasm_engine().empty()) return session.get();
    }
  }
  return session(edge);
}

void OffloadHandler::bind() { function::bind_dispatcher(dispatcher_); }

}  // namespace aloft::device
