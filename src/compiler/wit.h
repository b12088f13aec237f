// A module's functions in WIT, the interface language of the component model
// (github.com/WebAssembly/component-model), written from the signatures in its manifest: for people
// and tools that know WIT. Calls go on as docs/guest-abi.md says.
//
// What WIT has no word for is said with what comes closest: a map is a list of pairs, an array a
// list, a char a u8, an enumeration its number. The signature itself stands before each function.
#pragma once

#include <string>

#include <aloft/result.h>

namespace aloft::compiler {

// Of a manifest's JSON, as read_manifest() of seal.h gives it. Errors: corrupt (a signature that is
// none).
[[nodiscard]] Result<std::string> wit_of(const std::string& manifest);

}  // namespace aloft::compiler
