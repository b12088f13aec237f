#include "function/end_links.h"

#include <algorithm>
#include <string>
#include <utility>

namespace aloft::function {
namespace {

using channel::EndMessage;
using channel::PlaceIndex;
using channel::StreamId;

}  // namespace

// --- For the ends

EndLinks::Place EndLinks::add(const EndId& id, std::weak_ptr<EndPeer> peer, PlaceIndex place,
                              const EndTerms& terms) {
  const std::lock_guard lock(mutex_);
  End& end = ends_[id];
  end = {.peer = std::move(peer),
         .place = place,
         .terms = terms,
         .up = endpoint_ != nullptr && open_modules_.contains(terms.module),
         .attachments = {}};
  return end.up ? Place::up : Place::down;
}

void EndLinks::remove(const EndId& id) {
  const std::lock_guard lock(mutex_);
  const auto found = ends_.find(id);
  if (found == ends_.end()) return;
  while (!found->second.attachments.empty())
    give_up(found->second, found->second.attachments.begin()->first);
  ends_.erase(found);
}

Result<void> EndLinks::transmit(const EndId& id, ModuleVersion version, const EndMessage& message) {
  const std::lock_guard lock(mutex_);
  const auto found = ends_.find(id);
  if (found == ends_.end() || !found->second.up || endpoint_ == nullptr) return {};
  End& end = found->second;
  const EndStream kind = stream_of(message);
  if (kind == EndStream::control) {
    if (std::holds_alternative<channel::Attach>(message.content)) give_up(end, message.epoch);
    auto sent = send_control(id, end, version, message);
    if (std::holds_alternative<channel::Detach>(message.content)) {
      give_up(end, message.epoch);
      return {};  // the edge forgets it in time, if it did not hear of it
    }
    return sent;
  }
  const auto attachment = end.attachments.find(message.epoch);
  if (attachment == end.attachments.end()) return {};
  const StreamId stream =
      kind == EndStream::calls ? attachment->second.stream : attachment->second.state_stream;
  Stream& its = streams_.at(stream);
  its.waiting.push_back(message);
  auto sent = send_waiting(stream, its);
  if (!sent) {
    (void)send_control(id, end, version, {message.epoch, channel::Detach{}});
    give_up(end, message.epoch);
  }
  return sent;
}

Result<void> EndLinks::send_control(const EndId& id, const End& end, ModuleVersion version,
                                    const EndMessage& message) {
  EndHead head{.end = id, .message = message, .terms = {}, .streams = {}};
  if (const auto* const attach = std::get_if<channel::Attach>(&message.content)) {
    const OpenVersions& versions = open_modules_[end.terms.module];
    const auto open = versions.find(version);
    // One that is resumed is known there with its module, whether that is open or not.
    if (open == versions.end() && !attach->resume)
      return fail(Errc::unreachable, "this version of the module is not open there");
    head.terms = {.module_id = open == versions.end() ? 0 : open->second,
                  .object_class = end.terms.object_class,
                  .in_flight = end.terms.in_flight,
                  .priority = end.terms.priority,
                  .has_state = end.terms.has_state,
                  .has_effects = end.terms.has_effects};
  }
  const auto bytes = encode(head);
  return endpoint_->send(
      {.stream = channel::kControlStream, .head = bytes, .body = {}, .token = 0});
}

// The endpoint keeps count of the credits: what it calls overloaded waits for the next one.
Result<void> EndLinks::send_waiting(StreamId id, Stream& stream) {
  while (!stream.waiting.empty() && endpoint_ != nullptr) {
    const EndMessage& message = stream.waiting.front();
    const auto head = encode(EndHead{.end = {}, .message = message, .terms = {}, .streams = {}});
    const channel::SharedBytes body = body_of(message);
    const std::span<const std::byte> bytes =
        body == nullptr ? std::span<const std::byte>() : std::span(*body);
    const auto sent = endpoint_->send_quietly({.stream = id,
                                               .head = head,
                                               .body = std::span(&bytes, bytes.empty() ? 0 : 1),
                                               .token = kToken,
                                               .priority = stream.priority});
    if (!sent && sent.error().code == Errc::overloaded) return {};
    if (!sent && sent.error().code == Errc::unreachable) return {};  // on_down comes
    if (!sent) return std::unexpected(sent.error());
    if (*sent == channel::Sending::under_way) stream.being_sent.push_back(body);
    stream.waiting.pop_front();
  }
  return {};
}

// The edge may use the number of a stream again that this end gave up: what the endpoint still
// reads for the old one stays.
void EndLinks::open_stream(StreamId id, const EndId& end, channel::Epoch epoch,
                           std::uint8_t priority) {
  Stream& stream = streams_[id];
  stream.end = end;
  stream.epoch = epoch;
  stream.priority = priority;
  stream.given_up = false;
}

void EndLinks::give_up(End& end, channel::Epoch epoch) {
  const auto found = end.attachments.find(epoch);
  if (found == end.attachments.end()) return;
  give_up_stream(found->second.stream);
  give_up_stream(found->second.state_stream);
  end.attachments.erase(found);
  detached_.notify_all();
}

void EndLinks::give_up_stream(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  found->second.waiting.clear();
  found->second.given_up = true;
  if (found->second.being_sent.empty()) {
    streams_.erase(found);
    stream_count_.store(streams_.size(), std::memory_order_release);
  }
}

// --- For the session: the link

void EndLinks::on_module_open(const ModuleDescriptor& module, OpenVersions versions,
                              channel::Endpoint& endpoint) {
  std::vector<Addressee> told;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    endpoint_ = &endpoint;
    open_modules_[&module] = std::move(versions);
    for (auto& [id, end] : ends_) {
      if (end.terms.module != &module || std::exchange(end.up, true)) continue;
      told.push_back({end.peer.lock(), end.place});
    }
  }
  for (const Addressee& to : told) {
    if (to.peer != nullptr) to.peer->on_place_up(to.place);
  }
}

