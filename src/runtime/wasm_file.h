// The parts of a WebAssembly module file that aloft itself looks at: its sections, imports,
// exports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <aloft/result.h>

namespace aloft::runtime {

struct WasmSection {
  std::uint8_t id = 0;                 // 0: custom
  std::string name;                    // of a custom section
  std::size_t begin = 0;               // in the file, where its id stands
  std::span<const std::byte> content;  // without id and size; of a custom section, without its name
};

struct WasmInterface {
  struct Import {
    std::string module;
    std::string name;
  };
  struct Export {
    std::string name;
    bool is_function = false;
  };
  std::vector<Import> imports;
  std::vector<Export> exports;
};

// The sections of `file`, in order; they point into it. Errors: corrupt (not WebAssembly, cut off,
// or of more than 1,000 sections).
[[nodiscard]] Result<std::vector<WasmSection>> read_sections(std::span<const std::byte> file);
// At most 1,000 imports and 10,000 exports. Errors: corrupt.
[[nodiscard]] Result<WasmInterface> read_interface(std::span<const WasmSection> sections);

// The file with its exports under other names: `renames` has a new name for some of the old ones.
// What is at other places than its exports stays as it is. Errors: corrupt.
[[nodiscard]] Result<std::vector<std::byte>> rename_exports(
    std::span<const std::byte> file, const std::map<std::string, std::string>& renames);

// A custom section's bytes.
[[nodiscard]] std::vector<std::byte> make_custom_section(const std::string& name,
                                                         const std::string& content);

}  // namespace aloft::runtime
