#include "host/tenant_link.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "base/digest.h"

namespace aloft::host {
namespace {

using nlohmann::json;
using Key = std::array<std::byte, 32>;

json to_json(const Key& key) { return Digest{key}.hex(); }
Key key_from(const json& text) {
  auto key = Digest::parse(text.get_ref<const std::string&>());
  return key ? key->bytes : Key{};
}

json to_json(const TenantSetup& setup) {
  return {{"kind", "setup"},
          {"tenant", setup.tenant},
          {"host", setup.host},
          {"boot_id", setup.boot_id},
          {"resume_key", to_json(setup.resume_key)},
          {"certificate", setup.certificate.string()},
          {"key", setup.key.string()},
          {"modules", setup.modules.string()},
          {"compiled", setup.compiled.string()},
          {"root", setup.root.string()},
          {"user", setup.user ? json(*setup.user) : json()},
          {"need_everything", setup.need == Need::everything},
          {"inference_threads", setup.inference_threads},
          {"inferences", setup.inferences},
          {"instance_memory", setup.instance_memory},
          {"scratch_bytes", setup.scratch_bytes},
          {"call_limit_ms", setup.call_limit_ms},
          {"max_sessions", setup.max_sessions}};
}
json to_json(const TrustKeys& trust) {
  json keys = json::array();
  for (const Key& key : trust.keys) keys.push_back(to_json(key));
  return {{"kind", "trust"}, {"keys", std::move(keys)}};
}
json to_json(const TellTime& time) { return {{"kind", "time"}, {"now", time.now.count()}}; }
json to_json(const Place& place) {
  return {{"kind", "place"},
          {"session", place.session},
          {"generation", place.generation},
          {"released", place.released},
          {"at", place.at.count()}};
}
json to_json(const Forget& forget) {
  return {{"kind", "forget"}, {"before", forget.before.count()}};
}
json to_json(const Serve&) { return {{"kind", "serve"}}; }
json to_json(const End&) { return {{"kind", "end"}}; }
json to_json(const Ready& ready) { return {{"kind", "ready"}, {"missing", ready.missing}}; }
json to_json(const Failed& failed) { return {{"kind", "failed"}, {"why", failed.why}}; }
json to_json(const HandOver&) { return {{"kind", "hand_over"}}; }

TenantSetup setup_from(const json& from) {
  TenantSetup setup;
  const auto path = [&](const char* name) {
    return std::filesystem::path(from.at(name).get<std::string>());
  };
  from.at("tenant").get_to(setup.tenant);
  from.at("host").get_to(setup.host);
  from.at("boot_id").get_to(setup.boot_id);
  setup.resume_key = key_from(from.at("resume_key"));
  setup.certificate = path("certificate");
  setup.key = path("key");
  setup.modules = path("modules");
  setup.compiled = path("compiled");
  setup.root = path("root");
  if (!from.at("user").is_null()) setup.user = from.at("user").get<uid_t>();
  setup.need = from.at("need_everything").get<bool>() ? Need::everything : Need::what_there_is;
  from.at("inference_threads").get_to(setup.inference_threads);
  from.at("inferences").get_to(setup.inferences);
  from.at("instance_memory").get_to(setup.instance_memory);
  from.at("scratch_bytes").get_to(setup.scratch_bytes);
  from.at("call_limit_ms").get_to(setup.call_limit_ms);
  from.at("max_sessions").get_to(setup.max_sessions);
  return setup;
}

identity::ClusterTime time_from(const json& number) {
  return identity::ClusterTime{number.get<std::int64_t>()};
}

// Throws what the library throws.
TenantMessage message_from(const json& from) {
  const auto& kind = from.at("kind").get_ref<const std::string&>();
  if (kind == "setup") return setup_from(from);
  if (kind == "trust") {
    TrustKeys trust;
    for (const json& key : from.at("keys")) trust.keys.push_back(key_from(key));
    return trust;
  }
  if (kind == "time") return TellTime{time_from(from.at("now"))};
  if (kind == "place") {
    return Place{from.at("session").get<std::string>(), from.at("generation").get<std::uint64_t>(),
                 from.at("released").get<bool>(), time_from(from.at("at"))};
  }
  if (kind == "forget") return Forget{time_from(from.at("before"))};
  if (kind == "serve") return Serve{};
  if (kind == "end") return End{};
  if (kind == "ready") return Ready{from.at("missing").get<std::vector<std::string>>()};
  if (kind == "failed") return Failed{from.at("why").get<std::string>()};
  if (kind == "hand_over") return HandOver{};
  throw std::out_of_range("kind");
}

}  // namespace

std::string encode(const TenantMessage& message) {
  return std::visit([](const auto& one) { return to_json(one); }, message)
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<TenantMessage> decode_tenant_message(std::string_view text) {
  try {
    return message_from(json::parse(text));
  } catch (const std::exception&) {
    return fail(Errc::protocol, "no message of the line between a daemon and its handlers");
  }
}

Result<TenantLink::Pair> TenantLink::make() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail(Errc::internal, std::string("socketpair: ") + std::strerror(errno));
  return Pair{ends[0], ends[1]};
}

TenantLink::~TenantLink() { ::close(socket_); }

Result<void> TenantLink::send(const TenantMessage& message) {
  const std::string text = encode(message);
  ssize_t sent = 0;
  do {
    sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent == static_cast<ssize_t>(text.size())) return {};
  return fail(Errc::unreachable, std::string("the other end of the line: ") + std::strerror(errno));
}

Result<TenantMessage> TenantLink::receive() {
  std::string text(kMaxTenantMessage, '\0');
  ssize_t got = 0;
  do {
    got = ::recv(socket_, text.data(), text.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return fail(Errc::unreachable, "the other end of the line is gone");
  text.resize(static_cast<std::size_t>(got));
  return decode_tenant_message(text);
}

}  // namespace aloft::host
