// A module's manifest, and the seal that binds it to the module's bytes.
//
// The manifest is JSON in the custom section `aloft.manifest`, the last of the file. Its
// content_sha256 is that of all bytes before the section, so that whoever loads the module notices
// a changed byte. docs/guest-abi.md has its fields.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/module_model.h"
#include <aloft/result.h>

namespace aloft::compiler {

inline constexpr std::string_view kManifestSection = "aloft.manifest";

// What the sources say about the module: everything but what its bytes tell (capabilities,
// content_sha256).
[[nodiscard]] std::string make_manifest(const Module& module);

struct Sealed {
  std::vector<std::byte> file;
  std::string digest;  // "sha256:" + 64 hex digits, of the file
};

// `linked` with `manifest`, completed, as its last section, in place of one that it had. A guest of
// another tool chain may export a function under its plain name (signature.h); it gets its full one
// here. Sealing what was sealed with the same manifest changes nothing. Errors: corrupt (not
// WebAssembly; no manifest), refused (it imports something outside of the host interface, or lacks
// an export: the message names them all).
[[nodiscard]] Result<Sealed> seal(std::span<const std::byte> linked, const std::string& manifest);

// The manifest of a sealed file. Errors: corrupt (content_sha256 is not that of the bytes),
// not_found (no manifest).
[[nodiscard]] Result<std::string> read_manifest(std::span<const std::byte> file);

}  // namespace aloft::compiler
