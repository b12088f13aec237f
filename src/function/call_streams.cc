#include "function/call_streams.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

namespace aloft::function {
namespace {

// Microseconds: what a thread needs to wake up.
constexpr std::uint64_t kBrief = 10;

}  // namespace

void CallStreams::open(std::span<const channel::StreamId> streams, std::size_t instances) {
  if (instances == 0) instances = std::max<std::size_t>(1, streams.size());
  streams_.clear();
  streams_.reserve(streams.size());
  for (const channel::StreamId id : streams) {
    Stream& made = streams_.emplace_back();
    made.id = id;
    made.instance = (streams_.size() - 1) % instances;
  }
  instances_.assign(std::min(instances, streams.size()), {});
  brief_.clear();
  active_ = 0;
  extra_on_stream_ = false;
}

std::vector<RemoteCall*> CallStreams::close() {
  std::vector<RemoteCall*> calls;
  for (const Stream& stream : streams_) {
    if (stream.call != nullptr) calls.push_back(stream.call);
  }
  calls.insert(calls.end(), waiting_.begin(), waiting_.end());
  if (waiting_extra_ != nullptr) calls.push_back(std::exchange(waiting_extra_, nullptr));
  extra_on_stream_ = false;
  streams_.clear();
  instances_.clear();
  waiting_.clear();
  active_ = 0;
  return calls;
}

CallStreams::Stream* CallStreams::find_stream(channel::StreamId id) {
  const auto found = std::ranges::find(streams_, id, &Stream::id);
  return found == streams_.end() ? nullptr : &*found;
}

bool CallStreams::contains(channel::StreamId stream) const {
  return std::ranges::find(streams_, stream, &Stream::id) != streams_.end();
}

const RemoteCall* CallStreams::call_on(channel::StreamId stream) const {
  const auto found = std::ranges::find(streams_, stream, &Stream::id);
  return found == streams_.end() ? nullptr : found->call;
}

const RemoteCall* CallStreams::find(std::uint64_t number) const {
  for (const Stream& stream : streams_) {
    if (stream.call != nullptr && stream.call->request.number == number) return stream.call;
  }
  return nullptr;
}

bool CallStreams::holds(const RemoteCall& call) const {
  return std::ranges::find(streams_, &call, &Stream::call) != streams_.end() ||
         std::ranges::find(waiting_, &call) != waiting_.end() || waiting_extra_ == &call;
}

bool CallStreams::add(RemoteCall& call) {
  call.sent_ = false;
  call.over_ = false;
  if (call.request.rank == Rank::extra) {
    if (waiting_extra_ != nullptr || extra_on_stream_) return false;
    waiting_extra_ = &call;
    return true;
  }
  const bool can_go_now = waiting_.empty() && active_ < limits_.calls;
  if (!can_go_now && waiting_.size() >= limits_.waiting) return false;
  waiting_.push_back(&call);
  return true;
}

std::optional<CallStreams::Step> CallStreams::next() {
  if (extra_may_go()) {
    RemoteCall& extra = *std::exchange(waiting_extra_, nullptr);
    extra_on_stream_ = true;
    return begin(extra, *choose(extra));
  }
  if (waiting_.empty() || active_ >= limits_.calls) return std::nullopt;
  RemoteCall& call = *waiting_.front();
  Stream* const chosen = choose(call);
  if (chosen == nullptr) return std::nullopt;
  waiting_.pop_front();
  ++active_;
  return begin(call, *chosen);
}

bool CallStreams::extra_may_go() const {
  if (waiting_extra_ == nullptr || !waiting_.empty()) return false;
  return std::ranges::count(streams_, Stream::State::ready, &Stream::state) > 1;
}

CallStreams::Step CallStreams::begin(RemoteCall& call, Stream& stream) {
  stream.brief = is_brief(call);
  ++load(stream);
  const bool fits = stream.capacity >= call.request.argument_bytes;
  stream.state = fits ? Stream::State::calling : Stream::State::growing;
  stream.capacity = 0;
  stream.call = &call;
  call.reply.handed_over = fits;
  return Step{fits ? Step::Kind::call : Step::Kind::need_capacity, stream.id, &call};
}

bool CallStreams::is_brief(const RemoteCall& call) const {
  const FunctionDescriptor* const function = call.request.function;
  return function != nullptr && function->index < brief_.size() && brief_[function->index];
}

std::size_t& CallStreams::load(const Stream& stream) {
  Instance& instance = instances_[stream.instance];
  return stream.brief ? instance.brief : instance.other;
}

CallStreams::Stream* CallStreams::choose(const RemoteCall& call) {
  const bool brief = is_brief(call);
  // Less is better; of equals, what the edge lists first.
  const auto price = [&](const Stream& stream) {
    const Instance& instance = instances_[stream.instance];
    const bool too_small = stream.capacity < call.request.argument_bytes;
    return brief ? std::tuple(too_small, instance.other, stream.instance)
                 : std::tuple(too_small, instance.other + instance.brief, std::size_t{0});
  };
  Stream* chosen = nullptr;
  for (Stream& stream : streams_) {
    if (stream.state != Stream::State::ready) continue;
    if (chosen == nullptr || price(stream) < price(*chosen)) chosen = &stream;
  }
  return chosen;
}

RemoteCall* CallStreams::release(Stream& stream) {
  if (stream.call->request.rank == Rank::extra) {
    extra_on_stream_ = false;
  } else {
    --active_;
  }
  --load(stream);
  stream.state = stream.capacity > 0 ? Stream::State::ready : Stream::State::idle;
  return std::exchange(stream.call, nullptr);
}

// Sets the outcome of the call on `stream`. Answers the call if it ends by that: the endpoint may
// still be reading it.
RemoteCall* CallStreams::settle(Stream& stream, Result<void> outcome) {
  RemoteCall& call = *stream.call;
  if (!call.over_) {
    call.over_ = true;
    call.reply.outcome = std::move(outcome);
  }
  const bool read = call.sent_ || stream.state == Stream::State::growing;
  return read ? release(stream) : nullptr;
}

RemoteCall* CallStreams::on_credit(channel::StreamId id, std::uint64_t capacity) {
  Stream* const stream = find_stream(id);
  if (stream == nullptr) return nullptr;
  // A credit for nothing at all still is one.
  stream->capacity = std::max({stream->capacity, capacity, std::uint64_t{1}});
  switch (stream->state) {
    case Stream::State::idle: stream->state = Stream::State::ready; return nullptr;
    case Stream::State::ready:
    case Stream::State::calling: return nullptr;
    case Stream::State::growing: break;
  }
  if (capacity < stream->call->request.argument_bytes) {
    return settle(*stream,
                  fail(Errc::resource_exhausted,
                       "the edge has no room for arguments of " +
                           std::to_string(stream->call->request.argument_bytes) + " bytes"));
  }
  RemoteCall* const grown = release(*stream);
  if (grown->request.rank == Rank::extra) {
    waiting_extra_ = grown;
  } else {
    waiting_.push_front(grown);
  }
  return nullptr;
}

RemoteCall* CallStreams::on_send_failed(channel::StreamId id, const Error& why) {
  Stream* const stream = find_stream(id);
  if (stream == nullptr || stream->call == nullptr) return nullptr;
  stream->call->sent_ = true;
  stream->call->reply.handed_over = false;
  return settle(*stream, std::unexpected(why));
}

RemoteCall* CallStreams::on_sent(channel::StreamId id) {
  Stream* const stream = find_stream(id);
  if (stream == nullptr || stream->state != Stream::State::calling) return nullptr;
  stream->call->sent_ = true;
  return stream->call->over_ ? release(*stream) : nullptr;
}

RemoteCall* CallStreams::on_failed(channel::StreamId id, const Error& why) {
  Stream* const stream = find_stream(id);
  if (stream == nullptr || stream->call == nullptr) return nullptr;
  return settle(*stream, std::unexpected(why));
}

std::span<std::byte> CallStreams::on_return_begin(channel::StreamId id, Return head,
                                                  std::size_t body_size, std::uint64_t wire_bytes) {
  Stream& stream = *find_stream(id);
  stream.head = std::move(head);
  stream.body = body_size == 0 ? nullptr : std::make_unique_for_overwrite<std::byte[]>(body_size);
  stream.body_size = body_size;
  stream.wire_bytes = wire_bytes;
  return {stream.body.get(), body_size};
}

RemoteCall* CallStreams::on_return_end(channel::StreamId id) {
  Stream* const stream = find_stream(id);
  if (stream == nullptr) return nullptr;
  auto body = std::move(stream->body);
  const bool awaited = stream->state == Stream::State::calling && !stream->call->over_ &&
                       stream->call->request.number == stream->head.call_id;
  if (!awaited) return nullptr;  // of a call that was given up
  RemoteReply& reply = stream->call->reply;
  if (const auto* const function = stream->call->request.function; function != nullptr) {
    if (brief_.size() <= function->index) brief_.resize(function->index + 1);
    brief_[function->index] = !stream->head.error && stream->head.run_us <= kBrief;
  }
  reply.head = std::move(stream->head);
  reply.body = std::move(body);
  reply.body_size = stream->body_size;
  reply.rx_bytes += stream->wire_bytes;
  return settle(*stream, {});
}

void CallStreams::on_return_abandoned(channel::StreamId id) {
  if (Stream* const stream = find_stream(id)) stream->body.reset();
}

CallStreams::GivenUp CallStreams::give_up(RemoteCall& call, const Error& why) {
  if (const auto waits = std::ranges::find(waiting_, &call); waits != waiting_.end()) {
    waiting_.erase(waits);
    call.reply.outcome = std::unexpected(why);
    return {.ended = &call};
  }
  if (waiting_extra_ == &call) {
    waiting_extra_ = nullptr;
    call.reply.outcome = std::unexpected(why);
    return {.ended = &call};
  }
  const auto stream = std::ranges::find(streams_, &call, &Stream::call);
  if (stream == streams_.end() || call.over_) return {};
  const bool growing = stream->state == Stream::State::growing;
  GivenUp given_up{.stream = stream->id, .ended = settle(*stream, std::unexpected(why))};
  if (!growing)
    given_up.tell = given_up.ended == nullptr ? GiveUp::reset_stream : GiveUp::cancel_call;
  return given_up;
}

}  // namespace aloft::function
