#include "host/process/message_line.h"

#include <algorithm>
#include <span>

#include <poll.h>

namespace aloft::host {
namespace {

using Clock = std::chrono::steady_clock;

// Whether one of the events, or the end of the line, is there before `end`.
bool wait_for(int socket, short events, Clock::time_point end) {
  pollfd waiting{socket, events, 0};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    const auto time = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
    if (::poll(&waiting, 1, time) > 0) return true;
    if (Clock::now() >= end) return false;
  }
}

}  // namespace

Result<void> send_text(int socket, std::string_view text, int descriptor) {
  return wire::send_packet(socket, std::as_bytes(std::span(text)), descriptor);
}

Result<void> send_text_within(std::chrono::milliseconds limit, int socket, std::string_view text) {
  const auto end = Clock::now() + limit;
  for (;;) {
    auto sent = send_text(socket, text, -1);
    if (sent || sent.error().code != Errc::overloaded) return sent;
    if (!wait_for(socket, POLLOUT, end))
      return fail(Errc::deadline_exceeded, "the other end of the line does not read");
  }
}

Result<TextPacket> receive_text(int socket) {
  std::string text(kMaxMessageText, '\0');
  auto packet =
      wire::receive_packet(socket, std::as_writable_bytes(std::span(text)), wire::Wait::yes);
  if (!packet) return std::unexpected(std::move(packet).error());
  if (!*packet) return fail(Errc::unreachable, "the other end of the line is gone");
  text.resize((*packet)->size);
  return TextPacket{std::move(text), std::move((*packet)->descriptor)};
}

Result<void> wait_for_text(std::chrono::milliseconds limit, int socket) {
  if (wait_for(socket, POLLIN, Clock::now() + limit)) return {};
  return fail(Errc::deadline_exceeded, "the other end of the line says nothing");
}

}  // namespace aloft::host
