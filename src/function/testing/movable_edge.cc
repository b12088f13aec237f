#include "function/testing/movable_edge.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "channel/movable_end.h"
#include <aloft/codec.h>

namespace aloft::function::testing {
namespace {

using channel::EndMessage;
using channel::SharedBytes;
using channel::StreamId;

constexpr std::chrono::seconds kPatience{10};

std::vector<std::byte> bytes_of(codec::Writer& writer) {
  std::vector<std::byte> bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

std::vector<std::byte> hello() {
  codec::Writer writer;
  writer.map(2);
  writer.string("role");
  writer.string("execution_handler");
  writer.string("software");
  writer.string("a test");
  return bytes_of(writer);
}

}  // namespace

// One attachment. Under the edge's lock, but for run().
class MovableEdge::End final : public channel::MovableEndHost,
                               public channel::MovableEndPort,
                               public std::enable_shared_from_this<End> {
 public:
  End(MovableEdge& edge, const EndHead& attach, EdgeObject object)
      : id(attach.end),
        terms(attach.terms),
        edge_(edge),
        object_(std::move(object)),
        movable(attach.message.epoch, options(attach.terms), *this, *this) {}

  void execute(channel::Sequence, std::uint32_t method, SharedBytes body) override {
    begin([this, method, body = std::move(body)] { return run_function(method, *body); },
          [this](Result<SharedBytes> made) {
            const bool lives = made.has_value() || object_.native == nullptr;
            movable.executed(std::move(made), lives);
          });
  }
  void save() override {
    begin(
        [this]() -> Result<SharedBytes> {
          codec::Writer writer;
          object_.native->save(writer);
          return std::make_shared<const channel::Bytes>(bytes_of(writer));
        },
        [this](Result<SharedBytes> made) { movable.saved(std::move(made)); });
  }
  void load(SharedBytes state) override {
    begin(
        [this, state = std::move(state)]() -> Result<SharedBytes> {
          if (auto loaded = object_.native->load(*state); !loaded)
            return std::unexpected(loaded.error());
          return nullptr;
        },
        [this](Result<SharedBytes> made) {
          movable.loaded(made ? Result<void>() : std::unexpected(made.error()));
        });
  }
  void transmit(EndMessage message) override {
    const bool attached = std::holds_alternative<channel::Attached>(message.content);
    StreamId stream = channel::kControlStream;
    if (std::holds_alternative<channel::Lost>(message.content) && streams.stream != 0) {
      stream = streams.stream;
    } else if (stream_of(message) == EndStream::calls) {
      stream = streams.stream;
    } else if (stream_of(message) == EndStream::state) {
      stream = streams.state_stream;
    }
    SharedBytes body = body_of(message);
    edge_.send(stream,
               encode(EndHead{.end = id,
                              .message = std::move(message),
                              .terms = {},
                              .streams = attached ? streams : EndStreams{}}),
               std::move(body));
    if (!attached || edge_.endpoint_ == nullptr) return;
    for (std::uint32_t i = 0; i < terms.in_flight; ++i)
      edge_.endpoint_->grant(streams.stream, edge_.capacity_);
    for (int i = 0; i < 2; ++i) edge_.endpoint_->grant(streams.state_stream, edge_.capacity_);
  }

  const EndId id;
  const AttachTerms terms;
  EndStreams streams;
  std::function<Result<SharedBytes>()> job;
  std::function<void(Result<SharedBytes>)> then;
  bool running = false;

 private:
  static channel::MovableEndOptions options(const AttachTerms& terms) {
    channel::MovableEndOptions made;
    made.has_state = terms.has_state;
    return made;
  }
  void begin(std::function<Result<SharedBytes>()> what,
             std::function<void(Result<SharedBytes>)> after) {
    job = std::move(what);
    then = std::move(after);
    edge_.to_run_.push_back(shared_from_this());
    edge_.changed_.notify_all();
  }
  Result<SharedBytes> run_function(std::uint32_t method, std::span<const std::byte> arguments) {
    {
      const std::lock_guard lock(edge_.mutex_);
      ++edge_.runs_;
    }
    auto result = edge_.module_.functions[method].run_encoded(
        object_.native == nullptr ? nullptr : object_.native->object(), arguments);
    if (!result) return std::unexpected(result.error());
    return std::make_shared<const channel::Bytes>(*std::move(result));
  }

  MovableEdge& edge_;
  EdgeObject object_;

 public:
  channel::MovableEnd movable;
};

MovableEdge::MovableEdge(const ModuleDescriptor& module, MakeObject make, std::uint64_t capacity)
    : module_(module), make_(std::move(make)), capacity_(capacity) {
  channel::EndpointOptions link;
  link.hello = hello();
  auto listener = channel::listen_tcp(io_, {.host = "127.0.0.1", .port = 0}, link, *this);
  if (!listener) throw std::runtime_error(listener.error().message);
  listener_ = *std::move(listener);
  address_ = listener_->address();
  worker_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

MovableEdge::~MovableEdge() {
  listener_.reset();
  drop_link();
  worker_ = {};
}

void MovableEdge::drop_link() {
  std::unique_ptr<channel::Endpoint> endpoint;
  {
    const std::lock_guard lock(mutex_);
    endpoint = std::move(endpoint_);
  }
  endpoint.reset();
  const std::lock_guard lock(mutex_);
  arriving_.clear();
  being_sent_.clear();
  for (const auto& [key, end] : ends_) {
    end->streams = {};
    end->movable.link_down();
  }
  sweep();
}

void MovableEdge::lose_process() {
  {
    const std::lock_guard lock(mutex_);
    ends_.clear();
    to_run_.clear();
  }
  drop_link();
}

void MovableEdge::pause() {
  const std::lock_guard lock(mutex_);
  paused_ = true;
}

void MovableEdge::go_on() {
  const std::lock_guard lock(mutex_);
  paused_ = false;
  changed_.notify_all();
}

void MovableEdge::refuse(std::optional<Error> why) {
  const std::lock_guard lock(mutex_);
  refusal_ = std::move(why);
}

bool MovableEdge::wait_for_deliveries(std::uint64_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return deliveries_ >= count; });
}

std::uint64_t MovableEdge::runs() const {
  const std::lock_guard lock(mutex_);
  return runs_;
}

bool MovableEdge::wait_for_ends(std::size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return ends_.size() == count; });
}

