#include "function/end_protocol.h"

#include <algorithm>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/ids.h"
#include "channel/state_blocks.h"
#include "function/fields.h"
#include "function/protocol.h"
#include <aloft/codec/writer.h>

namespace aloft::function {
namespace {

using channel::Acknowledge;
using channel::Answer;
using channel::Attach;
using channel::Attached;
using channel::Deliver;
using channel::Detach;
using channel::Install;
using channel::Installed;
using channel::kStateBlock;
using channel::Lost;
using channel::SnapshotWanted;
using channel::State;
using channel::StateBlocks;

constexpr std::string_view kPrefix = "end_";
constexpr std::string_view kHexDigits = "0123456789abcdef";

// --- Writing
// -------------------------------------------------------------------------------------

// A map whose fields are counted while they are written.
class HeadWriter {
 public:
  explicit HeadWriter(std::string_view type) { put("t", type); }

  void put(std::string_view name, std::string_view text) {
    key(name);
    fields_.string(text);
  }
  void put(std::string_view name, std::uint64_t number) {
    key(name);
    fields_.unsigned_integer(number);
  }
  void put_flag(std::string_view name, bool flag) {
    key(name);
    fields_.boolean(flag);
  }
  void put(std::string_view name, const Error& error) {
    key(name);
    fields_.map(2);
    fields_.string("code");
    fields_.unsigned_integer(static_cast<std::uint64_t>(error.code));
    fields_.string("message");
    fields_.string(cut(error.message, kMaxText));
  }
  // The blocks as runs: first index, count, first index, count, ...
  void put(const StateBlocks& state) {
    put("version", state.version);
    put("base", state.base);
    put("at", state.at);
    put("size", state.size);
    std::vector<std::uint32_t> runs;
    for (const std::uint32_t block : state.blocks) {
      if (runs.empty() || block != runs[runs.size() - 2] + runs.back())
        runs.insert(runs.end(), {block, 0});
      ++runs.back();
    }
    key("blocks");
    fields_.array(runs.size());
    for (const std::uint32_t number : runs) fields_.unsigned_integer(number);
  }

  // Texts are borrowed until here.
  std::vector<std::byte> take() {
    codec::Writer map;
    map.map(count_);
    std::vector<std::byte> head;
    head.reserve(map.size() + fields_.size());
    for (codec::Writer* const part : {&map, &fields_}) {
      for (const auto segment : part->segments())
        head.insert(head.end(), segment.begin(), segment.end());
    }
    return head;
  }

 private:
  void key(std::string_view name) {
    fields_.string(name);
    ++count_;
  }