void EndLinks::forget_version(const ModuleDescriptor& module, ModuleVersion version) {
  const std::lock_guard lock(mutex_);
  if (const auto open = open_modules_.find(&module); open != open_modules_.end())
    open->second.erase(version);
}

void EndLinks::on_down() {
  arriving_.clear();
  std::vector<Addressee> told;
  {
    const std::lock_guard lock(mutex_);
    endpoint_ = nullptr;
    open_modules_.clear();
    streams_.clear();
    stream_count_.store(0, std::memory_order_release);
    for (auto& [id, end] : ends_) {
      end.attachments.clear();
      if (std::exchange(end.up, false)) told.push_back({end.peer.lock(), end.place});
    }
    detached_.notify_all();
  }
  for (const Addressee& to : told) {
    if (to.peer != nullptr) to.peer->on_place_down(to.place);
  }
}

void EndLinks::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  endpoint_ = nullptr;  // the bodies that it reads stay until this is destroyed
}

void EndLinks::reopen() {
  const std::lock_guard lock(mutex_);
  closed_ = false;
}

bool EndLinks::wait_idle(std::chrono::steady_clock::time_point deadline,
                         const std::stop_token& stop) {
  const std::stop_callback wakes(stop, [this] {
    const std::lock_guard lock(mutex_);
    detached_.notify_all();
  });
  std::unique_lock lock(mutex_);
  detached_.wait_until(lock, deadline, [&] { return idle() || stop.stop_requested(); });
  return idle();
}

bool EndLinks::idle() const {
  return std::ranges::all_of(ends_,
                             [](const auto& entry) { return entry.second.attachments.empty(); });
}

bool EndLinks::on_credit(StreamId id) {
  if (stream_count_.load(std::memory_order_acquire) == 0) return false;
  Addressee to;
  channel::Epoch epoch = 0;
  Result<void> sent;
  {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(id);
    if (found == streams_.end()) return false;
    sent = send_waiting(id, found->second);
    if (sent) return true;
    epoch = found->second.epoch;
    to = lose(found->second);
  }
  if (to.peer != nullptr) to.peer->on_no_room(to.place, epoch, sent.error());
  return true;
}

