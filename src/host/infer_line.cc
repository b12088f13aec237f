#include "host/infer_line.h"

#include <nlohmann/json.hpp>

namespace aloft::host {
namespace {

using nlohmann::json;

json to_json(const InferSetup& setup) {
  return {{"kind", "setup"},
          {"root", setup.root.string()},
          {"user", setup.user ? json(*setup.user) : json()},
          {"need_everything", setup.need == Need::everything},
          {"device", setup.device},
          {"libraries", setup.libraries.string()},
          {"threads", setup.threads},
          {"slots", setup.slots},
          {"batching", setup.batching},
          {"batch_rows", setup.batch_rows},
          {"batch_wait_us", setup.batch_wait_us},
          {"vouched", setup.vouched},
          {"forbidden", setup.forbidden},
          {"memory_bytes", setup.memory_bytes}};
}
json to_json(const InferShare& share) {
  return {{"kind", "share"},
          {"tenant", share.tenant},
          {"inferences", share.inferences},
          {"cpu_millicores", share.cpu_millicores}};
}
json to_json(const InferClient& client) {
  json all = to_json(client.share);
  all["kind"] = "client";
  all["memory_bytes"] = client.memory_bytes;
  all["model_bytes"] = client.model_bytes;
  all["gpus"] = client.gpus;
  return all;
}
json to_json(const InferEnd&) { return {{"kind", "end"}}; }
json to_json(const InferReady& ready) {
  return {{"kind", "ready"},
          {"missing", ready.missing},
          {"engine", ready.engine},
          {"accelerated", ready.accelerated},
          {"gpus", ready.gpus}};
}
json to_json(const InferFailed& failed) { return {{"kind", "failed"}, {"why", failed.why}}; }
json to_json(const InferStuck& stuck) {
  return {{"kind", "stuck"}, {"model", stuck.model}, {"why", stuck.why}};
}

InferShare share_from(const json& from) {
  return {.tenant = from.at("tenant").get<std::string>(),
          .inferences = from.at("inferences").get<int>(),
          .cpu_millicores = from.at("cpu_millicores").get<std::uint32_t>()};
}

InferSetup setup_from(const json& from) {
  InferSetup setup;
  setup.root = from.at("root").get<std::string>();
  if (!from.at("user").is_null()) setup.user = from.at("user").get<uid_t>();
  setup.need = from.at("need_everything").get<bool>() ? Need::everything : Need::what_there_is;
  from.at("device").get_to(setup.device);
  setup.libraries = from.at("libraries").get<std::string>();
  from.at("threads").get_to(setup.threads);
  from.at("slots").get_to(setup.slots);
  from.at("batching").get_to(setup.batching);
  from.at("batch_rows").get_to(setup.batch_rows);
  from.at("batch_wait_us").get_to(setup.batch_wait_us);
  from.at("vouched").get_to(setup.vouched);
  from.at("forbidden").get_to(setup.forbidden);
  from.at("memory_bytes").get_to(setup.memory_bytes);
  return setup;
}

// Throws what the library throws.
InferMessage message_from(const json& from) {
  const auto& kind = from.at("kind").get_ref<const std::string&>();
  const auto text = [&](const char* name) { return from.at(name).get<std::string>(); };
  if (kind == "setup") return setup_from(from);
  if (kind == "share") return share_from(from);
  if (kind == "client") {
    return InferClient{.share = share_from(from),
                       .memory_bytes = from.at("memory_bytes").get<std::uint64_t>(),
                       .model_bytes = from.at("model_bytes").get<std::uint64_t>(),
                       .gpus = from.at("gpus").get<std::uint32_t>()};
  }
  if (kind == "end") return InferEnd{};
  if (kind == "ready") {
    return InferReady{.missing = from.at("missing").get<std::vector<std::string>>(),
                      .engine = text("engine"),
                      .accelerated = text("accelerated"),
                      .gpus = from.at("gpus").get<std::vector<std::string>>()};
  }
  if (kind == "failed") return InferFailed{text("why")};
  if (kind == "stuck") return InferStuck{text("model"), text("why")};
  throw std::out_of_range("kind");
}

}  // namespace

std::string MessageText<InferMessage>::encode(const InferMessage& message) {
  return std::visit([](const auto& one) { return to_json(one); }, message)
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<InferMessage> MessageText<InferMessage>::decode(std::string_view text) {
  try {
    return message_from(json::parse(text));
  } catch (const std::exception&) {
    return fail(Errc::protocol, "no message of the line between a daemon and aloft-infer");
  }
}

}  // namespace aloft::host
