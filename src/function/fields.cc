#include "function/fields.h"

#include <array>
#include <optional>
#include <utility>

#include <aloft/codec/reader.h>

namespace aloft::function {
namespace {

constexpr std::size_t kMaxDepth = 8;
constexpr std::size_t kMaxFields = 64;

// What the tag of one MessagePack value says.
struct Extent {
  std::size_t size = 0;        // of tag, length and payload in bytes
  std::uint64_t children = 0;  // values that follow, for arrays and maps
};

std::optional<Extent> extent(std::span<const std::byte> bytes) {
  if (bytes.empty()) return std::nullopt;
  const auto tag = std::to_integer<std::uint8_t>(bytes[0]);
  // The big-endian number of `width` bytes after the tag.
  const auto length = [&](std::size_t width) -> std::optional<std::uint64_t> {
    if (bytes.size() < 1 + width) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 1; i <= width; ++i)
      value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    return value;
  };
  const auto with_payload = [&](std::size_t width, std::size_t extra) -> std::optional<Extent> {
    const auto size = length(width);
    if (!size || *size > bytes.size()) return std::nullopt;
    return Extent{1 + width + extra + static_cast<std::size_t>(*size), 0};
  };
  const auto with_children = [&](std::size_t width, std::uint64_t each) -> std::optional<Extent> {
    const auto count = length(width);
    if (!count) return std::nullopt;
    return Extent{1 + width, *count * each};
  };
  if (tag < 0x80 || tag >= 0xe0) return Extent{1, 0};                // small integers
  if (tag < 0x90) return Extent{1, 2 * std::uint64_t{tag & 0x0fU}};  // map
  if (tag < 0xa0) return Extent{1, tag & 0x0fU};                     // array
  if (tag < 0xc0) return Extent{1 + std::size_t{tag & 0x1fU}, 0};    // string
  switch (tag) {
    case 0xc0:
    case 0xc2:
    case 0xc3: return Extent{1, 0};  // nil, false, true
    case 0xc4:
    case 0xd9: return with_payload(1, 0);  // bin, string
    case 0xc5:
    case 0xda: return with_payload(2, 0);
    case 0xc6:
    case 0xdb: return with_payload(4, 0);
    case 0xc7: return with_payload(1, 1);  // extensions
    case 0xc8: return with_payload(2, 1);
    case 0xc9: return with_payload(4, 1);
    case 0xca:
    case 0xce:
    case 0xd2: return Extent{5, 0};  // 32 bits
    case 0xcb:
    case 0xcf:
    case 0xd3: return Extent{9, 0};  // 64 bits
    case 0xcc:
    case 0xd0: return Extent{2, 0};
    case 0xcd:
    case 0xd1: return Extent{3, 0};
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:  // fixed extensions
      return Extent{2 + (std::size_t{1} << (tag - 0xd4)), 0};
    case 0xdc: return with_children(2, 1);
    case 0xdd: return with_children(4, 1);
    case 0xde: return with_children(2, 2);
    case 0xdf: return with_children(4, 2);
    default: return std::nullopt;  // 0xc1
  }
}

// Takes one whole value, whatever it is, off the front of `bytes`.
std::optional<std::span<const std::byte>> take_value(std::span<const std::byte>& bytes) {
  std::array<std::uint64_t, kMaxDepth> open{};  // values still to come, a level each
  std::size_t depth = 0;
  std::size_t at = 0;
  do {
    while (depth > 0 && open[depth - 1] == 0) --depth;
    if (depth == 0 && at > 0) break;
    const auto next = extent(bytes.subspan(at));
    if (!next || next->size > bytes.size() - at) return std::nullopt;
    at += next->size;
    if (depth > 0) --open[depth - 1];
    if (next->children > 0) {
      if (depth == kMaxDepth) return std::nullopt;
      open[depth++] = next->children;
    }
  } while (depth > 0);
  const auto value = bytes.first(at);
  bytes = bytes.subspan(at);
  return value;
}

// The head of an array or map that starts `bytes`: the values that follow. Empty when it is
// neither.
enum class Container : std::uint8_t { array, map };
std::optional<Extent> container(std::span<const std::byte> bytes, Container kind) {
  if (bytes.empty()) return std::nullopt;
  const auto tag = std::to_integer<std::uint8_t>(bytes[0]);
  const bool is_map = (tag & 0xf0) == 0x80 || tag == 0xde || tag == 0xdf;
  const bool is_array = (tag & 0xf0) == 0x90 || tag == 0xdc || tag == 0xdd;
  if (kind == Container::map ? !is_map : !is_array) return std::nullopt;
  return extent(bytes);
}

}  // namespace

std::string_view cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;
  return text.substr(0, limit);
}

FieldReader::FieldReader(std::span<const std::byte> map, std::string_view what) : what_(what) {
  index(map);
}

