#include "runtime/recorded_call.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

namespace aloft::runtime {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kVersion = 1;

Json binary(const std::vector<std::byte>& bytes) {
  const auto* const begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return Json::binary({begin, begin + bytes.size()});
}

Errc errc_of(std::string_view name) {
  for (int code = 1; code <= static_cast<int>(kLastErrc); ++code) {
    if (to_string(static_cast<Errc>(code)) == name) return static_cast<Errc>(code);
  }
  return Errc::internal;
}

// Throws nlohmann's exceptions, as at() does.
std::vector<std::byte> bytes_of(const Json& value) {
  const auto bytes = std::as_bytes(std::span(value.get_binary()));
  return {bytes.begin(), bytes.end()};
}

RecordedCall parse(const Json& map) {
  RecordedCall call;
  map.at("module").get_to(call.module);
  map.at("module_sha256").get_to(call.module_digest);
  map.at("function").get_to(call.function);
  map.at("export").get_to(call.export_name);
  call.arguments = bytes_of(map.at("arguments"));
  if (!map.at("object").is_null()) {
    call.object = map.at("object").get<std::uint32_t>();
    call.state = bytes_of(map.at("state"));
  }
  if (map.at("error").is_null()) {
    call.result = bytes_of(map.at("result"));
  } else {
    call.error =
        Error{errc_of(map.at("error").get<std::string>()), map.at("message").get<std::string>()};
    map.at("backtrace").get_to(call.backtrace);
  }
  map.at("run_us").get_to(call.run_us);
  return call;
}

}  // namespace

Result<void> write_recorded_call(const fs::path& file, const RecordedCall& call) {
  Json map = {{"aloft", kVersion},
              {"module", call.module},
              {"module_sha256", call.module_digest},
              {"function", call.function},
              {"export", call.export_name},
              {"arguments", binary(call.arguments)},
              {"object", nullptr},
              {"error", nullptr},
              {"run_us", call.run_us}};
  if (call.object) {
    map["object"] = *call.object;
    map["state"] = binary(call.state);
  }
  if (call.error) {
    map["error"] = to_string(call.error->code);
    map["message"] = call.error->message;
    map["backtrace"] = call.backtrace;
  } else {
    map["result"] = binary(call.result);
  }
  const std::vector<std::uint8_t> bytes = Json::to_msgpack(map);
  const fs::path partial = file.string() + ".partial";
  std::error_code error;
  {
    std::ofstream out(partial, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    out.flush();
    if (!out) return fail(Errc::refused, partial.string() + ": cannot be written");
  }
  fs::rename(partial, file, error);
  if (error) return fail(Errc::refused, file.string() + ": " + error.message());
  return {};
}

Result<RecordedCall> read_recorded_call(const fs::path& file) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  if (error) return fail(Errc::not_found, file.string() + ": " + error.message());
  if (size > kMaxRecordedCall)
    return fail(Errc::corrupt, file.string() + ": too big for a recorded call");
  std::ifstream in(file, std::ios::binary);
  const std::vector<char> text{std::istreambuf_iterator<char>(in),
                               std::istreambuf_iterator<char>()};
  const Json map = Json::from_msgpack(text, /*strict=*/true, /*allow_exceptions=*/false);
  const std::string broken = file.string() + ": this is no call that an edge has recorded";
  if (!map.is_object()) return fail(Errc::corrupt, broken);
  if (map.value("aloft", Json()) != kVersion)
    return fail(Errc::corrupt, broken + ", or another version of aloft has");
  try {
    return parse(map);
  } catch (const Json::exception& wrong) {
    return fail(Errc::corrupt, broken + ": " + wrong.what());
  }
}

}  // namespace aloft::runtime