  codec::Writer fields_;
  std::size_t count_ = 0;
};

// --- Reading
// -------------------------------------------------------------------------------------

void get(FieldReader& in, EndId& end) {
  std::string_view digits;
  in.get("end", digits);
  if (!in.ok()) return;
  if (digits.size() != 2 * end.size())
    return in.fail("the field 'end' is not 32 hexadecimal digits");
  for (std::size_t i = 0; i < end.size(); ++i) {
    const std::size_t high = kHexDigits.find(digits[2 * i]);
    const std::size_t low = kHexDigits.find(digits[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos)
      return in.fail("the field 'end' is not 32 hexadecimal digits");
    end[i] = static_cast<std::byte>(high << 4U | low);
  }
}

// Takes no more memory than `body_size` allows for: the blocks have to be in the body.
void get(FieldReader& in, StateBlocks& state, std::uint64_t body_size) {
  in.get("version", state.version);
  in.get("base", state.base);
  in.get("at", state.at);
  in.get("size", state.size);
  std::vector<std::uint32_t> runs;
  in.get("blocks", runs);
  if (!in.ok()) return;
  if (runs.size() % 2 != 0 || runs.size() > 2 * channel::kMaxStateRuns)
    return in.fail("the field 'blocks' is not a list of runs");
  if (state.size > channel::kMaxState) return in.fail("the field 'size' is too large");
  const std::uint64_t count = (state.size + kStateBlock - 1) / kStateBlock;
  std::uint64_t next = 0;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < runs.size(); i += 2) {
    const std::uint64_t first = runs[i];
    const std::uint64_t end = first + runs[i + 1];
    if (first < next || end <= first || end > count)
      return in.fail("the field 'blocks' does not fit the state's size");
    bytes += std::min(end * kStateBlock, state.size) - first * kStateBlock;
    next = end;
  }
  if (bytes != body_size) return in.fail("the body is not the blocks that the head says");
  for (std::size_t i = 0; i < runs.size(); i += 2) {
    for (std::uint32_t j = 0; j < runs[i + 1]; ++j) state.blocks.push_back(runs[i] + j);
  }
}

// --- Each message: both directions
// -------------------------------------------------------------------------------------

void write(HeadWriter& out, const EndHead& head, const Attach& message) {
  out.put_flag("resume", message.resume);
  out.put("answered", message.answered);
  out.put("module_id", head.terms.module_id);
  if (head.terms.object_class) out.put("object_class", *head.terms.object_class);
  out.put("in_flight", head.terms.in_flight);
  out.put("priority", head.terms.priority);
  out.put_flag("has_state", head.terms.has_state);
  out.put_flag("has_effects", head.terms.has_effects);
}
void read(FieldReader& in, EndHead& head, Attach& message, std::uint64_t) {
  in.get("resume", message.resume);
  in.get("answered", message.answered);
  in.get("module_id", head.terms.module_id);
  if (in.has("object_class")) in.get("object_class", head.terms.object_class.emplace());
  in.get("in_flight", head.terms.in_flight);
  std::uint32_t priority = 0;
  in.get("priority", priority);
  in.get("has_state", head.terms.has_state);
  in.get("has_effects", head.terms.has_effects);
  if (priority > 2) in.fail("the field 'priority' is above 2");
  if (head.terms.has_state && head.terms.has_effects)
    in.fail("an end has either a state or effects");
  head.terms.priority = static_cast<std::uint8_t>(priority);
}

void write(HeadWriter& out, const EndHead& head, const Attached& message) {
  out.put_flag("known", message.known);
  out.put("received", message.received);
  out.put("stream", head.streams.stream);
  out.put("state_stream", head.streams.state_stream);
}
void read(FieldReader& in, EndHead& head, Attached& message, std::uint64_t) {
  in.get("known", message.known);
  in.get("received", message.received);
  in.get("stream", head.streams.stream);
  in.get("state_stream", head.streams.state_stream);
}

void write(HeadWriter& out, const EndHead&, const Install& message) {
  out.put(message.state);
  out.put_flag("final", message.final);
}
void read(FieldReader& in, EndHead&, Install& message, std::uint64_t body_size) {
  get(in, message.state, body_size);
  in.get("final", message.final);
}

void write(HeadWriter& out, const EndHead&, const Installed& message) {
  out.put("version", message.version);
  out.put_flag("final", message.final);
}
void read(FieldReader& in, EndHead&, Installed& message, std::uint64_t) {
  in.get("version", message.version);
  in.get("final", message.final);
}

void write(HeadWriter& out, const EndHead&, const Deliver& message) {
  out.put("sequence", message.sequence);
  out.put("method", message.method);
  out.put("answered", message.answered);
}
void read(FieldReader& in, EndHead&, Deliver& message, std::uint64_t) {
  in.get("sequence", message.sequence);
  in.get("method", message.method);
  in.get("answered", message.answered);
}

void write(HeadWriter& out, const EndHead&, const Answer& message) {
  out.put("sequence", message.sequence);
  if (message.error) out.put("error", *message.error);
}
void read(FieldReader& in, EndHead&, Answer& message, std::uint64_t) {
  in.get("sequence", message.sequence);
  if (in.has("error")) in.get("error", message.error.emplace());
}

void write(HeadWriter& out, const EndHead&, const Acknowledge& message) {
  out.put("answered", message.answered);
}
void read(FieldReader& in, EndHead&, Acknowledge& message, std::uint64_t) {
  in.get("answered", message.answered);
}

void write(HeadWriter& out, const EndHead&, const SnapshotWanted& message) {
  out.put("base", message.base);
}
void read(FieldReader& in, EndHead&, SnapshotWanted& message, std::uint64_t) {
  in.get("base", message.base);
}

void write(HeadWriter& out, const EndHead&, const State& message) {
  out.put(message.state);
  if (message.error) out.put("error", *message.error);
}
void read(FieldReader& in, EndHead&, State& message, std::uint64_t body_size) {
  get(in, message.state, body_size);
  if (in.has("error")) in.get("error", message.error.emplace());
}

void write(HeadWriter&, const EndHead&, const Detach&) {}
void read(FieldReader&, EndHead&, Detach&, std::uint64_t) {}

void write(HeadWriter& out, const EndHead&, const Lost& message) { out.put("why", message.why); }
void read(FieldReader& in, EndHead&, Lost& message, std::uint64_t) { in.get("why", message.why); }

// --- All of them
// -------------------------------------------------------------------------------------

struct Kind {
  std::string_view type;
  bool names_end;
  Result<EndHead> (*read)(FieldReader&, bool names_end, std::uint64_t body_size);
};

template <class T>
bool may_have_body(const T& message) {
  if constexpr (std::is_same_v<T, Answer>) return !message.error;
  return std::is_same_v<T, Deliver> || std::is_same_v<T, Install> || std::is_same_v<T, State>;
}

template <class T>
Result<EndHead> read_as(FieldReader& in, bool names_end, std::uint64_t body_size) {
  EndHead head;
  if (names_end) get(in, head.end);
  in.get("epoch", head.message.epoch);
  T message;
  read(in, head, message, body_size);
  if (in.ok() && body_size > 0 && !may_have_body(message)) in.fail("comes with a body");
  if (!in.ok()) return std::unexpected(in.error());
  head.message.content = std::move(message);
  return head;
}

// In the order of the alternatives of channel::EndMessage.
constexpr Kind kKinds[] = {
    {"end_attach", true, read_as<Attach>},
    {"end_install", false, read_as<Install>},
    {"end_deliver", false, read_as<Deliver>},
    {"end_acknowledge", true, read_as<Acknowledge>},
    {"end_snapshot_wanted", true, read_as<SnapshotWanted>},
    {"end_detach", true, read_as<Detach>},
    {"end_attached", true, read_as<Attached>},
    {"end_installed", false, read_as<Installed>},
    {"end_answer", false, read_as<Answer>},
    {"end_state", false, read_as<State>},
    {"end_lost", true, read_as<Lost>},
};
static_assert(std::size(kKinds) == std::variant_size_v<decltype(channel::EndMessage::content)>);

}  // namespace

EndStream stream_of(const channel::EndMessage& message) {
  return std::visit(
      []<class T>(const T&) {
        if constexpr (std::is_same_v<T, Deliver> || std::is_same_v<T, Answer> ||
                      std::is_same_v<T, Lost>) {
          return EndStream::calls;
        } else if constexpr (std::is_same_v<T, Install> || std::is_same_v<T, Installed> ||
                             std::is_same_v<T, State>) {
          return EndStream::state;
        } else {
          return EndStream::control;
        }
      },
      message.content);
}

bool is_end_head(std::span<const std::byte> head) {
  FieldReader in(head, "message");
  std::string_view type;
  in.get("t", type);
  return in.ok() && type.starts_with(kPrefix);
}

std::vector<std::byte> encode(const EndHead& head) {
  const Kind& kind = kKinds[head.message.content.index()];
  HeadWriter out(kind.type);
  const std::string end = to_string(head.end);
  if (kind.names_end) out.put("end", end);
  out.put("epoch", head.message.epoch);
  std::visit([&](const auto& message) { write(out, head, message); }, head.message.content);
  return out.take();
}

channel::SharedBytes body_of(const channel::EndMessage& message) {
  return std::visit(
      []<class T>(const T& content) -> channel::SharedBytes {
        if constexpr (std::is_same_v<T, Deliver> || std::is_same_v<T, Answer>) return content.body;
        if constexpr (std::is_same_v<T, Install> || std::is_same_v<T, State>)
          return content.state.bytes;
        return nullptr;
      },
      message.content);
}

Result<EndHead> decode_end(std::span<const std::byte> head, std::uint64_t body_size) {
  FieldReader in(head, "message");
  std::string_view type;
  in.get("t", type);
  if (!in.ok()) return std::unexpected(in.error());
  for (const Kind& kind : kKinds) {
    if (kind.type != type) continue;
    in.rename(kind.type);
    return kind.read(in, kind.names_end, body_size);
  }
  return fail(Errc::protocol,
              "message of an unknown type '" + std::string(type.substr(0, 64)) + "'");
}

void put_body(channel::EndMessage& message, channel::SharedBytes body) {
  std::visit(
      [&]<class T>(T& content) {
        if constexpr (std::is_same_v<T, Deliver>) content.body = std::move(body);
        if constexpr (std::is_same_v<T, Answer>) {
          if (!content.error) content.body = std::move(body);
        }
        if constexpr (std::is_same_v<T, Install> || std::is_same_v<T, State>)
          content.state.bytes = std::move(body);
      },
      message.content);
}

std::string to_string(const EndId& end) { return to_hex(end); }

}  // namespace aloft::function
