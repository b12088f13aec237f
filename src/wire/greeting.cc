#include "wire/greeting.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "wire/error_text.h"
#include "wire/little_endian.h"

namespace aloft::wire {
namespace {

constexpr std::array<std::byte, 8> kMagic{std::byte{0x89}, std::byte{'A'}, std::byte{'L'},
                                          std::byte{'O'},  std::byte{'F'}, std::byte{'T'},
                                          std::byte{0x0D}, std::byte{0x0A}};

std::unexpected<Error> bad(std::string_view field, std::uint64_t value, std::string_view rule) {
  std::string message("handshake: ");
  message.append(field).append(" is ").append(std::to_string(value)).append(", ").append(rule);
  return fail(Errc::protocol, std::move(message));
}

std::string to_string(VersionRange versions) {
  return std::to_string(versions.min) + ".." + std::to_string(versions.max);
}

std::vector<std::byte> pack_with(Greeting greeting, std::span<const std::byte> payload) {
  greeting.length = static_cast<std::uint32_t>(payload.size());
  const GreetingBytes fixed = pack(greeting);
  std::vector<std::byte> bytes(fixed.begin(), fixed.end());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

}  // namespace

GreetingBytes pack(const Greeting& greeting) {
  const bool refused = greeting.kind == GreetingKind::refused;
  GreetingBytes bytes;
  std::ranges::copy(kMagic, bytes.begin());
  store(bytes, 8, std::to_underlying(greeting.kind));
  store(bytes, 9, refused ? std::uint8_t{0} : std::to_underlying(greeting.credit));
  store(bytes, 10, refused ? std::to_underlying(greeting.code) : std::uint16_t{0});
  store(bytes, 12, greeting.versions.min);
  store(bytes, 14, greeting.versions.max);
  store(bytes, 16, greeting.length);
  return bytes;
}

Result<Greeting> unpack(std::span<const std::byte, kGreetingSize> bytes) {
  if (auto ok = check_start(bytes); !ok) return std::unexpected(std::move(ok).error());

  const auto kind = load<std::uint8_t>(bytes, 8);
  const auto credit = load<std::uint8_t>(bytes, 9);
  const auto code = load<std::uint16_t>(bytes, 10);
  const VersionRange versions{load<std::uint16_t>(bytes, 12), load<std::uint16_t>(bytes, 14)};
  const auto length = load<std::uint32_t>(bytes, 16);

  if (kind < 1 || kind > 3) return bad("kind", kind, "must be 1 to 3");
  if (versions.min == 0) return bad("version_min", 0, "must be at least 1");
  if (versions.max < versions.min)
    return bad("version_max", versions.max, "must not be below version_min");

  Greeting greeting{
      .kind = static_cast<GreetingKind>(kind), .versions = versions, .length = length};
  if (greeting.kind == GreetingKind::refused) {
    if (credit != 0) return bad("credit", credit, "must be 0 in a refusal");
    if (code == 0) return bad("code", code, "must not be 0 in a refusal");
    if (length > kMaxRefusal) return bad("length", length, "must be at most 1024 in a refusal");
    greeting.code = errc_from_wire(code);
    return greeting;
  }
  if (credit != 1 && credit != 2) return bad("credit", credit, "must be 1 or 2");
  if (code != 0) return bad("code", code, "must be 0 unless in a refusal");
  if (length > kMaxHello) return bad("length", length, "must be at most 4096");
  if (greeting.kind == GreetingKind::welcome && versions.min != versions.max)
    return bad("version_max", versions.max, "must be version_min in a welcome");
  greeting.credit = static_cast<CreditRule>(credit);
  return greeting;
}

std::vector<std::byte> pack_hello(VersionRange versions, CreditRule credit,
                                  std::span<const std::byte> hello) {
  return pack_with({.kind = GreetingKind::hello, .credit = credit, .versions = versions}, hello);
}

std::vector<std::byte> pack_welcome(std::uint16_t version, CreditRule credit,
                                    std::span<const std::byte> hello) {
  return pack_with(
      {.kind = GreetingKind::welcome, .credit = credit, .versions = {version, version}}, hello);
}

std::vector<std::byte> pack_refused(VersionRange versions, const Error& why) {
  const std::string_view text = cut_text(why.message, kMaxRefusal);
  return pack_with({.kind = GreetingKind::refused, .code = why.code, .versions = versions},
                   std::as_bytes(std::span(text)));
}

Result<void> check_start(std::span<const std::byte> bytes) {
  const std::size_t size = std::min(bytes.size(), kMagic.size());
  if (std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size), kMagic.begin()))
    return {};
  constexpr std::size_t kQuoted = 32;
  std::string start = printable(bytes.first(std::min(bytes.size(), kQuoted)));
  for (char& c : start) {
    if (static_cast<unsigned char>(c) >= 0x7F) c = '?';
  }
  return fail(Errc::protocol,
              "the peer speaks another protocol: its first bytes are \"" + start + "\"");
}

Result<std::uint16_t> choose_version(VersionRange ours, VersionRange peers) {
  const std::uint16_t version = std::min(ours.max, peers.max);
  if (version >= ours.min && version >= peers.min) return version;
  return fail(Errc::version_mismatch,
              "peer speaks wire versions " + to_string(peers) + ", we speak " + to_string(ours));
}

}  // namespace aloft::wire
