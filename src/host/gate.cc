#include "host/gate.h"

#include <algorithm>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/clock.h"
#include "function/fields.h"

namespace aloft::host {
namespace {

using identity::ClusterTime;

constexpr std::size_t kMac = 32;
constexpr std::byte kVersion{1};
constexpr std::size_t kFixed = 1 + 3 * 8 + 1;  // of what the digest covers in a secret
constexpr std::size_t kMaxSessionName = 128;
constexpr std::size_t kMaxModules = 64;

void put(std::vector<std::byte>& to, std::uint64_t value) {
  for (unsigned shift = 0; shift < 64; shift += 8)
    to.push_back(static_cast<std::byte>(value >> shift));
}
std::uint64_t take(std::span<const std::byte>& from) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 8; ++i) value |= std::to_integer<std::uint64_t>(from[i]) << (8 * i);
  from = from.subspan(8);
  return value;
}

}  // namespace

std::chrono::milliseconds time_since_boot() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(BootClock::now().time_since_epoch());
}

ClusterTimeHere::ClusterTimeHere(BootClock since_boot) : since_boot_(std::move(since_boot)) {}

void ClusterTimeHere::hear(ClusterTime time) {
  if (const auto here = now(); here && *here >= time) return;
  heard_ = time;
  at_ = since_boot_();
}

std::optional<ClusterTime> ClusterTimeHere::now() const {
  if (!heard_) return std::nullopt;
  return *heard_ + (since_boot_() - at_);
}

Gate::Gate(GateOptions options)
    : options_(std::move(options)), tenant_(options_.tenant), time_(options_.since_boot) {}

void Gate::belong_to(std::string tenant) {
  const std::lock_guard lock(mutex_);
  tenant_ = std::move(tenant);
}

void Gate::trust(std::vector<identity::VerifyingKey> keys) {
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
}

void Gate::hear_time(ClusterTime now) {
  const std::lock_guard lock(mutex_);
  time_.hear(now);
}

void Gate::expect(std::string_view session, std::uint64_t generation, std::string_view trace) {
  const std::lock_guard lock(mutex_);
  placements_.expect(session, generation, trace);
}

void Gate::release(std::string_view session, std::uint64_t generation, ClusterTime at) {
  const std::lock_guard lock(mutex_);
  placements_.release(session, generation, at);
}

void Gate::forget_before(ClusterTime time) {
  const std::lock_guard lock(mutex_);
  placements_.forget_before(time);
}

Result<Gate::Admission> Gate::admit(std::span<const std::byte> hello,
                                    const std::optional<Digest>& key) {
  if (!key)
    return fail(Errc::refused,
                "this edge takes only devices that show a certificate of the key "
                "that their ticket is bound to");
  function::FieldReader fields(hello, "hello");
  const bool resumes = fields.has("resume");
  std::span<const std::byte> shown;
  if (resumes) {
    fields.get_map("resume", shown);
  } else if (fields.has("ticket")) {
    fields.get("ticket", shown);
  } else {
    return fail(Errc::refused,
                "this edge belongs to a cluster: open a session at one of its managers, and come "
                "with the ticket that it gives");
  }
  if (!fields.ok()) return std::unexpected(fields.error());

  const std::lock_guard lock(mutex_);
  if (tenant_.empty()) return fail(Errc::unreachable, "this edge is not any tenant's yet");
  ClusterTime issued{};
  auto rights = resumes ? by_secret(shown, *key, issued) : by_ticket(shown, *key, issued);
  if (!rights) return std::unexpected(std::move(rights).error());
  if (auto current = placements_.enter(rights->session, rights->generation, issued); !current)
    return std::unexpected(std::move(current).error());
  rights->trace = placements_.trace_of(rights->session);
  std::erase_if(ends_, [](const auto& one) { return one.second.expired(); });
  auto& ends = ends_[rights->session];
  rights->ends = ends.lock();
  if (!rights->ends) ends = rights->ends = std::make_shared<EndMemory>();
  auto secret = secret_of(*rights, *key, issued);
  return Admission{*std::move(rights), std::move(secret)};
}

