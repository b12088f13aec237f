#include "function/testing/scripted_edge.h"

#include <stdexcept>
#include <utility>

#include <gtest/gtest.h>

#include "function/fields.h"
#include <aloft/codec/writer.h>

namespace aloft::function::testing {
namespace {

constexpr std::chrono::seconds kPatience{10};

Bytes hello_of(std::string_view role, const std::string& secret) {
  codec::Writer writer;
  writer.map(secret.empty() ? 2 : 3);
  writer.string("role");
  writer.string(role);
  writer.string("software");
  writer.string("a script");
  if (!secret.empty()) {
    writer.string("resume_secret");
    writer.binary(std::as_bytes(std::span(secret)));
  }
  Bytes bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

}  // namespace

ScriptedEdge::ScriptedEdge(Options options) : options_(std::move(options)) {
  channel::EndpointOptions link;
  link.hello = hello_of(options_.role, options_.resume_secret);
  auto listener =
      channel::listen_tcp(io_, {.host = "127.0.0.1", .port = options_.port}, link, *this);
  if (!listener) throw std::runtime_error(listener.error().message);
  listener_ = *std::move(listener);
  address_ = listener_->address();
}

ScriptedEdge::~ScriptedEdge() {
  listener_.reset();
  drop_link();
}

Event ScriptedEdge::next() {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kPatience, [&] { return !events_.empty(); })) {
    ADD_FAILURE() << "the edge heard nothing";
    throw std::runtime_error("the edge heard nothing");
  }
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<Event> ScriptedEdge::next(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait(lock, stop, [&] { return !events_.empty(); })) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void ScriptedEdge::push(Event event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  changed_.notify_all();
}

void ScriptedEdge::send(channel::StreamId stream, const Message& message, Bytes body) {
  const Bytes head = encode(message);
  const std::lock_guard lock(mutex_);
  const std::uint64_t token = ++last_token_;
  const auto kept = sending_.emplace(token, std::move(body)).first;
  const std::span<const std::byte> whole = kept->second;
  const auto sent = endpoint_ == nullptr
                        ? fail(Errc::unreachable, "no link")
                        : endpoint_->send({.stream = stream,
                                           .head = head,
                                           .body = std::span(&whole, whole.empty() ? 0 : 1),
                                           .token = token});
  if (!sent) sending_.erase(token);
}

void ScriptedEdge::grant(channel::StreamId stream, std::uint64_t capacity) {
  const std::lock_guard lock(mutex_);
  if (endpoint_ != nullptr) endpoint_->grant(stream, capacity);
}

void ScriptedEdge::reset(channel::StreamId stream, const Error& why) {
  const std::lock_guard lock(mutex_);
  if (endpoint_ != nullptr) endpoint_->reset(stream, why);
}

Bytes ScriptedEdge::last_hello() {
  const std::lock_guard lock(mutex_);
  return last_hello_;
}

void ScriptedEdge::drop_link() {
  std::unique_ptr<channel::Endpoint> endpoint;
  {
    const std::lock_guard lock(mutex_);
    endpoint = std::move(endpoint_);
  }
  endpoint.reset();
  const std::lock_guard lock(mutex_);
  sending_.clear();
  arriving_.clear();
}

void ScriptedEdge::open_module(const std::vector<channel::StreamId>& streams,
                               std::uint64_t capacity) {
  const auto open = take<OpenModule>();
  send(channel::kControlStream, ModuleOpened{.module_id = open.module_id,
                                             .call_streams = streams,
                                             .engine = "scripted 1.0",
                                             .inference = "none"});
  for (const channel::StreamId stream : streams) grant(stream, capacity);
}

Result<channel::Receiver*> ScriptedEdge::accept(std::span<const std::byte> peer_hello,
                                                const channel::PeerInfo&) {
  const FieldReader fields(peer_hello, "hello");
  {
    const std::lock_guard lock(mutex_);
    last_hello_.assign(peer_hello.begin(), peer_hello.end());
  }
  if (options_.refuses_secrets && fields.has("resume"))
    return fail(Errc::refused, "this secret is unknown");
  if (options_.refuse_links) return std::unexpected(*options_.refuse_links);
  return static_cast<channel::Receiver*>(this);
}

void ScriptedEdge::ready(channel::Receiver*, std::unique_ptr<channel::Endpoint> endpoint) {
  const std::lock_guard lock(mutex_);
  endpoint_ = std::move(endpoint);
}

Result<std::span<std::byte>> ScriptedEdge::on_message_begin(channel::StreamId stream,
                                                            std::span<const std::byte> head,
                                                            std::uint64_t body_size) {
  {
    const std::lock_guard wait_until_allowed(reading_);
  }
  auto message = decode(head);
  if (!message) return std::unexpected(message.error());
  const std::lock_guard lock(mutex_);
  Arrived& arrived = arriving_[stream];
  arrived = {.stream = stream,
             .message = *std::move(message),
             .body = Bytes(static_cast<std::size_t>(body_size))};
  return std::span(arrived.body);
}

void ScriptedEdge::on_message_end(channel::StreamId stream) {
  Arrived arrived;
  {
    const std::lock_guard lock(mutex_);
    arrived = std::move(arriving_[stream]);
    arriving_.erase(stream);
  }
  push(std::move(arrived));
}

void ScriptedEdge::on_message_abandoned(channel::StreamId stream, const Error&) {
  const std::lock_guard lock(mutex_);
  arriving_.erase(stream);
}

void ScriptedEdge::on_reset(channel::StreamId stream, const Error& why) {
  push(StreamReset{stream, why});
}

void ScriptedEdge::on_sent(channel::StreamId, std::uint64_t token, const Result<void>&) {
  const std::lock_guard lock(mutex_);
  sending_.erase(token);
}

void ScriptedEdge::on_up(std::span<const std::byte>) { push(Connected{}); }

void ScriptedEdge::on_down(const Error&, std::chrono::steady_clock::time_point) { push(Lost{}); }

AutomaticEdge::AutomaticEdge(Answering answer, std::uint16_t port, std::uint64_t capacity)
    : answer_(std::move(answer)),
      capacity_(capacity),
      edge_({.role = "execution_handler", .refuse_links = {}, .port = port}) {
  thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

void AutomaticEdge::wait_for_unanswered_call() {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, kPatience, [&] { return unanswered_ > 0; }));
  --unanswered_;
}

