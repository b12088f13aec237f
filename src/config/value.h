// What a configuration file (TOML) says, with the line of each value, and the readings of a value
// that aloft's files and options share: amounts of memory and times carry their unit.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/units.h"
#include <aloft/result.h>

namespace aloft::config {

struct Value;
using Table = std::map<std::string, Value, std::less<>>;
using Array = std::vector<Value>;

struct Value {
  // A date or a time of TOML is a text here.
  std::variant<bool, std::int64_t, double, std::string, Array, Table> data;
  std::uint32_t line = 0;  // from 1; 0: from no file
};

inline constexpr Bytes kMaxFile = 4_MiB;

// `name` is what errors call it. Errors: invalid_argument, "NAME:LINE: ...".
[[nodiscard]] Result<Table> parse_toml(std::string_view text, std::string_view name);
// A whole file. Errors: not_found, invalid_argument (also: above kMaxFile); they name the file.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& file);

// Each reads a value into `out`, or says what it has to be: "has to be a number from 1 to 65535".
// A text that an option or the environment gives is read by the same rules with `Origin::text`,
// where everything is a text: "4", "true", "a,b".
enum class Origin : std::uint8_t { file, text };
[[nodiscard]] Result<void> read(const Value& value, Origin origin, bool& out);
[[nodiscard]] Result<void> read(const Value& value, Origin origin, std::string& out);
// Beside the file where it is not absolute: the caller joins it.
[[nodiscard]] Result<void> read(const Value& value, Origin origin, std::filesystem::path& out);
[[nodiscard]] Result<void> read(const Value& value, Origin origin, std::vector<std::string>& out);
[[nodiscard]] Result<void> read(const Value& value, Origin origin, double& out, double min,
                                double max);
[[nodiscard]] Result<void> read(const Value& value, Origin origin, std::uint64_t& out,
                                std::uint64_t min, std::uint64_t max);
// "512MiB": a number and B, KiB, MiB, GiB or TiB; 0 needs none.
[[nodiscard]] Result<void> read(const Value& value, Origin origin, Bytes& out);
// "250ms": a number and ms, s, m, h or d, at most ten years; 0 needs none.
[[nodiscard]] Result<void> read(const Value& value, Origin origin, std::chrono::milliseconds& out);

[[nodiscard]] std::string to_text(Bytes bytes);
[[nodiscard]] std::string to_text(std::chrono::milliseconds time);

// A table whose keys are taken one after the other; what nobody took is unknown. The first error is
// kept, with file, line and key, so that its user asks once, at the end.
class Fields {
 public:
  // `key` is the path of the table itself, "tenants.default"; empty: the whole file.
  Fields(const Table& table, std::string file, std::string key);

  // Leaves `out` as it is where the key is not there. True: it was, and was good.
  template <class T, class... Bounds>
  bool take(std::string_view key, T& out, Bounds... bounds) {
    const Value* const value = find(key);
    return value != nullptr && kept(key, *value, read(*value, Origin::file, out, bounds...));
  }
  template <class T>
  bool take_number(std::string_view key, T& out, std::uint64_t min = 0,
                   std::uint64_t max = std::numeric_limits<T>::max()) {
    std::uint64_t number = 0;
    if (!take(key, number, min, max)) return false;
    out = static_cast<T>(number);
    return true;
  }
  // The value as it is; nullptr where it is not there.
  [[nodiscard]] const Value* find(std::string_view key);
  // An error that the user of the table found in one of its keys.
  void refuse(std::string_view key, std::string why);
  // Keeps the error of another one that reads a part of this table.
  void also(Result<void> other);

  // Errors: invalid_argument: the first one, or the first key that nobody took.
  [[nodiscard]] Result<void> done();

 private:
  bool kept(std::string_view key, const Value& value, Result<void> outcome);
  [[nodiscard]] std::string place(std::uint32_t line, std::string_view key) const;

  const Table& table_;
  std::string file_, key_;
  std::set<std::string, std::less<>> taken_;
  Result<void> outcome_;
};

}  // namespace aloft::config
