// What is each language's own of what `aloft new` writes. @NAME@ is the project's name.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "project_files.h"

namespace aloft::cli {

struct ProjectLanguage {
  std::string_view name;        // as --language has it
  std::string_view source;      // where the function is made: @SOURCE@
  std::string_view module;      // its lines of CMakeLists.txt: @MODULE@
  std::string_view guest = {};  // of kModuleWithHome: what builds the guest, @GUEST@
  std::span<const ProjectFile> files;
  std::span<const ProjectFile> tests =
      kTestFiles;  // @TEST@ builds them; none: nothing can be run here
};

// Of a function in another language than C++, that runs on the device as well.
inline constexpr std::string_view kModuleWithHome =
    R"(# @NAME@.h declares the functions, and @SOURCE@ makes them. They run at an edge, as modules/@NAME@.wasm of the build folder, and
# here: HOME translates that module to C.
@GUEST@
aloft_add_foreign_module(@NAME@ INTERFACE @NAME@.h GUEST ${ALOFT_GUEST_FILE} DEPENDS @NAME@_guest HOME)
)";

inline constexpr std::array kCppFiles = std::to_array<ProjectFile>({
    {"@NAME@.cc", R"(#include "@NAME@.h"

#include <vector>

namespace @NAME@ {

std::uint32_t primes_below(std::uint32_t limit) {
  std::vector<bool> composite(limit);
  std::uint32_t count = 0;
  for (std::uint32_t i = 2; i < limit; ++i) {
    if (composite[i]) continue;
    ++count;
    for (std::uint64_t multiple = std::uint64_t{i} * i; multiple < limit; multiple += i)
      composite[static_cast<std::size_t>(multiple)] = true;
  }
  return count;
}

}  // namespace @NAME@
)"},
});

inline constexpr std::array kCFiles = std::to_array<ProjectFile>({
    {"@NAME@.c", R"(// Makes the function that @NAME@.h declares.
#include <aloft_guest.h>
#include <stdint.h>
#include <string.h>

ALOFT_FUNCTION(@NAME@_primes_below, 1) {
  const uint32_t limit = aloft_read_u32(in);
  if (!aloft_decoded(in)) return;
  uint8_t* const composite = aloft_alloc(limit);  // until the call ends
  memset(composite, 0, limit);
  uint32_t count = 0;
  for (uint32_t i = 2; i < limit; ++i) {
    if (composite[i]) continue;
    ++count;
    for (uint64_t multiple = (uint64_t)i * i; multiple < limit; multiple += i) composite[multiple] = 1;
  }
  aloft_write_u64(out, count);
}
)"},
});

inline constexpr std::array kRustFiles = std::to_array<ProjectFile>({
    {"@NAME@.rs", R"(//! Makes the function that @NAME@.h declares.

aloft_guest::export! {
    fn @NAME@_primes_below(limit: u32) -> u32 {
        let mut composite = vec![false; limit as usize];
        let mut count = 0;
        for i in 2..limit {
            if composite[i as usize] {
                continue;
            }
            count += 1;
            let mut multiple = u64::from(i) * u64::from(i);
            while multiple < u64::from(limit) {
                composite[multiple as usize] = true;
                multiple += u64::from(i);
            }
        }
        count
    }
}
)"},
});

inline constexpr std::array kAssemblyScriptFiles = std::to_array<ProjectFile>({
    {"@NAME@.ts", R"(// Makes the function that @NAME@.h declares.
import { Call } from "assemblyscript/aloft";
export * from "assemblyscript/exports";

export function @NAME@_primes_below(at: usize, size: u32): usize {
  const call = new Call("@NAME@_primes_below", at, size, 1);
  const limit = call.in.u32();
  if (call.decoded()) {
    const composite = new StaticArray<bool>(limit);
    let count: u32 = 0;
    for (let i: u32 = 2; i < limit; ++i) {
      if (composite[i]) continue;
      ++count;
      for (let multiple: u64 = <u64>i * i; multiple < limit; multiple += i) composite[<u32>multiple] = true;
    }
    call.out.unsigned(count);
  }
  return call.end();
}
)"},
});

inline constexpr std::array kGoFiles = std::to_array<ProjectFile>({
    {"go.mod", R"(module @NAME@

go 1.24

require aloft v0.0.0
)"},
    {"@NAME@.go", R"(// Makes the function that @NAME@.h declares.
package main

import "aloft"

func main() {}

//go:wasmexport @NAME@_primes_below
func primesBelow(arguments, size uint32) uint32 {
	return aloft.Call("@NAME@_primes_below", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		limit := in.Uint32()
		if !in.Done() {
			return
		}
		composite := make([]bool, limit)
		count := uint64(0)
		for i := uint64(2); i < uint64(limit); i++ {
			if composite[i] {
				continue
			}
			count++
			for multiple := i * i; multiple < uint64(limit); multiple += i {
				composite[multiple] = true
			}
		}
		out.Uint(count)
	})
}
)"},
});

inline constexpr std::array kLanguages = std::to_array<ProjectLanguage>({
    {.name = "c++",
     .source = "@NAME@.cc",
     .module =
         R"(# The functions tagged ALOFT_OFFLOAD in these sources run here or at an edge. The module that an edge runs is
# modules/@NAME@.wasm of the build folder.
aloft_add_module(@NAME@ SOURCES @NAME@.cc)
)",
     .files = kCppFiles},
    {.name = "c",
     .source = "@NAME@.c",
     .module = kModuleWithHome,
     .guest = "aloft_c_guest(@NAME@_guest SOURCES @NAME@.c SCALAR)",
     .files = kCFiles},
    {.name = "rust",
     .source = "@NAME@.rs",
     .module = kModuleWithHome,
     .guest = "aloft_rust_guest(@NAME@_guest ROOT @NAME@.rs)",
     .files = kRustFiles},
    {.name = "go",
     .source = "@NAME@.go",
     .module =
         R"(# @NAME@.h declares the functions, and @NAME@.go makes them. They run at an edge, as modules/@NAME@.wasm of the build folder. HOME
# would translate that module to C, to run them here as well; a module in Go takes two minutes to compile then.
aloft_go_guest(@NAME@_guest PACKAGE .)
aloft_add_foreign_module(@NAME@ INTERFACE @NAME@.h GUEST ${ALOFT_GUEST_FILE} DEPENDS @NAME@_guest)
)",
     .files = kGoFiles,
     .tests = {}},
    {.name = "assemblyscript",
     .source = "@NAME@.ts",
     .module = kModuleWithHome,
     .guest = "aloft_assemblyscript_guest(@NAME@_guest ENTRY @NAME@.ts)",
     .files = kAssemblyScriptFiles},
});

}  // namespace aloft::cli
