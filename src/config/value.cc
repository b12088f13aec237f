#include "config/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>
#include <utility>

#include <toml++/toml.h>

namespace aloft::config {
namespace {

// The library bounds the depth of a file by itself (TOML_MAX_NESTED_VALUES).
Value convert(const toml::node& node);

Table convert_table(const toml::table& from) {
  Table table;
  for (const auto& [key, node] : from) table.emplace(std::string(key.str()), convert(node));
  return table;
}

Value convert(const toml::node& node) {
  Value value;
  value.line = static_cast<std::uint32_t>(node.source().begin.line);
  node.visit([&](const auto& real) {
    using Node = std::remove_cvref_t<decltype(real)>;
    if constexpr (std::is_same_v<Node, toml::table>) {
      value.data = convert_table(real);
    } else if constexpr (std::is_same_v<Node, toml::array>) {
      Array array;
      for (const toml::node& each : real) array.push_back(convert(each));
      value.data = std::move(array);
    } else if constexpr (toml::is_chronological<Node>) {
      std::ostringstream text;
      text << real.get();
      value.data = text.str();
    } else {
      value.data = real.get();
    }
  });
  return value;
}

std::unexpected<Error> has_to_be(std::string what) {
  return fail(Errc::invalid_argument, "has to be " + std::move(what));
}

const std::string* text_in(const Value& value) { return std::get_if<std::string>(&value.data); }

template <class T>
bool parse_whole(std::string_view text, T& out) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), out);
  return result.ec == std::errc{} && result.ptr == text.data() + text.size();
}

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array kByteUnits{Unit{"TiB", 1ULL << 40U}, Unit{"GiB", 1ULL << 30U},
                                Unit{"MiB", 1ULL << 20U}, Unit{"KiB", 1ULL << 10U}, Unit{"B", 1}};
constexpr std::array kTimeUnits{Unit{"ms", 1}, Unit{"d", 86'400'000}, Unit{"h", 3'600'000},
                                Unit{"m", 60'000}, Unit{"s", 1'000}};

// A whole number with its unit. None: neither, or too large for 62 bits.
template <std::size_t N>
bool parse_amount(const Value& value, const std::array<Unit, N>& units, std::uint64_t& out) {
  if (const auto* number = std::get_if<std::int64_t>(&value.data)) {
    out = 0;
    return *number == 0;
  }
  const std::string* const text = text_in(value);
  if (text == nullptr) return false;
  if (*text == "0") {
    out = 0;
    return true;
  }
  const auto end = std::min(text->find_first_not_of("0123456789"), text->size());
  std::uint64_t number = 0;
  if (!parse_whole(std::string_view(*text).substr(0, end), number)) return false;
  auto name = std::string_view(*text).substr(end);
  if (name.starts_with(' ')) name.remove_prefix(1);
  const auto unit = std::ranges::find(units, name, &Unit::name);
  if (unit == units.end() || number > (1ULL << 62U) / unit->factor) return false;
  out = number * unit->factor;
  return true;
}

template <std::size_t N>
std::string amount_text(std::uint64_t amount, const std::array<Unit, N>& units) {
  if (amount == 0) return "0";
  const Unit* best = nullptr;
  for (const Unit& unit : units) {
    if (amount % unit.factor == 0 && (best == nullptr || unit.factor > best->factor)) best = &unit;
  }
  return std::to_string(amount / best->factor) + std::string(best->name);
}

}  // namespace

Result<Table> parse_toml(std::string_view text, std::string_view name) {
  // The library as Debian has it reports by exception; none leaves this function.
  try {
    return convert_table(toml::parse(text, name));
  } catch (const toml::parse_error& error) {
    return fail(Errc::invalid_argument, std::string(name) + ":" +
                                            std::to_string(error.source().begin.line) + ": " +
                                            std::string(error.description()));
  }
}

Result<std::string> read_file(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error))
    return fail(Errc::not_found, "no such file: " + file.string());
  std::ifstream in(file, std::ios::binary);
  std::string text;
  std::array<char, 16384> buffer{};
  while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(in.gcount()));
    if (Bytes{text.size()} > kMaxFile)
      return fail(Errc::invalid_argument, file.string() + " is larger than 4 MiB");
  }
  if (!in.eof()) return fail(Errc::not_found, "cannot read " + file.string());
  return text;
}

Result<void> read(const Value& value, Origin origin, bool& out) {
  if (const auto* const real = std::get_if<bool>(&value.data)) {
    out = *real;
    return {};
  }
  const std::string* const text = text_in(value);
  if (origin == Origin::text && text != nullptr && (*text == "true" || *text == "false")) {
    out = *text == "true";
    return {};
  }
  return has_to_be("true or false");
}

Result<void> read(const Value& value, Origin /*origin*/, std::string& out) {
  const std::string* const text = text_in(value);
  if (text == nullptr) return has_to_be("a text, in quotation marks");
  if (text->find('\0') != std::string::npos) return has_to_be("a text without a zero byte");
  out = *text;
  return {};
}

