// Modules that no compiler of ours would make: written by hand, and sealed as if they were honest.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aloft::testing {

// `wasm` as the module of this name with a function `NAME::EXPORT` for each of these exports: takes
// what it likes, and answers a number from 0 to 127.
[[nodiscard]] std::vector<std::byte> sealed(std::span<const std::byte> wasm,
                                            const std::string& name,
                                            const std::vector<std::string>& exports);

// A guest of ABI 1 in text form, with these imports and functions (each exported by its own hand).
// `$answer` makes the answer of a number; the first two pages of its memory are the functions' own.
[[nodiscard]] std::vector<std::byte> guest(std::string_view imports, std::string_view functions);

// A function that is exported under this name, with this body, which leaves the number that it
// answers.
[[nodiscard]] std::string function(std::string_view name, std::string_view body);

// One host function, how it is imported and called with pointers that lead nowhere.
struct HostCall {
  std::string module, name;
  std::string parameters;  // "i32 i64"
  std::string arguments;   // in text form
  bool harmless = false;   // it has nothing to write, so that it may well succeed
};
[[nodiscard]] const std::vector<HostCall>& calls_with_bad_pointers();
// A guest with one function for each of these, named as the host function is.
[[nodiscard]] std::vector<std::byte> guest_with_bad_pointers();

// A guest whose one function, `bomb`, has `blocks` blocks that jump to one another by tables: a
// compiler takes its time with that.
[[nodiscard]] std::vector<std::byte> compile_bomb(unsigned blocks);
// A guest with this many functions, or with blocks nested so deep.
[[nodiscard]] std::vector<std::byte> many_functions(unsigned count);
[[nodiscard]] std::vector<std::byte> deep_nesting(unsigned depth);

}  // namespace aloft::testing
