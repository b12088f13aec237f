#include "compiler/diagnostics.h"

#include <algorithm>
#include <fstream>
#include <string_view>
#include <utility>

namespace aloft::compiler {

namespace {

// The lines of the files that diagnostics are about, read once.
class Sources {
 public:
  // Empty when there is no such line.
  std::string_view line(const std::string& file, unsigned number) {
    auto [entry, is_new] = files_.try_emplace(file);
    if (is_new) {
      std::ifstream in(file);
      for (std::string text; std::getline(in, text);) entry->second.push_back(text);
    }
    const std::vector<std::string>& lines = entry->second;
    return number >= 1 && number <= lines.size() ? std::string_view(lines[number - 1])
                                                 : std::string_view();
  }

 private:
  std::map<std::string, std::vector<std::string>> files_;
};

// With `sources`, the line that `where` is on comes too.
void print(std::string& out, Sources* sources, const Location& where, std::string_view kind,
           const std::string& message) {
  if (where.line > 0) {
    out.append(where.file).append(":").append(std::to_string(where.line)).append(":");
    out.append(std::to_string(where.column)).append(": ");
  } else if (!where.file.empty()) {
    out.append(where.file).append(": ");
  }
  out.append(kind).append(": ").append(message).append("\n");
  if (sources == nullptr) return;
  const std::string_view line = sources->line(where.file, where.line);
  if (line.empty()) return;
  std::string number = std::to_string(where.line);
  number.insert(0, number.size() < 5 ? 5 - number.size() : 0, ' ');
  out.append(number).append(" | ").append(line).append("\n");
  out.append(number.size(), ' ').append(" | ");
  for (unsigned i = 1; i < where.column && i <= line.size(); ++i)
    out.push_back(line[i - 1] == '\t' ? '\t' : ' ');
  out.append("^\n");
}

}  // namespace

void Diagnostics::add(Diagnostic diagnostic) {
  const bool known = std::ranges::any_of(all_, [&](const Diagnostic& other) {
    return other.where.file == diagnostic.where.file && other.where.line == diagnostic.where.line &&
           other.message == diagnostic.message;
  });
  if (!known) all_.push_back(std::move(diagnostic));
}

void Diagnostics::refuse(const Location& where, std::string message, std::string remedy,
                         Rule rule) {
  add({where, Severity::error, std::move(message), {{where, std::move(remedy)}}, rule});
}

void Diagnostics::add_others(const Diagnostics& other) {
  const std::size_t known = all_.size();
  for (const Diagnostic& diagnostic : other.all_) {
    const bool is_known_line = std::any_of(
        all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(known),
        [&](const Diagnostic& own) {
          return own.where.file == diagnostic.where.file && own.where.line == diagnostic.where.line;
        });
    if (!is_known_line) add(diagnostic);
  }
}

bool Diagnostics::has_error_at(const Location& line) const {
  return std::ranges::any_of(all_, [&](const Diagnostic& other) {
    return other.severity == Severity::error && other.where.file == line.file &&
           other.where.line == line.line;
  });
}

bool Diagnostics::has_errors() const {
  return std::ranges::any_of(
      all_, [](const Diagnostic& other) { return other.severity == Severity::error; });
}

std::string Diagnostics::to_string() const {
  std::vector<std::string> files;
  for (const Diagnostic& diagnostic : all_) {
    if (std::ranges::find(files, diagnostic.where.file) == files.end())
      files.push_back(diagnostic.where.file);
  }
  std::string out;
  Sources sources;
  for (const std::string& file : files) {
    std::vector<const Diagnostic*> sorted;
    for (const Diagnostic& diagnostic : all_) {
      if (diagnostic.where.file == file) sorted.push_back(&diagnostic);
    }
    std::ranges::sort(sorted, {}, [](const Diagnostic* diagnostic) {
      return std::pair(diagnostic->where.offset, diagnostic);
    });
    for (const Diagnostic* diagnostic : sorted) {
      print(out, &sources, diagnostic->where,
            diagnostic->severity == Severity::error ? "error" : "warning", diagnostic->message);
      const Location* last = &diagnostic->where;
      for (const Note& note : diagnostic->notes) {
        // A note about the same place needs no second look at the same line.
        const bool is_same = note.where.file == last->file && note.where.offset == last->offset;
        print(out, is_same ? nullptr : &sources, note.where, "note", note.message);
        last = &note.where;
      }
    }
  }
  return out;
}

}  // namespace aloft::compiler
