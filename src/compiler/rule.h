// What kind of reason speaks against offloading a function: a stable word for machines, where the
// message is for people. SARIF names its rules by it, and a report counts by it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace aloft::compiler {

enum class Rule : std::uint8_t {
  other,
  kind,
  declaration,
  result,
  parameter,
  exceptions,
  assembly,
  threads,
  files,
  jumps,
  processes,
  network,
  hidden_state,
  entropy,
  undefined,
  library,
  widths,
  guest_file,
  unread,
};

struct RuleText {
  Rule rule = Rule::other;
  std::string_view id;       // never changes its meaning
  std::string_view meaning;  // a sentence
};

// One for each rule, in the order of the enumeration.
inline constexpr std::array kRules = std::to_array<RuleText>({
    {Rule::other, "other", "The compiler, or aloft-cc, has something against it."},
    {Rule::kind, "kind-of-function",
     "It is a template or the member of a class that is not tagged."},
    {Rule::declaration, "declaration", "Not every call of it goes through one symbol."},
    {Rule::result, "result-type", "Its result cannot come back."},
    {Rule::parameter, "parameter-type", "A parameter cannot cross."},
    {Rule::exceptions, "exceptions", "A guest has no exceptions."},
    {Rule::assembly, "assembly", "A guest has another instruction set."},
    {Rule::threads, "threads", "A guest has one thread."},
    {Rule::files, "files", "A guest has no files."},
    {Rule::jumps, "jumps", "A guest has no setjmp and longjmp."},
    {Rule::processes, "processes", "A guest has no processes and no signals."},
    {Rule::network, "network", "A guest has no network."},
    {Rule::hidden_state, "hidden-state", "It keeps something between calls."},
    {Rule::entropy, "entropy", "Run again, it would have another result."},
    {Rule::undefined, "undefined", "It calls what no source defines."},
    {Rule::library, "library", "It calls a library that the guest has not."},
    {Rule::widths, "widths", "Its types have other bytes in a guest."},
    {Rule::guest_file, "file-of-its-own", "Its file also holds what does not compile for a guest."},
    {Rule::unread, "unread", "The file does not compile with the flags of the database."},
});

[[nodiscard]] constexpr const RuleText& text_of(Rule rule) {
  return kRules[static_cast<std::size_t>(rule)];
}

}  // namespace aloft::compiler
