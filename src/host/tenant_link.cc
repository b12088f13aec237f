#include "host/tenant_link.h"

#include <utility>

#include <nlohmann/json.hpp>

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
          {"max_sessions", setup.max_sessions},
          {"inference_process", setup.inference_process}};
}
json to_json(const BelongTo& belong) { return {{"kind", "belong"}, {"tenant", belong.tenant}}; }
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
          {"at", place.at.count()},
          {"trace", place.trace}};
}
json to_json(const ShowCertificate& shown) {
  return {{"kind", "certificate"}, {"certificate", shown.certificate}, {"key", shown.key}};
}
json to_json(const Figures& figures) {
  const CallTimes& counts = figures.module.counts;
  return {
      {"kind", "figures"},       {"module", figures.module.name}, {"digest", figures.module.digest},
      {"errors", counts.errors}, {"micros", counts.micros},       {"buckets", counts.buckets}};
}
json to_json(const Forget& forget) {
  return {{"kind", "forget"}, {"before", forget.before.count()}};
}
json to_json(const Serve&) { return {{"kind", "serve"}}; }
json to_json(const End&) { return {{"kind", "end"}}; }
json to_json(const Ready& ready) { return {{"kind", "ready"}, {"missing", ready.missing}}; }
json to_json(const Failed& failed) { return {{"kind", "failed"}, {"why", failed.why}}; }
json to_json(const HandOver&) { return {{"kind", "hand_over"}}; }
json to_json(const CountedCalls& counted) {
  json latency = json::array();  // of most there are none
  for (std::size_t i = 0; i < counted.latency.size(); ++i) {
    if (counted.latency[i] != 0) latency.push_back({i, counted.latency[i]});
  }
  return {{"kind", "counted"},
          {"module", counted.module.hex()},
          {"calls", counted.calls},
          {"failures", counted.failures},
          {"refusals", counted.refusals},
          {"latency", std::move(latency)}};
}

CountedCalls counted_from(const json& from) {
  CountedCalls counted;
  if (auto module = Digest::parse(from.at("module").get_ref<const std::string&>()))
    counted.module = *module;
  from.at("calls").get_to(counted.calls);
  from.at("failures").get_to(counted.failures);
  from.at("refusals").get_to(counted.refusals);
  for (const json& one : from.at("latency"))
    counted.latency.at(one.at(0).get<std::size_t>()) = one.at(1).get<std::uint64_t>();
  return counted;
}
json to_json(const WantInference&) { return {{"kind", "want_inference"}}; }
json to_json(const Inference&) { return {{"kind", "inference"}}; }

TenantSetup setup_from(const json& from) {
  TenantSetup setup;
  const auto path = [&](const char* name) {
    return std::filesystem::path(from.at(name).get<std::string>());
  };
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
  from.at("inference_process").get_to(setup.inference_process);
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
  if (kind == "belong") return BelongTo{from.at("tenant").get<std::string>()};
  if (kind == "time") return TellTime{time_from(from.at("now"))};
  if (kind == "place") {
    return Place{from.at("session").get<std::string>(), from.at("generation").get<std::uint64_t>(),
                 from.at("released").get<bool>(), time_from(from.at("at")),
                 from.at("trace").get<std::string>()};
  }
  if (kind == "certificate") {
    return ShowCertificate{from.at("certificate").get<std::string>(),
                           from.at("key").get<std::string>()};
  }
  if (kind == "figures") {
    Figures figures;
    from.at("module").get_to(figures.module.name);
    from.at("digest").get_to(figures.module.digest);
    from.at("errors").get_to(figures.module.counts.errors);
    from.at("micros").get_to(figures.module.counts.micros);
    from.at("buckets").get_to(figures.module.counts.buckets);
    return figures;
  }
  if (kind == "forget") return Forget{time_from(from.at("before"))};
  if (kind == "serve") return Serve{};
  if (kind == "end") return End{};
  if (kind == "ready") return Ready{from.at("missing").get<std::vector<std::string>>()};
  if (kind == "failed") return Failed{from.at("why").get<std::string>()};
  if (kind == "hand_over") return HandOver{};
  if (kind == "counted") return counted_from(from);
  if (kind == "want_inference") return WantInference{};
  if (kind == "inference") return Inference{};
  throw std::out_of_range("kind");
}

}  // namespace

std::string MessageText<TenantMessage>::encode(const TenantMessage& message) {
  return std::visit([](const auto& one) { return to_json(one); }, message)
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<TenantMessage> MessageText<TenantMessage>::decode(std::string_view text) {
  try {
    return message_from(json::parse(text));
  } catch (const std::exception&) {
    return fail(Errc::protocol, "no message of the line between a daemon and its handlers");
  }
}

}  // namespace aloft::host
