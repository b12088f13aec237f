// A line between a host's daemon and a process of its: a socketpair of packets, one message each,
// as text, with a descriptor beside it where one is handed over. What is said on it is each line's
// own (tenant_link.h, infer_line.h); how it gets there is the same.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "wire/packet_socket.h"
#include <aloft/result.h>

namespace aloft::host {

// The text of a line's messages; each line has one of its own.
template <class Message>
struct MessageText {
  [[nodiscard]] static std::string encode(const Message& message);
  // Errors: protocol.
  [[nodiscard]] static Result<Message> decode(std::string_view text);
};

// What a line is made of.
inline constexpr std::size_t kMaxMessageText = 64 * 1024;
struct TextPacket {
  std::string text;
  wire::Descriptor descriptor;
};
[[nodiscard]] Result<void> send_text(int socket, std::string_view text, int descriptor);
// As send_text(), once there is room for it. Errors: deadline_exceeded as well.
[[nodiscard]] Result<void> send_text_within(std::chrono::milliseconds limit, int socket,
                                            std::string_view text);
[[nodiscard]] Result<TextPacket> receive_text(int socket);
// Waits until there is something to receive, or the line has ended. Errors: deadline_exceeded.
[[nodiscard]] Result<void> wait_for_text(std::chrono::milliseconds limit, int socket);

// One end. Thread rule: sending any thread, receiving one.
template <class Message>
class MessageLine {
 public:
  explicit MessageLine(wire::Descriptor socket) : socket_(std::move(socket)) {}

  // Never waits. `descriptor` (-1: none) stays the caller's. Errors: unreachable (the other end is
  // gone), overloaded (it does not read).
  [[nodiscard]] Result<void> send(const Message& message, int descriptor = -1) {
    return send_text(socket_.get(), MessageText<Message>::encode(message), descriptor);
  }
  // Waits while the line is full. Errors: unreachable, deadline_exceeded (it does not read).
  [[nodiscard]] Result<void> send_within(std::chrono::milliseconds limit, const Message& message) {
    return send_text_within(limit, socket_.get(), MessageText<Message>::encode(message));
  }

  struct Received {
    Message message;
    wire::Descriptor descriptor;
  };
  // Waits for the next one. Errors: unreachable (the other end is gone), protocol.
  [[nodiscard]] Result<Received> receive() {
    auto packet = receive_text(socket_.get());
    if (!packet) return std::unexpected(std::move(packet).error());
    auto message = MessageText<Message>::decode(packet->text);
    if (!message) return std::unexpected(std::move(message).error());
    return Received{*std::move(message), std::move(packet->descriptor)};
  }
  // The same. Errors: deadline_exceeded as well.
  [[nodiscard]] Result<Received> receive_within(std::chrono::milliseconds limit) {
    if (auto there = wait_for_text(limit, socket_.get()); !there)
      return std::unexpected(std::move(there).error());
    return receive();
  }
  // To be polled for POLLIN.
  [[nodiscard]] int socket() const { return socket_.get(); }

 private:
  wire::Descriptor socket_;
};

}  // namespace aloft::host