void FieldReader::index(std::span<const std::byte> map) {
  const auto head = container(map, Container::map);
  if (!head) return fail("is not a map");
  if (head->children / 2 > kMaxFields) return fail("has too many fields");
  auto rest = map.subspan(head->size);
  for (std::uint64_t i = 0; i < head->children / 2; ++i) {
    const auto key = take_value(rest);
    const auto value = key ? take_value(rest) : std::nullopt;
    if (!value) return fail("is cut off or malformed");
    codec::Reader reader(*key);
    Field field{.name = {}, .value = *value};
    if (!reader.string(field.name)) return fail("has a key that is not a string");
    if (find(field.name) != nullptr)
      return fail("has the field '" + std::string(field.name) + "' twice");
    fields_.push_back(field);
  }
  if (!rest.empty()) fail("has bytes after its end");
}

const FieldReader::Field* FieldReader::find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

template <class Read>
void FieldReader::with(std::string_view name, std::string_view expected, Read read) {
  if (!ok()) return;
  const Field* const field = find(name);
  if (field == nullptr) return fail("the field '" + std::string(name) + "' is missing");
  codec::Reader reader(field->value);
  if (!read(reader, field->value)) {
    fail("the field '" + std::string(name) + "' is not " + std::string(expected));
  }
}

void FieldReader::get(std::string_view name, std::uint64_t& value) {
  with(name, "an unsigned integer",
       [&](codec::Reader& reader, auto) { return reader.integer(value); });
}
void FieldReader::get(std::string_view name, std::uint32_t& value) {
  with(name, "an unsigned integer of 32 bits",
       [&](codec::Reader& reader, auto) { return reader.integer(value); });
}
void FieldReader::get(std::string_view name, bool& value) {
  with(name, "a boolean", [&](codec::Reader& reader, auto) { return reader.boolean(value); });
}
void FieldReader::get(std::string_view name, std::string& value) {
  std::string_view text;
  get(name, text);
  if (ok()) value = text;
}
void FieldReader::get(std::string_view name, std::string_view& value) {
  with(name, "a string", [&](codec::Reader& reader, auto) { return reader.string(value); });
}
void FieldReader::get(std::string_view name, std::span<const std::byte>& bytes) {
  with(name, "bytes", [&](codec::Reader& reader, auto) { return reader.binary(bytes); });
}
void FieldReader::get(std::string_view name, std::vector<std::uint32_t>& values) {
  with(name, "a list of unsigned integers of 32 bits", [&](codec::Reader& reader, auto) {
    std::size_t count = 0;
    if (!reader.array(1, count)) return false;
    values.resize(count);
    for (std::uint32_t& value : values) {
      if (!reader.integer(value)) return false;
    }
    return true;
  });
}
void FieldReader::get(std::string_view name, std::vector<std::string>& values) {
  with(name, "a list of strings", [&](codec::Reader& reader, auto) {
    std::size_t count = 0;
    if (!reader.array(1, count)) return false;
    values.resize(count);
    for (std::string& value : values) {
      std::string_view text;
      if (!reader.string(text)) return false;
      value = text;
    }
    return true;
  });
}
void FieldReader::get(std::string_view name, std::vector<std::span<const std::byte>>& elements) {
  with(name, "a list", [&](codec::Reader&, std::span<const std::byte> bytes) {
    const auto head = container(bytes, Container::array);
    if (!head) return false;
    bytes = bytes.subspan(head->size);
    for (std::uint64_t i = 0; i < head->children; ++i) elements.push_back(*take_value(bytes));
    return true;
  });
}
void FieldReader::get_map(std::string_view name, std::span<const std::byte>& map) {
  with(name, "a map", [&](codec::Reader&, std::span<const std::byte> bytes) {
    map = bytes;
    return container(bytes, Container::map).has_value();
  });
}

void FieldReader::get(std::string_view name, Error& error) {
  std::span<const std::byte> map;
  get_map(name, map);
  if (!ok()) return;
  FieldReader fields(map, name);
  std::uint64_t code = 0;
  fields.get("code", code);
  fields.get("message", error.message);
  const bool is_known = code >= static_cast<std::uint64_t>(Errc::invalid_argument) &&
                        code <= static_cast<std::uint64_t>(kLastErrc);
  error.code = is_known ? static_cast<Errc>(code) : Errc::internal;
  if (!fields.ok()) adopt(fields);
}

void FieldReader::fail(std::string why) {
  if (ok()) failure_ = std::string(what_) + ": " + std::move(why);
}

void FieldReader::adopt(const FieldReader& part) {
  if (ok()) failure_ = part.failure_;
}

Error FieldReader::error() const { return {Errc::protocol, failure_}; }

}  // namespace aloft::function