bool EndLinks::on_reset(StreamId id, const Error& why) {
  if (stream_count_.load(std::memory_order_acquire) == 0) return false;
  Addressee to;
  channel::Epoch epoch = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(id);
    if (found == streams_.end()) return false;
    if (found->second.given_up) return true;
    // What was on its way there is gone, so that this attachment can no longer be served in order.
    epoch = found->second.epoch;
    to = lose(found->second);
  }
  if (to.peer != nullptr) to.peer->on_end_message(to.place, {epoch, channel::Lost{why}});
  return true;
}

EndLinks::Addressee EndLinks::lose(const Stream& stream) {
  const EndId id = stream.end;
  const channel::Epoch epoch = stream.epoch;
  const auto end = ends_.find(id);
  if (end == ends_.end()) return {};
  if (endpoint_ != nullptr) (void)send_control(id, end->second, 0, {epoch, channel::Detach{}});
  give_up(end->second, epoch);
  return {end->second.peer.lock(), end->second.place};
}

void EndLinks::on_sent(StreamId id) {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.being_sent.empty()) return;
  found->second.being_sent.pop_front();
  if (found->second.given_up) give_up_stream(id);
}

// --- For the session: what comes in

Result<std::span<std::byte>> EndLinks::on_message_begin(StreamId stream,
                                                        std::span<const std::byte> head,
                                                        std::uint64_t body_size) {
  if (body_size > max_body_) return refuse_body(stream, body_size);
  auto decoded = decode_end(head, body_size);
  if (!decoded) return std::unexpected(decoded.error());
  Arriving& arriving = arriving_[stream];
  arriving.head = *std::move(decoded);
  arriving.body = std::make_shared<channel::Bytes>(static_cast<std::size_t>(body_size));
  return std::span(*arriving.body);
}

// The next place would answer as much: the end has to know that it is not the edge that failed.
std::unexpected<Error> EndLinks::refuse_body(StreamId stream, std::uint64_t body_size) {
  const Error why{Errc::resource_exhausted,
                  "a body of " + std::to_string(body_size) + " bytes is larger than is allowed"};
  Addressee to;
  channel::Epoch epoch = 0;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = streams_.find(stream);
        found != streams_.end() && !found->second.given_up) {
      epoch = found->second.epoch;
      to = lose(found->second);
    }
  }
  if (to.peer != nullptr) to.peer->on_no_room(to.place, epoch, why);
  return std::unexpected(why);
}

bool EndLinks::on_message_abandoned(StreamId stream) { return arriving_.erase(stream) != 0; }

bool EndLinks::on_message_end(StreamId stream) {
  const auto found = arriving_.find(stream);
  if (found == arriving_.end()) return false;
  Arriving arriving = std::move(found->second);
  arriving_.erase(found);
  put_body(arriving.head.message, std::move(arriving.body));
  Addressee to;
  {
    const std::lock_guard lock(mutex_);
    to = accept(stream, arriving.head);
  }
  if (to.peer != nullptr) to.peer->on_end_message(to.place, std::move(arriving.head.message));
  return true;
}

EndLinks::Addressee EndLinks::accept(StreamId stream, const EndHead& head) {
  const channel::Epoch epoch = head.message.epoch;
  EndId id = head.end;
  if (stream != channel::kControlStream) {
    const auto known = streams_.find(stream);
    if (known == streams_.end() || known->second.given_up || known->second.epoch != epoch)
      return {};
    id = known->second.end;
  }
  const auto found = ends_.find(id);
  if (found == ends_.end()) return {};
  End& end = found->second;
  if (std::holds_alternative<channel::Attached>(head.message.content)) {
    const auto [calls, state] = head.streams;
    if (calls != 0 && state != 0) {
      give_up(end, epoch);
      const auto in_use = [&](StreamId named) {
        const auto old = streams_.find(named);
        return old != streams_.end() && !old->second.given_up;
      };
      if (calls == state || in_use(calls) || in_use(state)) return {};
      end.attachments[epoch] = head.streams;
      open_stream(calls, id, epoch, end.terms.priority);
      open_stream(state, id, epoch, channel::kBulk);
      stream_count_.store(streams_.size(), std::memory_order_release);
    }
  } else if (std::holds_alternative<channel::Lost>(head.message.content)) {
    give_up(end, epoch);
  }
  return {end.peer.lock(), end.place};
}

}  // namespace aloft::function
