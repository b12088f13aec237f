#include "wire/frame.h"

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "wire/error_text.h"
#include "wire/little_endian.h"

namespace aloft::wire {
namespace {

constexpr std::string_view name(FrameType type) {
  switch (type) {
    case FrameType::message: return "message";
    case FrameType::credit: return "credit";
    case FrameType::reset: return "reset";
    case FrameType::ping: return "ping";
    case FrameType::pong: return "pong";
    case FrameType::close: return "close";
  }
  return "unknown";
}

// What a field must lie between, and what it is called in a complaint.
struct Range {
  std::string_view field;
  std::uint64_t value;
  std::uint64_t low;
  std::uint64_t high;
};

Result<void> check(FrameType type, std::initializer_list<Range> ranges) {
  for (const Range& range : ranges) {
    if (range.value >= range.low && range.value <= range.high) continue;
    std::string message(name(type));
    message.append(" frame: ").append(range.field);
    message += " is " + std::to_string(range.value) + ", must be " + std::to_string(range.low);
    if (range.low != range.high) message += " to " + std::to_string(range.high);
    return fail(Errc::protocol, std::move(message));
  }
  return {};
}

Result<void> check_message(const FrameHeader& header) {
  const std::uint64_t flags = std::to_underlying(header.part);
  if (!is_first(header.part)) {
    return check(header.type, {{"flags", flags, 0, 3},
                               {"length", header.length, 1, kMaxFragment},
                               {"head_size", header.head_size, 0, 0},
                               {"number", header.number, 0, 0}});
  }
  if (auto ok = check(header.type, {{"flags", flags, 0, 3},
                                    {"length", header.length, 0, kMaxFragment},
                                    {"head_size", header.head_size, 0, kMaxHead},
                                    {"head_size", header.head_size, 0, header.length}});
      !ok) {
    return ok;
  }
  const std::uint64_t body = header.length - header.head_size;
  if (is_last(header.part)) return check(header.type, {{"number", header.number, body, body}});
  return check(header.type, {{"number", header.number, body + 1, kMaxBody}});
}

Result<void> check_fields(const FrameHeader& header) {
  if (header.type == FrameType::message) return check_message(header);
  const std::uint64_t flags = std::to_underlying(header.part);
  if (auto ok = check(header.type, {{"flags", flags, 0, 0}, {"head_size", header.head_size, 0, 0}});
      !ok) {
    return ok;
  }
  constexpr std::uint64_t kAny = 0xFFFF'FFFF;
  switch (header.type) {
    case FrameType::credit:
      return check(header.type,
                   {{"stream", header.stream, 1, kAny}, {"length", header.length, 0, 0}});
    case FrameType::reset:
      return check(header.type, {{"stream", header.stream, 1, kAny},
                                 {"length", header.length, kMinErrorSize, kMaxErrorSize}});
    case FrameType::ping:
    case FrameType::pong:
      return check(header.type, {{"stream", header.stream, 0, 0},
                                 {"length", header.length, kPingSize, kPingSize},
                                 {"number", header.number, 0, 0}});
    case FrameType::close:
      return check(header.type, {{"stream", header.stream, 0, 0},
                                 {"length", header.length, kMinErrorSize, kMaxErrorSize},
                                 {"number", header.number, 0, 0}});
    case FrameType::message: break;
  }
  return fail(Errc::protocol, "frame: type is " + std::to_string(std::to_underlying(header.type)) +
                                  ", must be 1 to 6");
}

}  // namespace

HeaderBytes pack(const FrameHeader& header) {
  HeaderBytes bytes;
  store(bytes, 0, std::to_underlying(header.type));
  store(bytes, 1, std::to_underlying(header.part));
  store(bytes, 2, header.head_size);
  store(bytes, 4, header.stream);
  store(bytes, 8, header.length);
  store(bytes, 12, header.number);
  return bytes;
}

Result<FrameHeader> unpack(std::span<const std::byte, kHeaderSize> bytes) {
  const FrameHeader header{.type = static_cast<FrameType>(load<std::uint8_t>(bytes, 0)),
                           .part = static_cast<Part>(load<std::uint8_t>(bytes, 1)),
                           .head_size = load<std::uint16_t>(bytes, 2),
                           .stream = load<std::uint32_t>(bytes, 4),
                           .length = load<std::uint32_t>(bytes, 8),
                           .number = load<std::uint32_t>(bytes, 12)};
  if (auto ok = check_fields(header); !ok) return std::unexpected(std::move(ok).error());
  return header;
}

}  // namespace aloft::wire
