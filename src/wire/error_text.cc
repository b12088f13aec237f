#include "wire/error_text.h"

#include <cstring>
#include <utility>

#include "wire/little_endian.h"

namespace aloft::wire {

std::string_view cut_text(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  // A byte of the form 10xxxxxx continues a character.
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0U) == 0x80U) --limit;
  return text.substr(0, limit);
}

std::string printable(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const std::byte byte : bytes) {
    const auto code = std::to_integer<unsigned char>(byte);
    text.push_back(code < 0x20 || code == 0x7F ? ' ' : static_cast<char>(code));
  }
  return text;
}

std::string one_line(std::string_view text) {
  return printable(std::as_bytes(std::span(cut_text(text, kMaxLine))));
}

Errc errc_from_wire(std::uint16_t number) {
  const auto code = static_cast<Errc>(number);
  return to_string(code) == "unknown" ? Errc::internal : code;
}

std::vector<std::byte> pack_error(const Error& error) {
  const std::string_view text = cut_text(error.message, kMaxErrorText);
  std::vector<std::byte> bytes(kMinErrorSize + text.size());
  store(bytes, 0, std::to_underlying(error.code));
  if (!text.empty()) std::memcpy(bytes.data() + kMinErrorSize, text.data(), text.size());
  return bytes;
}

Result<Error> unpack_error(std::span<const std::byte> bytes) {
  if (bytes.size() < kMinErrorSize || bytes.size() > kMaxErrorSize)
    return fail(Errc::protocol,
                "error: " + std::to_string(bytes.size()) + " bytes, must be 2 to 514");
  const auto code = load<std::uint16_t>(bytes, 0);
  if (code == 0) return fail(Errc::protocol, "error: code is 0");
  return Error{errc_from_wire(code), printable(bytes.subspan(kMinErrorSize))};
}

}  // namespace aloft::wire
