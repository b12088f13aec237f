#include "cluster/revocations.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "config/value.h"
#include "identity/key_file.h"
#include "identity/name.h"

namespace aloft::cluster {
namespace {

namespace fs = std::filesystem;
using config::Fields;
using config::Table;
using config::Value;

constexpr std::size_t kMaxSerial = 64;  // digits; certificates have at most 40
constexpr std::size_t kMaxText = 256;   // bytes of a token's id, and of a reason

// What a TOML text can be without an escape.
bool is_plain(std::string_view text) {
  return text.size() <= kMaxText && std::ranges::all_of(text, [](unsigned char c) {
           return c >= 0x20 && c != 0x7F && c != '"' && c != '\\';
         });
}

bool is_serial(std::string_view text) {
  return !text.empty() && text.size() <= kMaxSerial && text.size() % 2 == 0 &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<void> check(const Revocation& one) {
  const auto wrong = [](std::string why) { return fail(Errc::invalid_argument, std::move(why)); };
  const int named = (one.key ? 1 : 0) + (one.serial.empty() ? 0 : 1) + (one.token.empty() ? 0 : 1) +
                    (one.tenant.empty() ? 0 : 1);
  if (named != 1) return wrong("a revocation has one of key, serial, token, tenant");
  if (!one.serial.empty() && !is_serial(one.serial))
    return wrong("serial: has to be hex digits in lower case, two for each byte");
  if (!is_plain(one.token))
    return wrong("token: has to be the `jti` of a token, at most 256 bytes");
  if (!one.tenant.empty() && !identity::is_name(one.tenant))
    return wrong("tenant: has to be a tenant's name");
  if (!is_plain(one.reason)) {
    return wrong("reason: at most 256 bytes, without quotation marks and backslashes");
  }
  return {};
}

Result<void> read_one(const Table& table, const std::string& file, const std::string& key,
                      Revocations& into) {
  Fields fields(table, file, key);
  Revocation one;
  std::string digest, ignored;
  if (fields.take("key", digest)) {
    const auto parsed = Digest::parse(digest);
    if (!parsed)
      fields.refuse("key", "has " + parsed.error().message);
    else
      one.key = *parsed;
  }
  fields.take("serial", one.serial);
  fields.take("token", one.token);
  fields.take("tenant", one.tenant);
  fields.take("on", ignored);
  fields.take("reason", one.reason);
  if (auto done = fields.done(); !done) return done;
  if (auto good = check(one); !good)
    return fail(Errc::invalid_argument, file + ": " + key + ": " + good.error().message);
  if (one.key) into.keys.insert(*one.key);
  if (!one.serial.empty()) into.serials.insert(one.serial);
  if (!one.token.empty()) into.tokens.insert(one.token);
  if (!one.tenant.empty()) into.tenants.insert(one.tenant);
  return {};
}

Result<std::string> text_of(const fs::path& file) {
  std::error_code ignored;
  // A link to nothing is an error, and nobody is let in by it.
  if (fs::symlink_status(file, ignored).type() == fs::file_type::not_found) return std::string();
  return config::read_file(file);
}

Result<Revocations> parse(const std::string& text, const std::string& file) {
  const auto root = config::parse_toml(text, file);
  if (!root) return std::unexpected(root.error());
  Revocations read;
  Fields fields(*root, file, "");
  if (const Value* const list = fields.find("revoked")) {
    const auto* const all = std::get_if<config::Array>(&list->data);
    if (all == nullptr) fields.refuse("revoked", "has to be tables: [[revoked]]");
    if (all != nullptr && all->size() > kMaxRevocations)
      fields.refuse("revoked", "has more than 10000 entries");
    for (std::size_t i = 0; all != nullptr && i < std::min(all->size(), kMaxRevocations); ++i) {
      const auto* const table = std::get_if<Table>(&(*all)[i].data);
      if (table == nullptr) {
        fields.refuse("revoked", "has to be tables: [[revoked]]");
        break;
      }
      fields.also(read_one(*table, file, "revoked[" + std::to_string(i) + "]", read));
    }
  }
  if (auto done = fields.done(); !done) return std::unexpected(std::move(done).error());
  return read;
}

std::string today() {
  const auto day = std::chrono::year_month_day(
      std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()));
  const auto two = [](unsigned number) {
    return (number < 10 ? "0" : "") + std::to_string(number);
  };
  return std::to_string(static_cast<int>(day.year())) + "-" +
         two(static_cast<unsigned>(day.month())) + "-" + two(static_cast<unsigned>(day.day()));
}

}  // namespace

bool Revocations::covers(const Shown& shown) const {
  return (shown.key && keys.contains(*shown.key)) || serials.contains(shown.serial) ||
         tokens.contains(shown.token) || tenants.contains(shown.tenant);
}

bool Revocations::empty() const {
  return keys.empty() && serials.empty() && tokens.empty() && tenants.empty();
}

Result<Revocations> load_revocations(const fs::path& folder) {
  const fs::path file = folder / kRevokedFile;
  const auto text = text_of(file);
  if (!text) return std::unexpected(text.error());
  return parse(*text, file.string());
}

Result<bool> revoke(const fs::path& folder, const Revocation& revocation) {
  if (auto good = check(revocation); !good) return std::unexpected(good.error());
  const fs::path file = folder / kRevokedFile;
  auto text = text_of(file);
  if (!text) return std::unexpected(std::move(text).error());
  const auto known = parse(*text, file.string());
  if (!known) return std::unexpected(known.error());
  if (known->covers({revocation.key, revocation.serial, revocation.token, revocation.tenant}))
    return false;
  if (text->empty()) *text = "# Who is refused by this cluster; managers read it while they run.\n";
  *text += "\n[[revoked]]\n";
  const auto put = [&](const char* name, const std::string& value) {
    if (!value.empty()) *text += std::string(name) + " = \"" + value + "\"\n";
  };
  put("key", revocation.key ? "sha256:" + revocation.key->hex() : "");
  put("serial", revocation.serial);
  put("token", revocation.token);
  put("tenant", revocation.tenant);
  put("on", today());
  put("reason", revocation.reason);
  if (auto again = parse(*text, file.string()); !again) return std::unexpected(again.error());
  if (auto written = identity::write_key_file(file, *text, identity::Secrecy::open,
                                              identity::Existing::replace);
      !written)
    return std::unexpected(std::move(written).error());
  return true;
}

}  // namespace aloft::cluster