Result<void> read(const Value& value, Origin origin, std::filesystem::path& out) {
  std::string text;
  auto done = read(value, origin, text);
  if (done) out = std::move(text);
  return done;
}

Result<void> read(const Value& value, Origin origin, std::vector<std::string>& out) {
  std::vector<std::string> list;
  if (const auto* const array = std::get_if<Array>(&value.data)) {
    for (const Value& each : *array) {
      std::string text;
      if (!read(each, origin, text)) return has_to_be("a list of texts: [\"a\", \"b\"]");
      list.push_back(std::move(text));
    }
    out = std::move(list);
    return {};
  }
  const std::string* const text = text_in(value);
  if (origin != Origin::text || text == nullptr)
    return has_to_be("a list of texts: [\"a\", \"b\"]");
  for (std::string_view rest = *text; !rest.empty();) {
    const auto comma = rest.find(',');
    if (const auto item = rest.substr(0, comma); !item.empty()) list.emplace_back(item);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  out = std::move(list);
  return {};
}

Result<void> read(const Value& value, Origin origin, double& out, double min, double max) {
  double number = std::nan("");
  if (const auto* const real = std::get_if<double>(&value.data)) number = *real;
  if (const auto* const whole = std::get_if<std::int64_t>(&value.data))
    number = static_cast<double>(*whole);
  if (const std::string* const text = text_in(value); origin == Origin::text && text != nullptr) {
    if (!parse_whole(*text, number)) number = std::nan("");
  }
  if (!(number >= min && number <= max)) {
    std::ostringstream bounds;
    bounds << "a number from " << min << " to " << max;
    return has_to_be(bounds.str());
  }
  out = number;
  return {};
}

Result<void> read(const Value& value, Origin origin, std::uint64_t& out, std::uint64_t min,
                  std::uint64_t max) {
  std::uint64_t number = 0;
  bool good = false;
  if (const auto* const whole = std::get_if<std::int64_t>(&value.data)) {
    good = *whole >= 0;
    number = static_cast<std::uint64_t>(*whole);
  }
  if (const std::string* const text = text_in(value); origin == Origin::text && text != nullptr)
    good = parse_whole(*text, number);
  if (!good || number < min || number > max) {
    return has_to_be("a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  out = number;
  return {};
}

Result<void> read(const Value& value, Origin /*origin*/, Bytes& out) {
  std::uint64_t amount = 0;
  if (!parse_amount(value, kByteUnits, amount))
    return has_to_be("an amount with its unit (B, KiB, MiB, GiB, TiB): \"512MiB\"");
  out = Bytes{amount};
  return {};
}

Result<void> read(const Value& value, Origin /*origin*/, std::chrono::milliseconds& out) {
  std::uint64_t amount = 0;
  constexpr std::uint64_t kTenYears = 3650ULL * 86'400'000;
  if (!parse_amount(value, kTimeUnits, amount) || amount > kTenYears)
    return has_to_be("a time with its unit (ms, s, m, h, d): \"30s\"");
  out = std::chrono::milliseconds{static_cast<std::int64_t>(amount)};
  return {};
}

std::string to_text(Bytes bytes) { return amount_text(bytes.count(), kByteUnits); }
std::string to_text(std::chrono::milliseconds time) {
  return amount_text(static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0)),
                     kTimeUnits);
}

Fields::Fields(const Table& table, std::string file, std::string key)
    : table_(table), file_(std::move(file)), key_(std::move(key)) {}

const Value* Fields::find(std::string_view key) {
  const auto found = table_.find(key);
  if (found == table_.end()) return nullptr;
  taken_.emplace(key);
  return &found->second;
}

void Fields::refuse(std::string_view key, std::string why) {
  const auto found = table_.find(key);
  const std::uint32_t line = found == table_.end() ? 0 : found->second.line;
  if (outcome_) outcome_ = fail(Errc::invalid_argument, place(line, key) + " " + std::move(why));
}

void Fields::also(Result<void> other) {
  if (outcome_ && !other) outcome_ = std::move(other);
}

bool Fields::kept(std::string_view key, const Value& value, Result<void> outcome) {
  if (outcome) return true;
  if (outcome_) {
    outcome_ = fail(outcome.error().code, place(value.line, key) + " " + outcome.error().message);
  }
  return false;
}

Result<void> Fields::done() {
  if (!outcome_) return outcome_;
  for (const auto& [key, value] : table_) {
    if (!taken_.contains(key))
      return fail(Errc::invalid_argument, place(value.line, key) + " is not known");
  }
  return {};
}

std::string Fields::place(std::uint32_t line, std::string_view key) const {
  std::string text = file_;
  if (line != 0) text += ":" + std::to_string(line);
  text += ": ";
  if (!key_.empty()) text += key_ + (key.empty() ? "" : ".");
  return text + std::string(key);
}

}  // namespace aloft::config
