#include "runtime/guest_context.h"

#include <cstring>

namespace aloft::runtime {
namespace {

constexpr std::uint32_t kMaxReplySegments = 4096;

std::unexpected<CallFailure> no_result(const char* why) {
  return std::unexpected<CallFailure>(Error{Errc::protocol, why});
}

}  // namespace

std::optional<std::span<std::byte>> GuestContext::slice(std::uint32_t address, std::uint64_t size) {
  const std::span<std::byte> all = linear_memory();
  if (address > all.size() || size > all.size() - address) return std::nullopt;
  return all.subspan(address, static_cast<std::size_t>(size));
}

std::optional<std::uint32_t> GuestContext::read_u32(std::uint32_t address) {
  const auto bytes = slice(address, sizeof(std::uint32_t));
  if (!bytes) return std::nullopt;
  std::uint32_t value = 0;  // both sides are little endian
  std::memcpy(&value, bytes->data(), sizeof value);
  return value;
}

bool GuestContext::write_u32(std::uint32_t address, std::uint32_t value) {
  const auto bytes = slice(address, sizeof value);
  if (bytes) std::memcpy(bytes->data(), &value, sizeof value);
  return bytes.has_value();
}

std::optional<TrapKind> GuestContext::must_stop() const {
  if (stop.stop_requested()) return TrapKind::interrupted;
  if (std::chrono::steady_clock::now() >= deadline) return TrapKind::out_of_time;
  return std::nullopt;
}

CallResult<Reply> GuestContext::read_reply(std::uint32_t descriptor) {
  // The guest may rewrite its descriptor at any time: each field is read once, then checked.
  Reply reply{.descriptor = descriptor, .segments = {}};
  const auto count = read_u32(descriptor);
  if (!count || *count > kMaxReplySegments)
    return no_result("the guest's result has no valid descriptor");
  const auto table =
      slice(descriptor, sizeof(std::uint32_t) + std::uint64_t{*count} * 2 * sizeof(std::uint32_t));
  if (!table) return no_result("the guest's result has no valid descriptor");
  for (std::uint32_t i = 0; i < *count; ++i) {
    std::uint32_t place[2];
    std::memcpy(place, table->data() + sizeof(std::uint32_t) + i * sizeof place, sizeof place);
    const auto segment = slice(place[0], place[1]);
    if (!segment) return no_result("the guest's result lies outside its memory");
    reply.segments.push_back(*segment);
  }
  return reply;
}

}  // namespace aloft::runtime