Result<SessionRights> Gate::by_ticket(std::span<const std::byte> ticket, const Digest& key,
                                      ClusterTime& issued) {
  const auto now = time_.now();
  if (!now || keys_.empty()) {
    return fail(Errc::unreachable,
                "this edge has not heard from its cluster yet, and cannot check tickets before");
  }
  auto opened = identity::open(ticket, {.keys = keys_,
                                        .host = options_.host,
                                        .handler_boot = options_.boot_id,
                                        .tenant = tenant_,
                                        .client_key = key,
                                        .now = *now});
  if (!opened) {
    // What cannot be read is as little welcome as what is forged.
    return fail(Errc::refused, std::move(opened).error().message);
  }
  issued = opened->issued;
  return SessionRights{.session = std::move(opened->session),
                       .generation = opened->generation,
                       .modules = std::move(opened->modules),
                       .memory_bytes = opened->limits.memory_bytes};
}

Result<SessionRights> Gate::by_secret(std::span<const std::byte> resume, const Digest& key,
                                      ClusterTime& issued) {
  function::FieldReader fields(resume, "hello: resume");
  SessionRights rights;
  std::span<const std::byte> secret;
  fields.get("session", rights.session);
  fields.get("secret", secret);
  if (!fields.ok()) return std::unexpected(fields.error());
  const auto bad = [] {
    return fail(Errc::refused,
                "the resumption secret is not one of this edge's, of this session or of this "
                "device; come with a ticket");
  };
  if (rights.session.size() > kMaxSessionName || secret.size() < kMac + kFixed ||
      secret[kMac] != kVersion)
    return bad();
  auto content = secret.subspan(kMac);
  const auto expected = mac(rights.session, key, content);
  if (CRYPTO_memcmp(expected.data(), secret.data(), kMac) != 0) return bad();
  // From here on it is what secret_of() wrote.
  content = content.subspan(1);
  rights.generation = take(content);
  issued = ClusterTime{static_cast<std::int64_t>(take(content))};
  rights.memory_bytes = take(content);
  const auto count = std::to_integer<std::size_t>(content[0]);
  content = content.subspan(1);
  if (content.size() != count * sizeof(Digest::bytes)) return bad();
  for (std::size_t i = 0; i < count; ++i) {
    Digest module;
    std::ranges::copy(content.first(module.bytes.size()), module.bytes.begin());
    rights.modules.push_back(module);
    content = content.subspan(module.bytes.size());
  }
  return rights;
}

std::vector<std::byte> Gate::secret_of(const SessionRights& rights, const Digest& key,
                                       ClusterTime issued) const {
  if (rights.modules.size() > kMaxModules || rights.session.size() > kMaxSessionName) return {};
  std::vector<std::byte> content{kVersion};
  put(content, rights.generation);
  put(content, static_cast<std::uint64_t>(issued.count()));
  put(content, rights.memory_bytes);
  content.push_back(static_cast<std::byte>(rights.modules.size()));
  for (const Digest& module : rights.modules)
    content.insert(content.end(), module.bytes.begin(), module.bytes.end());
  const auto tag = mac(rights.session, key, content);
  std::vector<std::byte> secret(tag.begin(), tag.end());
  secret.insert(secret.end(), content.begin(), content.end());
  return secret;
}

std::array<std::byte, 32> Gate::mac(std::string_view session, const Digest& key,
                                    std::span<const std::byte> content) const {
  constexpr std::string_view kContext("aloft resume\0", 13);
  std::vector<std::byte> covered;
  const auto add = [&](std::span<const std::byte> bytes) {
    covered.insert(covered.end(), bytes.begin(), bytes.end());
  };
  add(std::as_bytes(std::span(kContext)));
  add(key.bytes);
  covered.push_back(static_cast<std::byte>(session.size()));
  add(std::as_bytes(std::span(session)));
  add(content);
  std::array<std::byte, kMac> tag{};
  unsigned length = 0;
  HMAC(EVP_sha256(), options_.resume_key.data(), static_cast<int>(options_.resume_key.size()),
       reinterpret_cast<const unsigned char*>(covered.data()), covered.size(),
       reinterpret_cast<unsigned char*>(tag.data()), &length);
  return tag;
}

}  // namespace aloft::host
