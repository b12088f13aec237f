#include "ops/log.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace aloft::ops {
namespace {

using nlohmann::json;
constexpr auto kWarn = spdlog::level::warn;

std::string line(LogFormat format, const std::string& payload) {
  return format_line(format, "aloft-host", kWarn, spdlog::log_clock::time_point{}, payload);
}

TEST(Log, a_json_line_has_its_fields_beside_the_message) {
  const std::string text =
      line(LogFormat::json, pack("it is \"here\"", {{"session", "5f"}, {"trace_id", "4b"}}));
  ASSERT_TRUE(text.ends_with("}\n"));
  const json parsed = json::parse(text);
  EXPECT_EQ(parsed.at("time"), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(parsed.at("level"), "warning");
  EXPECT_EQ(parsed.at("program"), "aloft-host");
  EXPECT_EQ(parsed.at("pid"), ::getpid());
  EXPECT_EQ(parsed.at("message"), "it is \"here\"");
  EXPECT_EQ(parsed.at("session"), "5f");
  EXPECT_EQ(parsed.at("trace_id"), "4b");
}

TEST(Log, a_text_line_ends_with_its_fields) {
  const std::string text = line(LogFormat::text, pack("here", {{"session", "5f"}, {"tenant", ""}}));
  EXPECT_TRUE(
      text.ends_with("aloft-host[" + std::to_string(::getpid()) + "] warning: here session=5f\n"))
      << text;
}

TEST(Log, what_somebody_else_says_forges_neither_line_nor_field) {
  const std::string bad =
      "a\nb\r\x1e"
      "trace_id\x1f"
      "77\x1b[31m\xff\xc0\x80";
  for (const std::string& payload : {pack(bad, {{"session", bad}}), bad}) {
    const std::string text = line(LogFormat::json, payload);
    EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
    const json parsed = json::parse(text);  // throws on what is no UTF-8
    EXPECT_FALSE(parsed.contains("trace_id")) << text;
    const std::string plain = line(LogFormat::text, payload);
    EXPECT_EQ(plain.find('\x1b'), std::string::npos);
    EXPECT_EQ(plain.find('\r'), std::string::npos);
    EXPECT_EQ(plain.find("\nb"), std::string::npos) << "a further line is set in";
  }
}

TEST(Log, text_of_all_languages_stays_as_it_is) {
  const std::string text =
      "Gr\xc3\xbc\xc3\x9f"
      "e \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x8e\x88";
  EXPECT_EQ(json::parse(line(LogFormat::json, text)).at("message"), text);
}

}  // namespace
}  // namespace aloft::ops
