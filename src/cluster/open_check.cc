// What an OpenSessionRequest may say: bounds on all that a device chooses, before anything is spent
// on it.
#include <algorithm>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "cluster/offload_manager.h"
#include "identity/name.h"

namespace aloft::cluster {
namespace {

constexpr int kMaxModules = 16;  // a ticket has room for them
constexpr int kMaxNeeds = 64;
constexpr int kMaxHosts = 256;
constexpr std::size_t kMaxText = 128;  // bytes of a module's name, a model's digest, ...
constexpr std::size_t kKeyBytes = 32;

std::unexpected<Error> wrong(std::string message) {
  return fail(Errc::invalid_argument, std::move(message));
}

// What goes into logs and records: no control characters, not endless.
bool is_text(std::string_view text) {
  return !text.empty() && text.size() <= kMaxText &&
         std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
}

}  // namespace

bool is_digest(const std::string& text) {
  const auto digest = Digest::parse(text);
  return digest && "sha256:" + digest->hex() == text;
}

Result<void> check(const v1::OpenSessionRequest& request) {
  if (request.modules().empty()) return wrong("modules: a session is for one module at least");
  if (request.modules_size() > kMaxModules) {
    return wrong("modules: more than " + std::to_string(kMaxModules));
  }
  for (const auto& module : request.modules()) {
    if (!is_text(module.name())) return wrong("modules: a name has 1 to 128 printable characters");
    if (!is_digest(module.digest())) {
      return wrong("modules: a digest is `sha256:` and 64 hex digits in lower case");
    }
  }
  if (request.client_key_sha256().size() != kKeyBytes) {
    return wrong("client_key_sha256: has to be 32 bytes, the SHA-256 of the device's public key");
  }
  if (request.idempotency_key().size() > 64) return wrong("idempotency_key: more than 64 bytes");
  if (request.needs().models_size() > kMaxNeeds ||
      request.needs().accelerators_size() > kMaxNeeds ||
      !std::ranges::all_of(request.needs().models(), is_text) ||
      !std::ranges::all_of(request.needs().accelerators(), is_text)) {
    return wrong("needs: at most 64 of each, of 1 to 128 printable characters");
  }
  const auto is_host = [](const std::string& host) { return identity::is_name(host); };
  if (request.round_trip_us_size() > kMaxHosts ||
      !std::ranges::all_of(request.round_trip_us(),
                           [&](const auto& entry) { return is_host(entry.first); })) {
    return wrong("round_trip_us: at most 256, each by a host's name");
  }
  if (request.avoid_hosts_size() > kMaxHosts ||
      !std::ranges::all_of(request.avoid_hosts(), is_host)) {
    return wrong("avoid_hosts: at most 256, each a host's name");
  }
  return {};
}

}  // namespace aloft::cluster
