#include "config/value.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace aloft::config {
namespace {

using namespace std::chrono_literals;

Value text(std::string value) { return {std::move(value), 0}; }

TEST(Value, of_a_file_knows_its_line) {
  const auto table = parse_toml("a = 1\n\n[b]\nc = [\"x\"]\nd = 2026-01-02\n", "f.toml");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->at("a").line, 1U);
  const auto& inner = std::get<Table>(table->at("b").data);
  EXPECT_EQ(inner.at("c").line, 4U);
  EXPECT_EQ(std::get<std::string>(inner.at("d").data), "2026-01-02");
}

TEST(Value, of_a_text_that_is_no_toml_is_an_error_with_its_line) {
  for (const std::string_view bad :
       {"a = 1\nb = \n", "a = 1\na = 2\n", "a = 1\n[a]\n", "x\ny", "a = \"\xff\"", "\n= 1"}) {
    const auto table = parse_toml(bad, "f.toml");
    ASSERT_FALSE(table) << bad;
    EXPECT_EQ(table.error().code, Errc::invalid_argument);
    EXPECT_TRUE(table.error().message.starts_with("f.toml:")) << table.error().message;
  }
  EXPECT_FALSE(parse_toml("a = " + std::string(100'000, '['), "f.toml")) << "bounded depth";
}

TEST(Value, of_memory_has_a_unit) {
  Bytes bytes;
  EXPECT_TRUE(read(text("512MiB"), Origin::file, bytes));
  EXPECT_EQ(bytes, 512_MiB);
  EXPECT_TRUE(read(text("4 GiB"), Origin::text, bytes));
  EXPECT_EQ(bytes, 4_GiB);
  EXPECT_TRUE(read(Value{std::int64_t{0}, 0}, Origin::file, bytes));
  EXPECT_EQ(bytes, 0_B);
  for (const std::string bad : {"512", "MiB", "-1MiB", "1.5GiB", "1MB", "1  GiB", "1GiB ",
                                "99999999999999999999B", "17179869184TiB", ""})
    EXPECT_FALSE(read(text(bad), Origin::file, bytes)) << bad;
  EXPECT_FALSE(read(Value{std::int64_t{512}, 0}, Origin::file, bytes)) << "512 of what?";
}

TEST(Value, of_a_time_has_a_unit) {
  std::chrono::milliseconds time{};
  for (const auto& [good, value] : std::vector<std::pair<std::string, std::chrono::milliseconds>>{
           {"250ms", 250ms}, {"30s", 30s}, {"5m", 5min}, {"2h", 2h}, {"1d", 24h}, {"0", 0ms}}) {
    EXPECT_TRUE(read(text(good), Origin::file, time)) << good;
    EXPECT_EQ(time, value);
    EXPECT_EQ(to_text(time), good);
  }
  for (const std::string bad : {"30", "s", "1y", "9999999999h", "-1s", "4000d"})
    EXPECT_FALSE(read(text(bad), Origin::file, time)) << bad;
}

TEST(Value, of_an_option_is_a_text_and_of_a_file_is_not) {
  bool flag = false;
  EXPECT_TRUE(read(text("true"), Origin::text, flag));
  EXPECT_TRUE(flag);
  EXPECT_FALSE(read(text("true"), Origin::file, flag));
  EXPECT_FALSE(read(text("yes"), Origin::text, flag));
  std::uint64_t number = 0;
  EXPECT_TRUE(read(text("7"), Origin::text, number, 1, 9));
  EXPECT_EQ(number, 7U);
  EXPECT_FALSE(read(text("7"), Origin::file, number, 1, 9));
  for (const std::string bad : {"", "10", "0", "-1", "7x", "0x7", " 7", "7.0"})
    EXPECT_FALSE(read(text(bad), Origin::text, number, 1, 9)) << bad;
  EXPECT_FALSE(read(Value{std::int64_t{-1}, 0}, Origin::file, number, 0, 9));
  double real = 0;
  EXPECT_TRUE(read(text("1.5"), Origin::text, real, 0, 2));
  EXPECT_FALSE(read(text("nan"), Origin::text, real, 0, 2));
  EXPECT_FALSE(read(text("inf"), Origin::text, real, 0, 2));
  std::vector<std::string> list;
  EXPECT_TRUE(read(text("a,,b"), Origin::text, list));
  EXPECT_EQ(list, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(read(text("a"), Origin::file, list));
  EXPECT_FALSE(read(Value{Array{{std::int64_t{1}, 0}}, 0}, Origin::file, list));
}

TEST(Fields, name_file_line_and_key_of_the_first_error) {
  const auto table = parse_toml("name = 7\nother = 1\n", "f.toml").value();
  Fields fields(table, "f.toml", "tenants.acme");
  std::string name;
  EXPECT_FALSE(fields.take("name", name));
  fields.refuse("name", "is wrong twice");
  EXPECT_EQ(fields.done().error().message,
            "f.toml:1: tenants.acme.name has to be a text, in quotation marks");
  Fields unknown(table, "f.toml", "");
  std::uint32_t number = 0;
  EXPECT_TRUE(unknown.take_number("other", number));
  EXPECT_EQ(unknown.done().error().message, "f.toml:1: name is not known");
}

TEST(Fields, read_no_file_that_is_none) {
  const aloft::testing::TempDir folder;
  EXPECT_EQ(read_file(folder / "none").error().code, Errc::not_found);
  EXPECT_EQ(read_file(folder.path()).error().code, Errc::not_found);
  aloft::testing::write_file(folder / "large", std::vector<std::byte>(kMaxFile.count() + 1));
  EXPECT_EQ(read_file(folder / "large").error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace aloft::config
