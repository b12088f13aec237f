// aloft-cc's command line: what each subcommand reads and writes.
//
//   aloft-cc module   reads the sources of a module, writes the native and guest copies, the
//                     header, the descriptor and the manifest; or the same of a module that was
//                     made in another language, from the header that declares its functions
//   aloft-cc seal     puts the manifest into the linked guest, tells the native build its digest
//   aloft-cc home     writes what stands around a guest that wasm2c translated for the device
//   aloft-cc show     prints the manifest of a module file
//   aloft-cc wit      prints its functions in WIT
//
// aloft_add_module() in CMake calls the first two, aloft_add_foreign_module() the third;
// docs/compiler.md describes what they write.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compiler/module_model.h"
#include <aloft/result.h>

namespace aloft::compiler {

struct ModuleCommand {
  std::string name;
  std::vector<std::string> sources;
  std::string interface;   // a header, in place of sources
  Home home = Home::none;  // of an interface
  std::filesystem::path
      output;  // folder: native/FILE, guest/FILE, NAME.aloft.h, NAME.module.cc, NAME.manifest.json
  std::filesystem::path depfile;         // for the build system; empty: none
  std::filesystem::path sysroot;         // of the guest
  std::string resource_dir;              // the compiler's own headers
  std::vector<std::string> flags;        // of the compiler: -I, -D, -std, ... for both
  std::vector<std::string> guest_flags;  // besides, for the guest
};

struct ModuleOutcome {
  bool accepted = false;    // the files are written; else none is
  std::string diagnostics;  // for people; warnings, too, when accepted
};

// Errors: invalid_argument (a name that cannot be), internal (a file that cannot be read or
// written).
[[nodiscard]] Result<ModuleOutcome> run_module(const ModuleCommand& command);

struct SealCommand {
  std::filesystem::path manifest;
  std::filesystem::path linked;
  std::filesystem::path output;
  std::filesystem::path digest_header;  // empty: none
};
// Errors: as seal() does; not_found (a file that is not there), internal (one that cannot be
// written).
[[nodiscard]] Result<void> run_seal(const SealCommand& command);

struct HomeCommand {
  std::string name;                  // of the module
  std::filesystem::path translated;  // NAME.c that wasm2c wrote, with NAME.h beside it
  std::filesystem::path output;      // in the same folder
};
// Errors: as home_source() does; not_found, internal.
[[nodiscard]] Result<void> run_home(const HomeCommand& command);

// The manifest of a module file, indented. Errors: as read_manifest() does; not_found.
[[nodiscard]] Result<std::string> run_show(const std::filesystem::path& file);
// Its functions in WIT. Errors: the same, and as wit_of() does.
[[nodiscard]] Result<std::string> run_wit(const std::filesystem::path& file);

}  // namespace aloft::compiler
