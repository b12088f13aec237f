// What aloft-cc says about a source, in the form every editor knows: file:line:column: error:
// message.
//
// All diagnostics of a run are collected, so that the developer sees everything at once; they are
// printed in the order of their places, each once, although every source is read twice (for this
// machine and for the guest). Thread rule: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "compiler/rule.h"

namespace aloft::compiler {

// A place in a source file, counted as compilers do: from 1; a column is a byte.
struct Location {
  std::string file;
  unsigned line = 0;
  unsigned column = 0;
  unsigned offset = 0;  // bytes from the file's begin
};

enum class Severity : std::uint8_t { warning, error };

struct Note {
  Location where;
  std::string message;
};

struct Diagnostic {
  Location where;
  Severity severity = Severity::error;
  std::string message;
  std::vector<Note> notes;  // of an error that aloft-cc itself gives, the first says what to do
  Rule rule = Rule::other;
};

class Diagnostics {
 public:
  // Takes note of `diagnostic` unless the same message was given for the same line before.
  void add(Diagnostic diagnostic);
  // An error with one note at the same place that says what to do.
  void refuse(const Location& where, std::string message, std::string remedy,
              Rule rule = Rule::other);
  // Takes those of `other` that are about lines for which nothing was given yet.
  void add_others(const Diagnostics& other);
  // Whether an error was given for that line.
  [[nodiscard]] bool has_error_at(const Location& line) const;
  [[nodiscard]] bool has_errors() const;
  [[nodiscard]] bool empty() const { return all_.empty(); }
  // In the order in which they came.
  [[nodiscard]] const std::vector<Diagnostic>& all() const { return all_; }
  // All of them with the source lines they are about, by file and place; files in the order of
  // their first diagnostic.
  [[nodiscard]] std::string to_string() const;

 private:
  std::vector<Diagnostic> all_;
};

}  // namespace aloft::compiler
