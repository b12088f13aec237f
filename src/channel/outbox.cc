// A little long because planning, writing and taking back share structures that nobody else sees.
#include "channel/outbox.h"

#include <algorithm>
#include <string>
#include <utility>

namespace aloft::channel {
namespace {

// Stands for the body of a message that was dropped with a fragment under way.
constinit const std::array<std::byte, kMaxFragment> kZeros{};

// A stream that has nothing is kept, up to this many, so that a call stream costs no allocation a
// message.
constexpr std::size_t kIdleStreams = 64;

constexpr std::size_t kLeastFragment = 1024;  // bytes

wire::Part part_of(bool first, bool last) {
  return static_cast<wire::Part>((first ? 1U : 0U) | (last ? 2U : 0U));
}

}  // namespace

struct Outbox::Message {
  Message* next = nullptr;
  StreamId stream = kControlStream;
  std::uint64_t token = 0;
  std::uint64_t id = 0;
  std::uint8_t priority = kNormal;
  std::vector<std::byte> head;
  std::vector<std::span<const std::byte>> body;
  std::uint64_t body_size = 0;
  Cursor at;  // what was written of the body, in whole fragments
  bool begun = false;
  bool given_up = false;
  std::uint32_t ordinal = 0;  // once begun: its number among all messages of the link, from 1
  bool uses_credit = false;
  CreditTable::Credit credit;
  std::optional<std::uint32_t> then_grant;
  Haste haste = Haste::now;
};

struct Outbox::Stream {
  StreamId id = kControlStream;
  Message* first = nullptr;
  Message* last = nullptr;
  std::array<std::size_t, kUrgent + 1> waiting{};  // messages, by priority
  std::uint8_t priority = kBulk;                   // the highest of them
  bool active = false;                             // in active_, under its priority
  // While planning: what comes next if all planned before it is taken.
  Message* next = nullptr;
  Cursor next_at;
  bool next_begins = true;
  std::array<std::size_t, kUrgent + 1> next_waiting{};
};

Outbox::Outbox(CreditRule peer_rule) : peer_rule_(peer_rule) {}
Outbox::~Outbox() = default;

void Outbox::Cursor::advance(std::span<const std::span<const std::byte>> body, std::size_t size) {
  sent += size;
  offset += size;
  while (segment < body.size() && offset >= body[segment].size()) {
    offset -= body[segment].size();
    ++segment;
  }
}

Outbox::Stream& Outbox::stream(StreamId id) {
  std::unique_ptr<Stream>& slot = streams_[id];
  if (!slot) {
    slot = std::make_unique<Stream>();
    slot->id = id;
  }
  return *slot;
}

Outbox::Message* Outbox::take_message() {
  if (!free_) {
    storage_.push_back(std::make_unique<Message>());
    return storage_.back().get();
  }
  Message* message = free_;
  free_ = message->next;
  message->next = nullptr;
  message->at = {};
  message->begun = false;
  message->given_up = false;
  message->uses_credit = false;
  return message;
}

Result<void> Outbox::take_credit(Message& message) {
  if (message.stream == kControlStream || peer_rule_ == CreditRule::not_required) {
    if (without_credit_ >= kMaxUnsentWithoutCredit) {
      return fail(Errc::overloaded, std::to_string(without_credit_) +
                                        " messages wait already to be sent without credit");
    }
    ++without_credit_;
    return {};
  }
  const auto credit = credits_.take(message.stream, message.body_size);
  if (!credit) {
    const std::string stream = "stream " + std::to_string(message.stream);
    if (!credit.error().any) return fail(Errc::overloaded, "no credit left on " + stream);
    return fail(Errc::resource_exhausted, "a body of " + std::to_string(message.body_size) +
                                              " bytes, the largest credit on " + stream + " is " +
                                              std::to_string(credit.error().largest));
  }
  message.uses_credit = true;
  message.credit = *credit;
  return {};
}

Result<std::uint64_t> Outbox::push(const Outgoing& outgoing) {
  std::uint64_t body_size = 0;
  for (const auto& segment : outgoing.body) body_size += segment.size();
  if (outgoing.head.size() > kMaxHead) {
    return fail(Errc::invalid_argument,
                "a head of " + std::to_string(outgoing.head.size()) + " bytes, at most 16384 fit");
  }
  const std::uint64_t limit = outgoing.stream == kControlStream ? kMaxControlBody : wire::kMaxBody;
  if (body_size > limit) {
    return fail(Errc::invalid_argument, "a body of " + std::to_string(body_size) +
                                            " bytes, at most " + std::to_string(limit) +
                                            " fit on stream " + std::to_string(outgoing.stream));
  }

  Message* message = take_message();
  message->stream = outgoing.stream;
  message->token = outgoing.token;
  message->priority = std::min(outgoing.priority, kUrgent);
  message->body_size = body_size;
  message->haste = outgoing.haste;
  message->then_grant.reset();
  if (outgoing.then_grant && outgoing.stream != kControlStream)
    message->then_grant =
        static_cast<std::uint32_t>(std::min(*outgoing.then_grant, wire::kMaxBody));
  if (auto credit = take_credit(*message); !credit) {
    message->next = std::exchange(free_, message);
    return std::unexpected(std::move(credit).error());
  }
  message->head.assign(outgoing.head.begin(), outgoing.head.end());
  message->body.assign(outgoing.body.begin(), outgoing.body.end());
  ++messages_;
  Stream& to = stream(outgoing.stream);
  if (to.last) {
    to.last->next = message;
    to.last = message;
  } else {
    to.first = to.last = message;
  }
  count(to, *message, 1);
  return message->id = ++pushed_;
}

Result<void> Outbox::push_urgent(const wire::FrameHeader& header,
                                 std::span<const std::byte> payload) {
  if (urgent_.size() - urgent_written_ + wire::kHeaderSize + payload.size() > kMaxUrgent)
    return fail(Errc::overloaded, "the peer does not read what it is sent");
  // What was written goes away when it is worth moving the rest.
  if (urgent_written_ > urgent_.size() / 2) {
    urgent_.erase(urgent_.begin(), urgent_.begin() + static_cast<std::ptrdiff_t>(urgent_written_));
    urgent_written_ = 0;
  }
  const wire::HeaderBytes bytes = wire::pack(header);
  urgent_.insert(urgent_.end(), bytes.begin(), bytes.end());
  urgent_.insert(urgent_.end(), payload.begin(), payload.end());
  return {};
}

Result<void> Outbox::add_credit(StreamId id, std::uint32_t capacity) {
  const std::size_t count = credits_.count(id);
  if (count >= kMaxCreditsPerStream) {
    return fail(Errc::protocol, "credit frame: stream " + std::to_string(id) + " has " +
                                    std::to_string(count) + " unused credits already");
  }
  if (count == 0 && credits_.streams() >= kMaxCreditStreams)
    return fail(Errc::protocol, "credit frame: stream is one of more than 4096");
  credits_.add(id, capacity);
  return {};
}

// A message came to the stream (1) or left it (-1): its turn may be among others now.
void Outbox::count(Stream& stream, const Message& message, int change) {
  std::size_t& waiting = stream.waiting[message.priority];
  waiting = change > 0 ? waiting + 1 : waiting - 1;
  if (stream.id == kControlStream) return;
  std::uint8_t priority = kUrgent;
  while (priority > kBulk && stream.waiting[priority] == 0) --priority;
  const bool any = stream.waiting[priority] != 0;
  if (any == stream.active && priority == stream.priority) return;
  if (stream.active) std::erase(active_[stream.priority], &stream);
  stream.active = any;
  stream.priority = priority;
  if (any) active_[priority].push_back(&stream);
}

// Removes the stream's first message, whose bytes nobody needs any more.
void Outbox::pop(Stream& stream) {
  Message* message = stream.first;
  stream.first = message->next;
  count(stream, *message, -1);
  if (!message->uses_credit) --without_credit_;
  --messages_;
  message->next = std::exchange(free_, message);
  if (stream.first) return;
  stream.last = nullptr;
  if (streams_.size() > kIdleStreams) streams_.erase(stream.id);
}

void Outbox::give_up(Message& message, const Error& why, std::vector<Done>& done) {
  done.push_back({message.stream, message.token, message.id, std::unexpected(why),
                  message.then_grant, Haste::now});
}

// The fragment under way goes on as zeros, and the message ends with it.
void Outbox::give_up_under_way(const Error& why, std::vector<Done>& done) {
  Message& message = *under_way_.stream->first;
  if (message.given_up || under_way_.last) return;
  give_up(message, why, done);
  message.given_up = true;
  message.body.assign(1, std::span(kZeros).first(under_way_.body_size));
  under_way_.body = {};
}

void Outbox::drop(StreamId id, const Error& why, std::vector<Done>& done) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || !found->second->first) return;
  Stream& from = *found->second;
  Message* message = from.first;
  Message* kept = nullptr;
  if (under_way_.stream == &from) {
    give_up_under_way(why, done);
    kept = message;
    message = message->next;
  }
  // The rest leaves from the front, so that on_sent comes in the order of the sends.
  if (kept) {
    kept->next = nullptr;
    from.last = kept;
  }
  for (Message* next = nullptr; message; message = next) {
    next = message->next;
    give_up(*message, why, done);
    count(from, *message, -1);
    if (message->uses_credit && !message->begun) credits_.give_back(id, message->credit);
    if (!message->uses_credit) --without_credit_;
    --messages_;
    message->next = std::exchange(free_, message);
  }
  if (kept) return;
  from.first = from.last = nullptr;
}

