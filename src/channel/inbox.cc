#include "channel/inbox.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "wire/error_text.h"

namespace aloft::channel {
namespace {

std::unexpected<Error> violation(StreamId stream, const std::string& what) {
  return fail(Errc::protocol, "message frame on stream " + std::to_string(stream) + ": " + what);
}

}  // namespace

Inbox::Inbox(CreditRule rule, aloft::Bytes max_body, Sink& sink)
    : rule_(rule), max_body_(max_body), sink_(sink) {}

Inbox::Incoming* Inbox::find(StreamId stream) {
  const auto found = std::ranges::find(incoming_, stream, &Incoming::stream);
  return found == incoming_.end() ? nullptr : &*found;
}

void Inbox::forget(StreamId stream) {
  std::erase_if(incoming_, [&](const Incoming& message) { return message.stream == stream; });
}

std::size_t Inbox::needed() const {
  if (!header_) return wire::kHeaderSize;
  return header_->type == wire::FrameType::message ? header_->head_size : header_->length;
}

std::span<const iovec> Inbox::where() {
  // Whatever is buffered is the start of something that is incomplete: it moves to the front, and
  // the rest has room.
  if (buffer_begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + buffer_begin_, buffered());
    buffer_end_ -= buffer_begin_;
    buffer_begin_ = 0;
  }
  if (in_body_ && !incoming_[current_].given_up) {
    const Incoming& message = incoming_[current_];
    const std::size_t ahead =
        message.received + body_left_ < message.body_size ? wire::kHeaderSize : kReadAhead;
    direct_ = body_left_;
    places_[0] = {message.body.data() + message.received, body_left_};
    places_[1] = {buffer_.data(), ahead};
    return places_;
  }
  direct_ = 0;
  const std::size_t wanted = in_body_ ? kBuffer : std::max(needed(), kReadAhead);
  places_[0] = {buffer_.data() + buffer_end_, wanted - buffer_end_};
  return std::span(places_).first(1);
}

Result<void> Inbox::received(std::size_t size) {
  if (stopped_) return {};
  const std::size_t direct = std::min(size, direct_);
  if (direct > 0) take_body(direct);
  buffer_end_ += size - direct;
  return parse();
}

Result<void> Inbox::parse() {
  for (;;) {
    auto more = parse_one();
    if (!more) return std::unexpected(std::move(more).error());
    if (!*more || stopped_) return {};
  }
}

// Does what can be done with what is buffered; false when it takes more bytes.
Result<bool> Inbox::parse_one() {
  if (in_body_) {
    const std::size_t size = std::min(buffered(), body_left_);
    if (size == 0) return false;
    const Incoming& message = incoming_[current_];
    if (!message.given_up)
      std::memcpy(message.body.data() + message.received, buffer_.data() + buffer_begin_, size);
    buffer_begin_ += size;
    take_body(size);
    return true;
  }
  if (buffered() < needed()) return false;
  if (!header_) {
    auto header = wire::unpack(std::span<const std::byte, wire::kHeaderSize>(
        buffer_.data() + buffer_begin_, wire::kHeaderSize));
    if (!header) return std::unexpected(std::move(header).error());
    buffer_begin_ += wire::kHeaderSize;
    header_ = *header;
    return true;
  }
  Result<void> done;
  if (header_->type == wire::FrameType::message) {
    done = begin_fragment();
  } else {
    const std::span payload(buffer_.data() + buffer_begin_, header_->length);
    buffer_begin_ += payload.size();
    done = finish_small_frame(payload);
    header_.reset();
  }
  if (!done) return std::unexpected(std::move(done).error());
  return true;
}

Result<void> Inbox::begin_fragment() {
  const StreamId stream = header_->stream;
  if (wire::is_first(header_->part)) {
    if (auto begun = begin_message(); !begun || stopped_) return begun;
  }
  Incoming* message = find(stream);
  if (!message) return violation(stream, "flags lack `first` and no message is under way");

  body_left_ = header_->length - header_->head_size;
  const std::uint64_t after = message->received + body_left_;
  if (after > message->body_size) {
    return violation(stream, "length goes " + std::to_string(after - message->body_size) +
                                 " bytes beyond the message's body");
  }
  if ((after == message->body_size) != wire::is_last(header_->part))
    return violation(stream, "flags and length differ about whether the message ends");
  current_ = static_cast<std::size_t>(message - incoming_.data());
  in_body_ = true;
  if (body_left_ == 0) end_fragment();
  return {};
}

