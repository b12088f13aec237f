// The part of RemoteSession that is about where its edge is: which one, what is shown there, and
// how the session leaves it for another.
#include <algorithm>
#include <utility>

#include "channel/tcp.h"
#include "function/remote_session.h"
#include <aloft/codec/writer.h>

namespace aloft::function {
namespace {

using std::chrono::steady_clock;

constexpr std::string_view kSoftware = "aloft/0.1.0";

}  // namespace

std::vector<std::byte> RemoteSession::hello() {
  const std::lock_guard lock(mutex_);
  resuming_ = !resume_secret_.empty();
  const bool with_ticket = !resuming_ && !ticket_.empty();
  codec::Writer writer;
  writer.map(resuming_ || with_ticket ? 3 : 2);
  writer.string("role");
  writer.string("ue");
  writer.string("software");
  writer.string(kSoftware);
  if (resuming_) {
    writer.string("resume");
    writer.map(2);
    writer.string("session");
    writer.string(session_);
    writer.string("secret");
    writer.binary(resume_secret_);
  } else if (with_ticket) {
    writer.string("ticket");
    writer.binary(ticket_);
  }
  std::vector<std::byte> bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

void RemoteSession::connect(const Route& route) {
  // Nothing of them is open: the link is a new one.
  for (const auto& module : modules_) {
    const auto version = route.versions.find(module->to_open.module->name);
    if (version == route.versions.end() || version->second == module->to_open.digest) continue;
    module->to_open.digest = version->second;
    // Which of the models it uses, the module itself says.
    module->to_open.graphs.clear();
    for (const ModelFile& model : uploads_.models()) module->to_open.graphs.push_back(model.graph);
  }
  edge_ = route.edge.to_string();
  session_ = route.session;
  ticket_ = route.ticket;
  resume_secret_.clear();
  link_error_ = {Errc::unreachable, "edge " + edge_ + ": not connected yet"};
  logged_link_error_.clear();
  since_ = steady_clock::now();
  channel::EndpointOptions options = link_options_;
  options.tls = route.tls;
  options.make_hello = [this] { return hello(); };
  endpoint_ = channel::connect_tcp(io_, route.edge, std::move(options), *this);
}

void RemoteSession::route(std::optional<Route> to) {
  std::unique_ptr<channel::Endpoint> old;
  {
    const std::lock_guard lock(mutex_);
    old = std::move(endpoint_);
    for (const auto& offer : offers_) offer->open.store(false, std::memory_order_release);
    ready_.store(false, std::memory_order_release);
    up_ = false;
    just_settled_ = nullptr;
  }
  if (old != nullptr) {
    ends_->close();
    old->close({Errc::cancelled, "the session goes elsewhere"});
    // Whoever reads the link in place of its thread leaves when it has ended: within 2 s.
    for (std::size_t assisting; (assisting = assisting_.load(std::memory_order_acquire)) != 0;)
      assisting_.wait(assisting, std::memory_order_acquire);
    old.reset();  // nobody reads arguments any more, and no callback comes
    ends_->on_down();
    ends_->reopen();
    // As of a link that is lost; nobody has to be told that it is.
    const Error why{Errc::unreachable, "the session goes elsewhere"};
    Effects effects(log_);
    const std::lock_guard lock(mutex_);
    logged_link_error_ = "edge " + edge_ + ": " + why.message;
    take_down(why, {}, effects);
  }
  const std::lock_guard lock(mutex_);
  if (to) {
    connect(*to);
  } else {
    edge_.clear();
    resume_secret_.clear();
    link_error_ = {Errc::unreachable, "no edge is assigned"};
  }
  announce();
}

void RemoteSession::renew_ticket(std::vector<std::byte> ticket) {
  const std::lock_guard lock(mutex_);
  ticket_ = std::move(ticket);
}

bool RemoteSession::wait_idle(steady_clock::time_point deadline, const std::stop_token& stop) {
  const auto quiet = [this] {
    return std::ranges::all_of(modules_, [](const auto& module) { return module->streams.idle(); });
  };
  const std::stop_callback wakes(stop, [this] {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  draining_ = true;
  bool done = false;
  // Calls, then ends, then whether a call has come meanwhile: the two have locks of their own.
  while (!done &&
         changed_.wait_until(lock, deadline, [&] { return quiet() || stop.stop_requested(); })) {
    if (!quiet()) break;
    lock.unlock();
    const bool ends_done = ends_->wait_idle(deadline, stop);
    lock.lock();
    if (!ends_done) break;
    done = quiet();
  }
  draining_ = false;
  return done;
}

RemoteSession::LinkState RemoteSession::link_state() const {
  const std::lock_guard lock(mutex_);
  return {.up = up_, .ready = is_ready(), .since = since_, .refused = final_error()};
}

void RemoteSession::announce() {
  changed_.notify_all();
  if (on_change_) on_change_();
}

}  // namespace aloft::function