void Outbox::drop_begun(StreamId id, std::uint32_t seen, const Error& why,
                        std::vector<Done>& done) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || !found->second->first) return;
  Stream& from = *found->second;
  Message& message = *from.first;
  // Numbers wrap; messages that are compared are close to each other.
  if (!message.begun || static_cast<std::int32_t>(seen - message.ordinal) < 0) return;
  if (under_way_.stream == &from) {
    give_up_under_way(why, done);
  } else {
    give_up(message, why, done);
    pop(from);
  }
}

void Outbox::drop_all(const Error& why, std::vector<Done>& done) {
  for (auto& [id, from] : streams_) {
    for (Message* message = from->first; message; message = message->next) {
      if (!message->given_up) give_up(*message, why, done);
    }
  }
  streams_.clear();
  for (auto& streams : active_) streams.clear();
  urgent_.clear();
  urgent_written_ = 0;
  under_way_ = {};
  messages_ = without_credit_ = 0;
}

bool Outbox::empty() const { return messages_ == 0 && urgent_written_ == urgent_.size(); }

bool Outbox::room() const { return segment_count_ < kMaxSegments && planned_bytes_ < kEnoughBytes; }

void Outbox::add_segment(const std::byte* data, std::size_t size) {
  if (size == 0 || segment_count_ == kMaxSegments) return;
  // The kernel only reads what is written; iovec serves both directions and has no const.
  segments_[segment_count_++] = {const_cast<std::byte*>(data), size};
  planned_bytes_ += size;
}

