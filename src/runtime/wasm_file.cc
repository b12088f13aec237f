#include "runtime/wasm_file.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace aloft::runtime {

namespace {

constexpr std::uint8_t kCustom = 0;
constexpr std::uint8_t kImports = 2;
constexpr std::uint8_t kExports = 7;
// What is read becomes many times as large as its bytes, in processes that no limit of a tenant
// holds for.
constexpr std::size_t kMaxSections = 1000;
constexpr std::uint32_t kMaxImports = 1000;
constexpr std::uint32_t kMaxExports = 10'000;

std::unexpected<Error> corrupt(const char* what) {
  return fail(Errc::corrupt, std::string("not a WebAssembly module: ") + what);
}

// Reads WebAssembly's numbers and names; once something is missing, all that follows is nothing.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return !ok_ || at_ == bytes_.size(); }
  [[nodiscard]] std::size_t at() const { return at_; }

  std::uint8_t byte() {
    if (!ok_ || at_ == bytes_.size()) {
      ok_ = false;
      return 0;
    }
    return std::to_integer<std::uint8_t>(bytes_[at_++]);
  }
  // LEB128, 32 bits.
  std::uint32_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
      const std::uint8_t next = byte();
      value |= std::uint64_t{next & 0x7fU} << shift;
      if (next < 0x80) return static_cast<std::uint32_t>(value);
    }
    ok_ = false;
    return 0;
  }
  std::span<const std::byte> bytes(std::size_t size) {
    if (!ok_ || size > bytes_.size() - at_) {
      ok_ = false;
      return {};
    }
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }
  std::string name() {
    const auto text = bytes(number());
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }
  std::span<const std::byte> rest() { return bytes(bytes_.size() - at_); }

  // The limits of a memory or table.
  void limits() {
    const std::uint8_t flags = byte();
    number();
    if ((flags & 1) != 0) number();
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

void append_number(std::vector<std::byte>& out, std::size_t value) {
  do {
    const std::size_t low = value & 0x7f;
    value >>= 7;
    out.push_back(static_cast<std::byte>(low | (value != 0 ? 0x80U : 0U)));
  } while (value != 0);
}

void append_text(std::vector<std::byte>& out, const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_name(std::vector<std::byte>& out, const std::string& name) {
  append_number(out, name.size());
  append_text(out, name);
}

void append_section(std::vector<std::byte>& out, std::uint8_t id,
                    std::span<const std::byte> payload) {
  out.push_back(static_cast<std::byte>(id));
  append_number(out, payload.size());
  out.insert(out.end(), payload.begin(), payload.end());
}

bool read_imports(std::span<const std::byte> content, WasmInterface& result) {
  Cursor cursor(content);
  std::uint32_t count = cursor.number();
  if (count > kMaxImports) return false;
  for (; count > 0 && cursor.ok(); --count) {
    WasmInterface::Import import;
    import.module = cursor.name();
    import.name = cursor.name();
    switch (cursor.byte()) {
      case 0: cursor.number(); break;
      case 1:
        cursor.byte();
        cursor.limits();
        break;
      case 2: cursor.limits(); break;
      case 3:
        cursor.byte();
        cursor.byte();
        break;
      default: return false;
    }
    result.imports.push_back(std::move(import));
  }
  return cursor.ok() && cursor.at_end();
}

bool read_exports(std::span<const std::byte> content, WasmInterface& result) {
  Cursor cursor(content);
  std::uint32_t count = cursor.number();
  if (count > kMaxExports) return false;
  for (; count > 0 && cursor.ok(); --count) {
    std::string name = cursor.name();
    const bool is_function = cursor.byte() == 0;
    cursor.number();
    result.exports.push_back({std::move(name), is_function});
  }
  return cursor.ok() && cursor.at_end();
}

// An exports' section with other names.
std::vector<std::byte> renamed(std::span<const std::byte> content,
                               const std::map<std::string, std::string>& renames) {
  std::vector<std::byte> payload;
  Cursor cursor(content);
  std::uint32_t count = cursor.number();
  append_number(payload, count);
  for (; count > 0 && cursor.ok(); --count) {
    const std::string name = cursor.name();
    const auto found = renames.find(name);
    append_name(payload, found == renames.end() ? name : found->second);
    payload.push_back(static_cast<std::byte>(cursor.byte()));
    append_number(payload, cursor.number());
  }
  return payload;
}

}  // namespace

Result<std::vector<WasmSection>> read_sections(std::span<const std::byte> file) {
  static constexpr std::array kMagic = {std::byte{0},   std::byte{'a'}, std::byte{'s'},
                                        std::byte{'m'}, std::byte{1},   std::byte{0},
                                        std::byte{0},   std::byte{0}};
  if (file.size() < kMagic.size() || !std::ranges::equal(file.first(kMagic.size()), kMagic)) {
    return corrupt("it does not begin with its magic number and version 1");
  }
  Cursor cursor(file);
  cursor.bytes(kMagic.size());
  std::vector<WasmSection> sections;
  while (!cursor.at_end()) {
    if (sections.size() == kMaxSections) return corrupt("it has more than 1000 sections");
    WasmSection section;
    section.begin = cursor.at();
    section.id = cursor.byte();
    section.content = cursor.bytes(cursor.number());
    if (section.id == kCustom) {
      Cursor custom(section.content);
      section.name = custom.name();
      section.content = custom.rest();
      if (!custom.ok()) return corrupt("a custom section has no name");
    }
    sections.push_back(std::move(section));
  }
  if (!cursor.ok()) return corrupt("it is cut off");
  return sections;
}

Result<WasmInterface> read_interface(std::span<const WasmSection> sections) {
  WasmInterface result;
  for (const WasmSection& section : sections) {
    if (result.imports.size() + result.exports.size() > kMaxImports + kMaxExports)
      return corrupt("it has its imports or exports more than once");
    if (section.id == kImports && !read_imports(section.content, result))
      return corrupt("its imports are malformed, or more than 1000");
    if (section.id == kExports && !read_exports(section.content, result))
      return corrupt("its exports are malformed, or more than 10000");
  }
  return result;
}

Result<std::vector<std::byte>> rename_exports(std::span<const std::byte> file,
                                              const std::map<std::string, std::string>& renames) {
  const auto sections = read_sections(file);
  if (!sections) return std::unexpected(sections.error());
  if (const auto interface = read_interface(*sections); !interface)
    return std::unexpected(interface.error());
  std::vector<std::byte> out;
  std::size_t copied = 0;
  for (std::size_t i = 0; i < sections->size(); ++i) {
    const WasmSection& section = (*sections)[i];
    if (section.id != kExports) continue;
    const auto before = file.subspan(copied, section.begin - copied);
    out.insert(out.end(), before.begin(), before.end());
    append_section(out, kExports, renamed(section.content, renames));
    copied = i + 1 < sections->size() ? (*sections)[i + 1].begin : file.size();
  }
  const auto rest = file.subspan(copied);
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

std::vector<std::byte> make_custom_section(const std::string& name, const std::string& content) {
  std::vector<std::byte> payload;
  append_name(payload, name);
  append_text(payload, content);
  std::vector<std::byte> section;
  append_section(section, kCustom, payload);
  return section;
}

}  // namespace aloft::runtime
