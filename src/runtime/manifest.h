// The manifest that aloft-cc puts into a module (custom section "aloft.manifest", JSON, the file's
// last section): which functions it has, of which types, and what they need. docs/guest-abi.md
// describes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <aloft/result.h>

namespace aloft::runtime {

struct Manifest {
  struct Function {
    std::string name;  // qualified, as in the source
    std::string export_name;
    std::string signature;                // for people
    std::string signature_hash;           // 64 hex digits
    bool once = false;                    // has effects: never run twice
    std::optional<std::uint32_t> object;  // the class in `objects` whose method it is
  };
  // A class of which an instance can have one object.
  struct Object {
    std::string name;        // qualified
    std::string state;       // its fields' types, for people
    std::string state_hash;  // 64 hex digits; a state is for classes with the same
  };
  std::uint32_t abi = 0;
  std::string module;
  std::vector<Function> functions;
  std::vector<Object> objects;
  std::vector<std::string> graphs;
  std::string content_sha256;  // of all bytes before the section
};

// The manifest of a module file; none when the file has no such section. Errors: corrupt when the
// file is no module, its manifest cannot be read, or its content is not what the manifest was made
// for (a damaged file).
[[nodiscard]] Result<std::optional<Manifest>> read_manifest(std::span<const std::byte> wasm);

}  // namespace aloft::runtime