// Adds what is left of `frame`. Stops where the segments run out: that is then a short write of it.
void Outbox::add_segments(const Frame& frame, const Message& message) {
  std::size_t skip = frame.written;
  const auto add_rest = [&](const std::byte* data, std::size_t size) {
    const std::size_t skipped = std::min(skip, size);
    skip -= skipped;
    add_segment(data + skipped, size - skipped);
  };
  add_rest(frame.header.data(), frame.header.size());
  if (frame.head_size != 0) add_rest(message.head.data(), frame.head_size);
  std::size_t left = frame.body_size;
  std::size_t offset = frame.body.offset;
  for (std::size_t i = frame.body.segment; left > 0 && segment_count_ < kMaxSegments; ++i) {
    const std::span<const std::byte> rest = message.body[i].subspan(offset);
    const std::size_t size = std::min(left, rest.size());
    add_rest(rest.data(), size);
    left -= size;
    offset = 0;
  }
  if (left == 0 && frame.credit_size != 0) add_rest(frame.credit.data(), frame.credit_size);
}

// Plans the next fragment of `stream`, if it has one that may follow what is planned.
bool Outbox::plan_next(Stream& stream, std::size_t fragment) {
  Message* message = stream.next;
  if (!message || planned_count_ == kMaxFrames || !room()) return false;
  const bool first = stream.next_begins;
  const auto head_size = static_cast<std::uint32_t>(first ? message->head.size() : 0);
  const std::uint64_t left = message->body_size - stream.next_at.sent;
  // A head is never cut, and what follows it is worth a frame.
  const std::size_t frame_size =
      std::clamp<std::size_t>(fragment, head_size + kLeastFragment, kMaxFragment);
  const auto body_size =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(left, frame_size - head_size));
  const bool last = body_size == left;

  Frame& frame = planned_[planned_count_++];
  frame.stream = &stream;
  frame.header = wire::pack({.type = wire::FrameType::message,
                             .part = part_of(first, last),
                             .head_size = static_cast<std::uint16_t>(head_size),
                             .stream = stream.id,
                             .length = head_size + body_size,
                             .number = static_cast<std::uint32_t>(first ? message->body_size : 0)});
  frame.head_size = head_size;
  frame.body_size = body_size;
  frame.body = stream.next_at;
  frame.last = last;
  frame.written = 0;
  frame.credit_size = 0;
  if (last && message->then_grant) {
    frame.credit = wire::pack(
        {.type = wire::FrameType::credit, .stream = stream.id, .number = *message->then_grant});
    frame.credit_size = wire::kHeaderSize;
  }
  add_segments(frame, *message);

  if (last) {
    --stream.next_waiting[message->priority];
    stream.next = message->next;
    stream.next_at = {};
    stream.next_begins = true;
  } else {
    stream.next_begins = false;
    stream.next_at.advance(message->body, body_size);
  }
  return true;
}