Result<void> Inbox::begin_message() {
  const StreamId stream = header_->stream;
  const std::uint64_t body_size = header_->number;
  if (const Incoming* old = find(stream)) {
    // A message that was given up here may end without its rest, as the peer was told to give it up
    // too.
    if (!old->given_up) return violation(stream, "flags have `first`, and a message is under way");
    forget(stream);
  }
  if (incoming_.size() >= kMaxUnfinished)
    return violation(stream, "1024 other messages are under way already");
  if (auto credit = take_credit(body_size); !credit) return credit;
  ++seen_;

  const std::span head(buffer_.data() + buffer_begin_, header_->head_size);
  buffer_begin_ += head.size();
  const Result<std::span<std::byte>> body = sink_.message_begin(stream, head, body_size);
  if (stopped_) return {};
  const bool usable = body && body->size() == body_size;
  incoming_.push_back({.stream = stream,
                       .body = usable ? *body : std::span<std::byte>{},
                       .body_size = body_size,
                       .received = 0,
                       .ordinal = seen_,
                       .given_up = !usable});
  return {};
}

// The message that begins has the credit that it needs.
Result<void> Inbox::take_credit(std::uint64_t body_size) {
  const StreamId stream = header_->stream;
  const auto too_big = [&](std::uint64_t limit) {
    return violation(stream, "number is a body of " + std::to_string(body_size) +
                                 " bytes, at most " + std::to_string(limit) + " are allowed");
  };
  if (stream == kControlStream) {
    if (body_size > kMaxControlBody) return too_big(kMaxControlBody);
    return {};
  }
  if (body_size > max_body_.count()) return too_big(max_body_.count());
  if (rule_ == CreditRule::not_required) return {};

  return sink_.spend_credit(stream, body_size);
}

void Inbox::take_body(std::size_t size) {
  incoming_[current_].received += size;
  body_left_ -= size;
  if (body_left_ == 0) end_fragment();
}

void Inbox::end_fragment() {
  const Incoming message = incoming_[current_];
  in_body_ = false;
  header_.reset();
  if (message.received < message.body_size) return;
  forget(message.stream);
  if (!message.given_up) sink_.message_end(message.stream);
}

Result<void> Inbox::finish_small_frame(std::span<const std::byte> payload) {
  const wire::FrameHeader header = *header_;
  switch (header.type) {
    case wire::FrameType::credit: return sink_.got_credit(header.stream, header.number);
    case wire::FrameType::ping: sink_.got_ping(payload.first<wire::kPingSize>()); return {};
    case wire::FrameType::pong: sink_.got_pong(payload.first<wire::kPingSize>()); return {};
    case wire::FrameType::reset: {
      const auto why = wire::unpack_error(payload);
      if (!why) return fail(Errc::protocol, "reset frame: " + why.error().message);
      give_up(header.stream, seen_, *why);
      forget(header.stream);
      if (!stopped_) sink_.got_reset(header.stream, header.number, *why);
      return {};
    }
    case wire::FrameType::close: {
      const auto why = wire::unpack_error(payload);
      if (!why) return fail(Errc::protocol, "close frame: " + why.error().message);
      sink_.got_close(*why);
      return {};
    }
    case wire::FrameType::message: break;
  }
  return fail(Errc::internal, "a message frame is no small frame");
}

void Inbox::give_up(StreamId stream, std::uint32_t seen, const Error& why) {
  Incoming* message = find(stream);
  // Numbers wrap; messages that are compared are close to each other.
  if (!message || message->given_up || static_cast<std::int32_t>(seen - message->ordinal) < 0)
    return;
  message->given_up = true;
  message->body = {};
  sink_.message_abandoned(stream, why);
}

void Inbox::give_up_all(const Error& why) {
  // A call of the sink may stop the inbox, but no message begins meanwhile.
  for (std::size_t i = 0; i < incoming_.size(); ++i) give_up(incoming_[i].stream, seen_, why);
}

void Inbox::stop() {
  stopped_ = true;
  incoming_.clear();
  in_body_ = false;
}

}  // namespace aloft::channel