void AutomaticEdge::work(const std::stop_token& stop) {
  channel::StreamId next_stream = 16;
  std::map<std::uint64_t, channel::StreamId> unanswered;  // by call
  while (const auto event = edge_.next(stop)) {
    if (std::holds_alternative<Connected>(*event)) next_stream = 16;
    const auto* const arrived = std::get_if<Arrived>(&*event);
    if (arrived == nullptr) continue;
    if (const auto* open = std::get_if<OpenModule>(&arrived->message)) {
      const std::vector<std::uint32_t> streams{next_stream, next_stream + 1};
      next_stream += 2;
      edge_.send(channel::kControlStream, ModuleOpened{.module_id = open->module_id,
                                                       .call_streams = streams,
                                                       .engine = "automatic 1.0",
                                                       .inference = "none"});
      for (const channel::StreamId stream : streams) edge_.grant(stream, capacity_);
    } else if (const auto* need = std::get_if<NeedCapacity>(&arrived->message)) {
      edge_.grant(arrived->stream, need->bytes);
    } else if (const auto* call = std::get_if<Call>(&arrived->message)) {
      if (auto answer = answer_(*call, arrived->body)) {
        answer->head.call_id = call->call_id;
        edge_.send(arrived->stream, answer->head, std::move(answer->body));
        edge_.grant(arrived->stream, capacity_);
      } else {
        unanswered[call->call_id] = arrived->stream;
        const std::lock_guard lock(mutex_);
        ++unanswered_;
        changed_.notify_all();
      }
    } else if (const auto* cancel = std::get_if<CancelCall>(&arrived->message)) {
      const auto found = unanswered.find(cancel->call_id);
      if (found != unanswered.end()) edge_.grant(found->second, capacity_);
    }
  }
}

}  // namespace aloft::function::testing
