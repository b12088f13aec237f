// What a device shows of itself in the handshake.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "function/fields.h"
#include <aloft/codec/writer.h>

namespace aloft::host::testing {

[[nodiscard]] inline std::vector<std::byte> bytes_of(codec::Writer& writer) {
  std::vector<std::byte> bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

[[nodiscard]] inline std::vector<std::byte> plain_hello() {
  codec::Writer writer;
  writer.map(1);
  writer.string("role");
  writer.string("ue");
  return bytes_of(writer);
}

[[nodiscard]] inline std::vector<std::byte> hello_with_ticket(std::span<const std::byte> ticket) {
  codec::Writer writer;
  writer.map(2);
  for (const std::string_view text : {"role", "ue", "ticket"}) writer.string(text);
  writer.binary(ticket);
  return bytes_of(writer);
}

[[nodiscard]] inline std::vector<std::byte> hello_to_resume(std::string_view session,
                                                            std::span<const std::byte> secret) {
  codec::Writer writer;
  writer.map(2);
  for (const std::string_view text : {"role", "ue", "resume"}) writer.string(text);
  writer.map(2);
  writer.string("session");
  writer.string(session);
  writer.string("secret");
  writer.binary(secret);
  return bytes_of(writer);
}

// Of a handler's hello; empty: it gave none.
[[nodiscard]] inline std::vector<std::byte> resume_secret(std::span<const std::byte> hello) {
  function::FieldReader fields(hello, "hello");
  if (!fields.has("resume_secret")) return {};
  std::span<const std::byte> secret;
  fields.get("resume_secret", secret);
  return {secret.begin(), secret.end()};
}

}  // namespace aloft::host::testing
