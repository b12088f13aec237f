#include "host/testing/end_ue.h"

#include "host/testing/hellos.h"

namespace aloft::host::testing {

SharedBytes shared(std::vector<std::byte> bytes) {
  return std::make_shared<const channel::Bytes>(std::move(bytes));
}

EndUe::EndUe(const net::Address& address) {
  const std::lock_guard lock(mutex_);
  endpoint_ = channel::connect_tcp(
      io_, address, {.hello = plain_hello(), .receive = channel::CreditRule::not_required}, *this);
}

EndUe::~EndUe() { endpoint_.reset(); }

bool EndUe::wait_up(Limit limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [this] { return up_; });
}

Result<void> EndUe::open(function::OpenModule request) {
  if (!wait_up()) return fail(Errc::unreachable, "not up");
  const std::uint32_t id = request.module_id;
  const auto head = function::encode(std::move(request));
  if (auto sent = endpoint_->send({.stream = channel::kControlStream, .head = head, .body = {}});
      !sent) {
    return sent;
  }
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kLimit, [&] { return opened_.contains(id); }))
    return fail(Errc::deadline_exceeded, "the edge did not answer OpenModule");
  return opened_.at(id);
}

void EndUe::attach(const EndKey& key, const function::AttachTerms& terms, channel::Attach attach) {
  const auto head = function::encode({.end = key.end,
                                      .message = {.epoch = key.epoch, .content = attach},
                                      .terms = terms,
                                      .streams = {}});
  (void)endpoint_->send({.stream = channel::kControlStream, .head = head, .body = {}});
}

Result<void> EndUe::send(const EndKey& key, channel::EndMessage message) {
  message.epoch = key.epoch;
  const auto where = function::stream_of(message);
  const auto head =
      function::encode({.end = key.end, .message = message, .terms = {}, .streams = {}});
  const SharedBytes body = function::body_of(message);
  std::vector<std::span<const std::byte>> segments;
  if (body && !body->empty()) segments.emplace_back(*body);
  std::unique_lock lock(mutex_);
  channel::StreamId stream = channel::kControlStream;
  if (where != function::EndStream::control) {
    const auto streams = streams_[key];
    stream = where == function::EndStream::calls ? streams.stream : streams.state_stream;
    if (!changed_.wait_for(lock, kLimit, [&] { return credits_[stream] > 0 || !up_; }) || !up_)
      return fail(Errc::overloaded, "no credit came");
    --credits_[stream];
  }
  const std::uint64_t token = ++last_token_;
  leaving_[token] = body;
  lock.unlock();
  return endpoint_->send({.stream = stream, .head = head, .body = segments, .token = token});
}

Result<void> EndUe::deliver(const EndKey& key, channel::Sequence sequence, std::uint32_t method,
                            std::vector<std::byte> body) {
  return send(key, {.content = channel::Deliver{
                        .sequence = sequence, .method = method, .body = shared(std::move(body))}});
}

std::size_t EndUe::unheard(const EndKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = heard_.find(key);
  return found == heard_.end() ? 0 : found->second.size();
}

std::vector<function::GuestLog> EndUe::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

bool EndUe::wait_reset(const EndKey& key, Limit limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] {
    return resets_[streams_[key].stream] || resets_[streams_[key].state_stream];
  });
}

function::EndStreams EndUe::streams_of(const EndKey& key) const {
  const std::lock_guard lock(mutex_);
  return streams_.at(key);
}

// --- I/O thread ------------------------------------------------------------------------

Result<std::span<std::byte>> EndUe::on_message_begin(channel::StreamId stream,
                                                     std::span<const std::byte> head,
                                                     std::uint64_t body_size) {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
  if (!function::is_end_head(head)) {
    const auto message = function::decode(head);
    if (!message) return std::unexpected(message.error());
    if (const auto* line = std::get_if<function::GuestLog>(&*message)) log_.push_back(*line);
    if (const auto* opened = std::get_if<function::ModuleOpened>(&*message))
      opened_.emplace(opened->module_id, Result<void>{});
    if (const auto* refused = std::get_if<function::ModuleRefused>(&*message))
      opened_.emplace(refused->module_id, std::unexpected(refused->why));
    return std::span<std::byte>{};
  }
  auto decoded = function::decode_end(head, body_size);
  if (!decoded) return std::unexpected(decoded.error());
  EndKey key{decoded->end, decoded->message.epoch};
  if (std::holds_alternative<channel::Attached>(decoded->message.content)) {
    streams_[key] = decoded->streams;
    keys_[decoded->streams.stream] = key;
    keys_[decoded->streams.state_stream] = key;
  }
  if (stream != channel::kControlStream) key = keys_[stream];
  Incoming& at = incoming_[stream];
  at = {key, std::move(decoded->message), std::make_shared<channel::Bytes>(body_size)};
  return std::span(*at.body);
}

void EndUe::on_message_end(channel::StreamId stream) {
  const std::lock_guard lock(mutex_);
  const auto found = incoming_.find(stream);
  if (found == incoming_.end()) return;
  Incoming at = std::move(found->second);
  incoming_.erase(found);
  function::put_body(at.message, std::move(at.body));
  heard_[at.key].push_back(std::move(at.message.content));
  changed_.notify_all();
}

void EndUe::on_credit(channel::StreamId stream, std::uint64_t) {
  const std::lock_guard lock(mutex_);
  ++credits_[stream];
  changed_.notify_all();
}

void EndUe::on_reset(channel::StreamId stream, const Error&) {
  const std::lock_guard lock(mutex_);
  resets_[stream] = true;
  changed_.notify_all();
}

void EndUe::on_sent(channel::StreamId, std::uint64_t token, const Result<void>&) {
  const std::lock_guard lock(mutex_);
  leaving_.erase(token);
}

void EndUe::on_up(std::span<const std::byte>) {
  const std::lock_guard lock(mutex_);
  up_ = true;
  changed_.notify_all();
}

void EndUe::on_down(const Error&, std::chrono::steady_clock::time_point) {
  const std::lock_guard lock(mutex_);
  up_ = false;
  changed_.notify_all();
}

}  // namespace aloft::host::testing
