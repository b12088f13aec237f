#include "identity/ticket.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

namespace aloft::identity {
namespace {

constexpr std::array<std::byte, 4> kMagic{std::byte{'A'}, std::byte{'T'}, std::byte{'K'},
                                          std::byte{1}};
constexpr std::size_t kKeyId = 8;
constexpr std::size_t kSignature = std::tuple_size_v<Signature>;
// What is signed begins with this, so that a signature made for anything else is never one of a
// ticket.
constexpr std::string_view kContext = "aloft ticket 1\n";

bool is_text(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTicketName &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

// Which key it was: the first bytes of the SHA-256 of its 32 bytes (VerifyingKey::id() in binary).
std::array<std::byte, kKeyId> key_id(const VerifyingKey& key) {
  std::array<std::byte, kKeyId> id{};
  std::ranges::copy_n(sha256(key.raw()).bytes.begin(), kKeyId, id.begin());
  return id;
}

std::vector<std::byte> to_sign(std::span<const std::byte> body) {
  const auto context = std::as_bytes(std::span(kContext));
  std::vector<std::byte> bytes(context.begin(), context.end());
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

class Writer {
 public:
  void bytes(std::span<const std::byte> from) { out_.insert(out_.end(), from.begin(), from.end()); }
  template <class T>
  void number(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
      out_.push_back(static_cast<std::byte>(value >> (8 * i) & 0xffU));
  }
  void text(std::string_view from) {
    number(static_cast<std::uint8_t>(from.size()));
    bytes(std::as_bytes(std::span(from)));
  }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

// Never reads past the end: what is missing reads as 0, and whole() is false then.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> from) : rest_(from) {}

  std::span<const std::byte> bytes(std::size_t size) {
    if (size > rest_.size()) {
      whole_ = false;
      rest_ = {};
      return {};
    }
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  template <class T>
  T number() {
    const auto from = bytes(sizeof(T));
    T value = 0;
    for (std::size_t i = 0; i < from.size(); ++i)
      value = static_cast<T>(value | static_cast<T>(std::to_integer<T>(from[i]) << (8 * i)));
    return value;
  }
  std::string text() {
    const auto from = bytes(number<std::uint8_t>());
    std::string value(from.size(), '\0');
    std::ranges::transform(from, value.begin(), [](std::byte b) { return static_cast<char>(b); });
    whole_ = whole_ && is_text(value);
    return value;
  }
  Digest digest() {
    Digest value;
    std::ranges::copy(bytes(value.bytes.size()), value.bytes.begin());
    return value;
  }
  ClusterTime time() {
    const auto value = number<std::uint64_t>();
    whole_ =
        whole_ && value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return ClusterTime{static_cast<std::int64_t>(value)};
  }
  // All was there, was what it has to be, and nothing follows.
  [[nodiscard]] bool whole() const { return whole_ && rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  bool whole_ = true;
};

// What holds of every ticket's content, at the manager that makes it and at the handler.
Result<void> check_content(const Ticket& ticket, Errc code) {
  for (const auto& [text, what] :
       {std::pair<std::string_view, std::string_view>{ticket.tenant, "tenant"},
        {ticket.session, "session"},
        {ticket.host, "host"},
        {ticket.handler_boot, "handler_boot"}}) {
    if (!is_text(text)) {
      return fail(code, "a ticket's " + std::string(what) +
                            " has 1 to 128 printable characters of ASCII, and no space");
    }
  }
  if (ticket.modules.size() > kMaxTicketModules)
    return fail(code,
                "a ticket is for at most 64 modules, not " + std::to_string(ticket.modules.size()));
  if (ticket.issued < ClusterTime::zero() || ticket.expires <= ticket.issued ||
      ticket.expires - ticket.issued > kMaxTicketLifetime)
    return fail(code, "a ticket lives for more than nothing and at most an hour");
  return {};
}

Result<Ticket> read_body(std::span<const std::byte> body) {
  Reader reader(body);
  Ticket ticket;
  ticket.issued = reader.time();
  ticket.expires = reader.time();
  ticket.generation = reader.number<std::uint64_t>();
  ticket.limits.memory_bytes = reader.number<std::uint64_t>();
  ticket.limits.cpu_millicores = reader.number<std::uint32_t>();
  ticket.limits.gpus = reader.number<std::uint32_t>();
  ticket.client_key = reader.digest();
  ticket.tenant = reader.text();
  ticket.session = reader.text();
  ticket.host = reader.text();
  ticket.handler_boot = reader.text();
  const auto modules = reader.number<std::uint8_t>();
  for (std::size_t i = 0; i < modules && i <= kMaxTicketModules; ++i)
    ticket.modules.push_back(reader.digest());
  if (!reader.whole())
    return fail(Errc::corrupt, "no ticket: its content is not what it has to be");
  if (auto checked = check_content(ticket, Errc::corrupt); !checked)
    return std::unexpected(std::move(checked).error());
  return ticket;
}

std::string seconds(ClusterTime time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

Result<std::vector<std::byte>> seal(const Ticket& ticket, const SigningKey& key) {
  if (auto checked = check_content(ticket, Errc::invalid_argument); !checked)
    return std::unexpected(std::move(checked).error());
  Writer writer;
  writer.bytes(kMagic);
  writer.bytes(key_id(key.verifying()));
  writer.number(static_cast<std::uint64_t>(ticket.issued.count()));
  writer.number(static_cast<std::uint64_t>(ticket.expires.count()));
  writer.number(ticket.generation);
  writer.number(ticket.limits.memory_bytes);
  writer.number(ticket.limits.cpu_millicores);
  writer.number(ticket.limits.gpus);
  writer.bytes(ticket.client_key.bytes);
  for (const std::string* text :
       {&ticket.tenant, &ticket.session, &ticket.host, &ticket.handler_boot})
    writer.text(*text);
  writer.number(static_cast<std::uint8_t>(ticket.modules.size()));
  for (const Digest& module : ticket.modules) writer.bytes(module.bytes);
  auto sealed = writer.take();
  const Signature signature = key.sign(to_sign(sealed));
  sealed.insert(sealed.end(), signature.begin(), signature.end());
  if (sealed.size() > kMaxTicketBytes)
    return fail(Errc::internal, "a ticket came out longer than kMaxTicketBytes");
  return sealed;
}

Result<Ticket> open(std::span<const std::byte> sealed, const TicketCheck& check) {
  constexpr std::size_t kFront = kMagic.size() + kKeyId;
  if (sealed.size() > kMaxTicketBytes || sealed.size() < kFront + kSignature ||
      !std::ranges::equal(sealed.first(kMagic.size()), kMagic))
    return fail(Errc::corrupt, "no ticket, or none of a version that is known here");

  const auto id = sealed.subspan(kMagic.size(), kKeyId);
  const auto key = std::ranges::find_if(
      check.keys, [&](const VerifyingKey& known) { return std::ranges::equal(id, key_id(known)); });
  if (key == check.keys.end())
    return fail(Errc::refused, "the ticket is signed by none of this cluster's keys");
  const auto body = sealed.first(sealed.size() - kSignature);
  if (!key->verify(to_sign(body), sealed.last(kSignature)))
    return fail(Errc::refused, "the ticket's signature is not good: it is forged or damaged");

  auto ticket = read_body(body.subspan(kFront));
  if (!ticket) return ticket;
  if (check.now >= ticket->expires) {
    return fail(Errc::refused, "the ticket has expired " + seconds(check.now - ticket->expires) +
                                   " ago; renew the session");
  }
  if (ticket->issued - check.now > kTicketTolerance) {
    return fail(Errc::refused, "the ticket is of a time " + seconds(ticket->issued - check.now) +
                                   " ahead of this host's");
  }
  if (ticket->host != check.host)
    return fail(Errc::refused, "the ticket is for another host: " + ticket->host);
  if (ticket->handler_boot != check.handler_boot)
    return fail(Errc::refused, "the ticket is for another process of this host, which has ended");
  if (ticket->tenant != check.tenant)
    return fail(Errc::refused, "the ticket is for another tenant: " + ticket->tenant);
  if (ticket->client_key != check.client_key)
    return fail(Errc::refused, "the ticket is for another key than the one this device has shown");
  return ticket;
}

}  // namespace aloft::identity