// --- The link

Result<channel::Receiver*> MovableEdge::accept(std::span<const std::byte>,
                                               const channel::PeerInfo&) {
  return static_cast<channel::Receiver*>(this);
}

void MovableEdge::ready(channel::Receiver*, std::unique_ptr<channel::Endpoint> endpoint) {
  const std::lock_guard lock(mutex_);
  endpoint_ = std::move(endpoint);
}

void MovableEdge::on_down(const Error&, std::chrono::steady_clock::time_point) {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, end] : ends_) {
    end->streams = {};
    end->movable.link_down();
  }
  sweep();
}

Result<std::span<std::byte>> MovableEdge::on_message_begin(StreamId stream,
                                                           std::span<const std::byte> head,
                                                           std::uint64_t body_size) {
  Arriving arriving;
  if (is_end_head(head)) {
    auto decoded = decode_end(head, body_size);
    if (!decoded) return std::unexpected(decoded.error());
    arriving.head = *std::move(decoded);
  } else if (auto message = decode(head); message && std::holds_alternative<OpenModule>(*message)) {
    arriving.open = std::get<OpenModule>(*std::move(message));
  }
  arriving.body = std::make_shared<channel::Bytes>(static_cast<std::size_t>(body_size));
  const std::span<std::byte> room(*arriving.body);
  const std::lock_guard lock(mutex_);
  arriving_[stream] = std::move(arriving);
  return room;
}

void MovableEdge::on_message_abandoned(StreamId stream, const Error&) {
  const std::lock_guard lock(mutex_);
  arriving_.erase(stream);
}

