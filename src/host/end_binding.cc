#include "host/end_binding.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <spdlog/spdlog.h>

namespace aloft::host {
namespace {

// Installs under way: the next one is received while one is decoded.
constexpr int kStateCredits = 2;

}  // namespace

std::string to_string(const EndKey& key) {
  return function::to_string(key.end) + "/" + std::to_string(key.epoch);
}

EndBinding::EndBinding(channel::Endpoint& endpoint, Terms terms, HeldBytes& held,
                       std::shared_ptr<BoundEnd> end)
    : endpoint_(endpoint), terms_(terms), held_(held), end_(std::move(end)) {}

std::shared_ptr<BoundEnd> EndBinding::bound() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

EndBinding::Incoming& EndBinding::incoming(channel::StreamId stream) {
  return incoming_[stream == terms_.streams.stream ? 0 : 1];
}

// --- I/O thread ------------------------------------------------------------------------

Result<std::span<std::byte>> EndBinding::begin(channel::StreamId stream,
                                               std::span<const std::byte> head,
                                               std::uint64_t body_size) {
  // Late, of an end that is over or served by another session: no credit follows.
  if (!bound()) return fail(Errc::cancelled, "this end is not attached here any more");
  auto decoded = function::decode_end(head, body_size);
  if (decoded && decoded->message.epoch != terms_.key.epoch)
    decoded = fail(Errc::protocol, "a message of another attachment on an end's stream");
  if (decoded && (stream == terms_.streams.stream
                      ? !std::holds_alternative<channel::Deliver>(decoded->message.content)
                      : !std::holds_alternative<channel::Install>(decoded->message.content))) {
    decoded = fail(Errc::protocol, "a message that does not travel on this stream of an end");
  }
  if (!decoded) {
    break_off(decoded.error());
    return std::unexpected(decoded.error());
  }
  auto body = held_.take(body_size);
  if (!body) {
    const Error full{Errc::overloaded, "the movable ends at this edge hold " +
                                           std::to_string(held_.held() >> 20U) +
                                           " MiB and take no more"};
    break_off(full);
    return std::unexpected(full);
  }
  Incoming& at = incoming(stream);
  at.message = std::move(decoded->message);
  at.body = std::move(body);
  return std::span(*at.body);
}

void EndBinding::end(channel::StreamId stream) {
  Incoming& at = incoming(stream);
  if (!at.body) return;
  function::put_body(at.message, std::exchange(at.body, nullptr));
  const auto end = bound();
  if (!end) return;
  grant(stream);
  end->received(*this, std::exchange(at.message, {}));
}

void EndBinding::abandon(channel::StreamId stream) { incoming(stream).body.reset(); }

void EndBinding::reset(const Error& why) {
  break_off({Errc::cancelled, "the UE gave up an end's message on its way: " + why.message});
}

void EndBinding::break_off(const Error& why) {
  if (const auto end = bound()) end->broken(*this, why);
}

void EndBinding::sent(std::uint64_t token) {
  bool attached = false;
  {
    const std::lock_guard lock(mutex_);
    const auto left = std::ranges::find(leaving_, token, &Leaving::token);
    if (left == leaving_.end()) return;
    attached = left->attached && end_;
    leaving_.erase(left);
  }
  if (attached) grant_all();
}

void EndBinding::control(channel::EndMessage message) {
  if (const auto end = bound()) end->received(*this, std::move(message));
}

bool EndBinding::down() {
  const auto end = bound();
  return end && end->unbind(*this);
}

bool EndBinding::idle() const {
  if (incoming_[0].body || incoming_[1].body) return false;
  const std::lock_guard lock(mutex_);
  return !end_ && leaving_.empty();
}

void EndBinding::grant(channel::StreamId stream) {
  endpoint_.grant(stream,
                  stream == terms_.streams.stream ? terms_.delivery_size : terms_.state_size);
}

void EndBinding::grant_all() {
  for (std::uint32_t i = 0; i < terms_.deliveries; ++i) grant(terms_.streams.stream);
  for (int i = 0; i < kStateCredits; ++i) grant(terms_.streams.state_stream);
}

// --- the end ---------------------------------------------------------------------------

void EndBinding::transmit(const channel::EndMessage& message) {
  const auto* const answer = std::get_if<channel::Attached>(&message.content);
  // An end that was to be known, and is not, gets no streams.
  const bool attached = answer != nullptr && (answer->known || !terms_.resumed);
  const auto where = function::stream_of(message);
  channel::StreamId stream = channel::kControlStream;
  // An end that could not be made has told no stream.
  if (attached_ && where == function::EndStream::calls) stream = terms_.streams.stream;
  if (attached_ && where == function::EndStream::state) stream = terms_.streams.state_stream;
  const auto head =
      function::encode({.end = terms_.key.end,
                        .message = message,
                        .terms = {},
                        .streams = attached ? terms_.streams : function::EndStreams{}});
  Leaving leaving{.token = 0, .body = function::body_of(message), .attached = attached};
  std::vector<std::span<const std::byte>> body;
  if (leaving.body && !leaving.body->empty()) body.emplace_back(*leaving.body);
  std::uint64_t token = 0;
  {
    const std::lock_guard lock(mutex_);
    token = leaving.token = (std::uint64_t{terms_.streams.stream} << 32U) | ++last_token_;
    leaving_.push_back(std::move(leaving));
  }
  attached_ |= attached;
  const auto sending = endpoint_.send_quietly(
      {.stream = stream,
       .head = head,
       .body = body,
       .token = token,
       .priority = where == function::EndStream::state ? channel::kBulk : terms_.priority});
  if (sending == channel::Sending::under_way) return;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(leaving_, [&](const Leaving& one) { return one.token == token; });
  }
  if (sending) {
    if (attached) grant_all();
    return;
  }
  if (sending.error().code != Errc::unreachable) {
    spdlog::warn("end {}: {}", to_string(terms_.key), sending.error().message);
    endpoint_.close({Errc::overloaded, "the UE does not read what it is sent"});
  }
}

void EndBinding::send_line(std::span<const std::byte> head) {
  // A link that is down or full takes no more lines.
  (void)endpoint_.send({.stream = channel::kControlStream, .head = head, .body = {}});
}

void EndBinding::release() {
  std::shared_ptr<BoundEnd> end;  // destroyed outside of the mutex
  const std::lock_guard lock(mutex_);
  end_.swap(end);
}

}  // namespace aloft::host