// What of `stream` comes first in this plan: what follows the fragment under way, if that is of
// this stream.
void Outbox::start_plan(Stream& stream) {
  Message& message = *stream.first;
  stream.next = &message;
  stream.next_at = message.at;
  stream.next_begins = !message.begun;
  stream.next_waiting = stream.waiting;
  if (under_way_.stream != &stream) return;
  if (under_way_.last || message.given_up) {
    --stream.next_waiting[message.priority];
    stream.next = message.next;
    stream.next_at = {};
    stream.next_begins = true;
  } else {
    stream.next_at.advance(message.body, under_way_.body_size);
  }
}

std::span<const iovec> Outbox::plan(const Room& room) {
  segment_count_ = planned_bytes_ = planned_count_ = 0;
  if (under_way_.stream) add_segments(under_way_, *under_way_.stream->first);

  planned_urgent_ = 0;
  if (segment_count_ < kMaxSegments) {
    planned_urgent_ = urgent_.size() - urgent_written_;
    add_segment(urgent_.data() + urgent_written_, planned_urgent_);
  }

  if (const auto control = streams_.find(kControlStream);
      control != streams_.end() && control->second->first) {
    start_plan(*control->second);
    while (plan_next(*control->second, room.fragment)) {
    }
  }
  for (std::size_t priority = kUrgent + 1; priority-- > kBulk;) {
    // A stream that loses its priority by what is planned has its turn in the next plan.
    const auto has_turn = [&](const Stream& stream) {
      return stream.next_waiting[priority] > 0 &&
             (priority == kUrgent || planned_bytes_ < room.bytes);
    };
    for (Stream* stream : active_[priority]) start_plan(*stream);
    for (bool more = true; more;) {
      more = false;
      for (Stream* stream : active_[priority])
        more |= has_turn(*stream) && plan_next(*stream, room.fragment);
    }
  }
  return std::span(segments_).first(segment_count_);
}

// Takes `size` written bytes into account, of which the first are of `frame`; answers how many
// remain for others.
std::size_t Outbox::advance(Frame& frame, std::size_t size, std::vector<Done>& done) {
  const std::size_t taken = std::min(size, frame.size() - frame.written);
  frame.written += taken;
  if (taken > 0) {
    Message& message = *frame.stream->first;
    if (!message.begun) {
      message.begun = true;
      message.ordinal = ++begun_;
    }
    if (frame.written == frame.size()) {
      finish(frame, done);
    } else if (&frame != &under_way_) {
      under_way_ = frame;
    }
  }
  return size - taken;
}

// All of `frame` was written: its message goes on, or is done.
void Outbox::finish(Frame& frame, std::vector<Done>& done) {
  Stream& stream = *frame.stream;
  Message& message = *stream.first;
  const std::uint32_t frame_body = frame.body_size;
  if (&frame == &under_way_) under_way_.stream = nullptr;

  // The others of its kind come first now.
  std::vector<Stream*>& others = active_[stream.priority];
  if (const auto turn = std::ranges::find(others, &stream); turn != others.end())
    std::rotate(turn, turn + 1, others.end());

  if (message.given_up) {
    pop(stream);
    return;
  }
  message.at.advance(message.body, frame_body);
  if (message.at.sent == message.body_size) {
    done.push_back({message.stream, message.token, message.id, {}, {}, message.haste});
    pop(stream);
  }
}

void Outbox::wrote(std::size_t size, std::vector<Done>& done) {
  if (under_way_.stream) size = advance(under_way_, size, done);

  const std::size_t urgent = std::min(size, planned_urgent_);
  urgent_written_ += urgent;
  size -= urgent;
  if (urgent_written_ == urgent_.size()) {
    urgent_.clear();
    urgent_written_ = 0;
  }

  for (std::size_t i = 0; i < planned_count_ && size > 0; ++i)
    size = advance(planned_[i], size, done);
}

}  // namespace aloft::channel