void MovableEdge::on_message_end(StreamId stream) {
  const std::lock_guard lock(mutex_);
  Arriving arriving = std::move(arriving_[stream]);
  arriving_.erase(stream);
  if (arriving.open) {
    send(channel::kControlStream,
         encode(Message(ModuleOpened{.module_id = arriving.open->module_id,
                                     .call_streams = {16},
                                     .engine = "native 1.0",
                                     .inference = "none"})),
         nullptr);
  } else if (arriving.head) {
    put_body(arriving.head->message, std::move(arriving.body));
    take(stream, *std::move(arriving.head));
  }
}

void MovableEdge::on_sent(StreamId, std::uint64_t token, const Result<void>&) {
  const std::lock_guard lock(mutex_);
  being_sent_.erase(token);
}

void MovableEdge::send(StreamId stream, const std::vector<std::byte>& head, SharedBytes body) {
  if (endpoint_ == nullptr) return;
  const std::uint64_t token = ++last_token_;
  const std::span<const std::byte> bytes =
      body == nullptr ? std::span<const std::byte>() : std::span(*body);
  being_sent_[token] = std::move(body);
  const auto sent = endpoint_->send({.stream = stream,
                                     .head = head,
                                     .body = std::span(&bytes, bytes.empty() ? 0 : 1),
                                     .token = token});
  if (!sent) being_sent_.erase(token);
}

// --- The ends

void MovableEdge::take(StreamId stream, EndHead head) {
  if (std::holds_alternative<channel::Attach>(head.message.content)) return attach(head);
  const auto found = std::ranges::find_if(ends_, [&](const auto& entry) {
    const End& end = *entry.second;
    return entry.first.second == head.message.epoch &&
           (stream == channel::kControlStream
                ? end.id == head.end
                : end.streams.stream == stream || end.streams.state_stream == stream);
  });
  if (found != ends_.end()) {
    const std::shared_ptr<End> end = found->second;
    if (std::holds_alternative<channel::Deliver>(head.message.content)) {
      ++deliveries_;
      changed_.notify_all();
    }
    end->movable.received(std::move(head.message));
  }
  if (stream != channel::kControlStream && endpoint_ != nullptr)
    endpoint_->grant(stream, capacity_);
  sweep();
}

void MovableEdge::attach(const EndHead& head) {
  const Key key(head.end, head.message.epoch);
  auto found = ends_.find(key);
  const auto answer = [&](EndMessage message) {
    send(
        channel::kControlStream,
        encode(EndHead{.end = head.end, .message = std::move(message), .terms = {}, .streams = {}}),
        nullptr);
  };
  if (std::get<channel::Attach>(head.message.content).resume) {
    if (found == ends_.end()) return answer(channel::MovableEnd::unknown(head.message.epoch));
  } else {
    if (refusal_) return answer({head.message.epoch, channel::Lost{*refusal_}});
    EdgeObject object;
    if (head.terms.object_class) object = make_(*head.terms.object_class);
    found =
        ends_.insert_or_assign(key, std::make_shared<End>(*this, head, std::move(object))).first;
  }
  found->second->streams = {next_stream_, next_stream_ + 1};
  next_stream_ += 2;
  const std::shared_ptr<End> end = found->second;
  end->movable.received(head.message);
  sweep();
}

void MovableEdge::sweep() {
  std::erase_if(ends_, [](const auto& entry) {
    return entry.second->movable.detached() && !entry.second->running;
  });
  changed_.notify_all();
}

void MovableEdge::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [&] { return !paused_ && !to_run_.empty(); })) {
    const std::shared_ptr<End> end = std::move(to_run_.front());
    to_run_.pop_front();
    const auto job = std::move(end->job);
    const auto then = std::move(end->then);
    end->running = true;
    lock.unlock();
    auto made = job();
    lock.lock();
    end->running = false;
    const auto found =
        std::ranges::find_if(ends_, [&](const auto& entry) { return entry.second == end; });
    if (found != ends_.end()) then(std::move(made));
    sweep();
  }
}

}  // namespace aloft::function::testing
