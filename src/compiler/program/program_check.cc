#include "compiler/program/program_check.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "compiler/clang_ast.h"
#include "compiler/program/unit_facts.h"

namespace aloft::compiler {

namespace {

namespace fs = std::filesystem;

// The first folder that holds all of `files`.
fs::path common_folder(const std::vector<CompileCommand>& files) {
  fs::path common = fs::path(files.front().file).parent_path();
  for (const CompileCommand& each : files) {
    const fs::path folder = fs::path(each.file).parent_path();
    const auto end = std::ranges::mismatch(common, folder).in1;
    fs::path shorter;
    for (auto part = common.begin(); part != end; ++part) shorter /= *part;
    common = shorter;
  }
  return common;
}

bool is_below(const std::string& file, const fs::path& folder) {
  const fs::path path(file);
  return std::ranges::mismatch(folder, path).in1 == folder.end();
}

// Whether a guest's library has what the host's header `file` declares.
class GuestLibrary {
 public:
  explicit GuestLibrary(const fs::path& sysroot) : include_(sysroot / "include/wasm32-wasi") {}

  bool has(const std::string& file) {
    const auto [entry, is_new] = known_.try_emplace(file, false);
    if (is_new) entry->second = look(file);
    return entry->second;
  }

 private:
  [[nodiscard]] bool look(const std::string& file) const {
    // The compiler's own headers, and those that the libraries of C and C++ keep to themselves.
    for (const std::string_view own : {"/lib/clang/", "/c++/", "/bits/", "/lib/gcc/"}) {
      if (file.find(own) != std::string::npos) return true;
    }
    for (const std::string_view folder :
         {"/usr/include/x86_64-linux-gnu/", "/usr/include/aarch64-linux-gnu/", "/usr/include/",
          "/usr/local/include/"}) {
      if (!file.starts_with(folder)) continue;
      const std::string name = file.substr(folder.size());
      std::error_code ignored;
      return fs::exists(include_ / name, ignored);
    }
    return false;
  }

  fs::path include_;
  std::map<std::string, bool> known_;
};

// Whether a source compiles for a guest, and what the functions in it look like there.
struct GuestReading {
  std::optional<Diagnostic> error;
  std::map<unsigned, std::string> signatures;  // by the offset of the function's name
};

class Program {
 public:
  Program(const ProgramRequest& request, std::vector<CompileCommand> commands)
      : request_(request), commands_(std::move(commands)), library_(request.sysroot) {
    for (std::size_t i = 0; i < commands_.size(); ++i) by_file_.emplace(commands_[i].file, i);
  }

  // Errors: internal.
  Result<ProgramReport> run() {
    ProgramReport report;
    report.root = request_.root.empty() ? common_folder(commands_) : fs::absolute(request_.root);
    report.sources = commands_.size();
    for (std::size_t i = 0; i < commands_.size(); ++i) {
      if (request_.progress) request_.progress(i, commands_.size(), commands_[i].file);
      Result<UnitFacts> unit = read_unit(index_, commands_[i].file, host_flags(i), &known_);
      if (!unit) return std::unexpected(unit.error());
      if (!unit->errors.empty()) report.unread.push_back(unread(unit->errors.front()));
      for (FunctionFacts& each : unit->functions) {
        std::string symbol = each.symbol;
        functions_.try_emplace(std::move(symbol), std::move(each));
      }
    }
    for (const auto& [symbol, facts] : functions_) {
      if (!facts.is_function || !is_below(facts.where.file, report.root)) continue;
      Result<CheckedFunction> checked = judge(facts);
      if (!checked) return std::unexpected(checked.error());
      report.functions.push_back(*std::move(checked));
    }
    std::ranges::sort(report.functions, {}, [](const CheckedFunction& each) {
      return std::tuple(each.where.file, each.where.offset, each.name);
    });
    return report;
  }

 private:
  static Diagnostic unread(Diagnostic error) {
    error.rule = Rule::unread;
    error.notes.insert(
        error.notes.begin(),
        {error.where,
         "clang 19 cannot read this source with the flags of the database: build what it "
         "generates, and install what it includes"});
    return error;
  }

  [[nodiscard]] std::vector<std::string> host_flags(std::size_t source) const {
    std::vector<std::string> flags = {"-ferror-limit=0", "-w", "-resource-dir",
                                      request_.resource_dir};
    flags.insert(flags.end(), commands_[source].host.begin(), commands_[source].host.end());
    return flags;
  }
  [[nodiscard]] std::vector<std::string> guest_flags(std::size_t source) const {
    std::vector<std::string> flags = {"-ferror-limit=0",
                                      "-w",
                                      "-resource-dir",
                                      request_.resource_dir,
                                      "--target=wasm32-wasi",
                                      "--sysroot=" + request_.sysroot.string(),
                                      "-fno-exceptions",
                                      "-fno-rtti",
                                      "-msimd128"};
    flags.insert(flags.end(), commands_[source].guest.begin(), commands_[source].guest.end());
    return flags;
  }

  Result<CheckedFunction> judge(const FunctionFacts& facts) {
    CheckedFunction checked{.name = facts.name,
                            .where = facts.where,
                            .signature = facts.signature,
                            .sources = {},
                            .reasons = facts.declaration};
    Diagnostics reached;
    follow(facts, checked.sources, reached);
    checked.reasons.insert(checked.reasons.end(), reached.all().begin(), reached.all().end());
    const bool is_refused = facts.signature.empty() || reached.has_errors();
    if (!is_refused) {
      const Result<Verdict> verdict = judge_as_guest(facts, checked);
      if (!verdict) return std::unexpected(verdict.error());
      checked.verdict = *verdict;
    }
    if (checked.verdict == Verdict::no) checked.signature.clear();
    return checked;
  }

  // All that `from` reaches: the sources that define it, and what is against it.
  void follow(const FunctionFacts& from, std::vector<std::string>& sources, Diagnostics& reached) {
    std::vector<const FunctionFacts*> pending = {&from};
    std::set<std::string_view> visited = {from.symbol};
    while (!pending.empty()) {
      const FunctionFacts& current = *pending.back();
      pending.pop_back();
      const auto add = [&](Diagnostic diagnostic) {
        if (&current != &from) {
          diagnostic.notes.push_back(
              {from.where, "'" + from.name + "' reaches '" + current.name + "'"});
        }
        reached.add(std::move(diagnostic));
      };
      if (!current.is_in_header && std::ranges::find(sources, current.where.file) == sources.end())
        sources.push_back(current.where.file);
      for (const Diagnostic& finding : current.body.findings) add(finding);
      for (const Callee& callee : current.body.callees) {
        const auto definition = functions_.find(callee.symbol);
        if (definition != functions_.end()) {
          if (visited.insert(definition->second.symbol).second)
            pending.push_back(&definition->second);
        } else if (std::optional<Diagnostic> missing = judge_missing(callee)) {
          add(*std::move(missing));
        }
      }
    }
  }

  // Of a function that the program calls and does not define.
  std::optional<Diagnostic> judge_missing(const Callee& callee) {
    constexpr std::string_view kRemedy =
        "build what defines it for guests, too (aloft_add_guest_library), or pass its result as a "
        "parameter";
    if (!callee.needs_definition) return {};
    if (!callee.is_of_system) {
      return Diagnostic{callee.use,
                        Severity::error,
                        "'" + callee.name +
                            "' is called, and no C++ source of the program defines "
                            "it",
                        {{callee.use, std::string(kRemedy)}},
                        Rule::undefined};
    }
    if (library_.has(callee.declared.file)) return {};
    return Diagnostic{
        callee.use,
        Severity::error,
        "'" + callee.name + "' is of a library that a guest has not (" + callee.declared.file + ")",
        {{callee.use, std::string(kRemedy)}},
        Rule::library};
  }

  // The verdict on a function that nothing on this machine speaks against.
  Result<Verdict> judge_as_guest(const FunctionFacts& facts, CheckedFunction& checked) {
    for (const std::string& source : checked.sources) {
      const Result<const GuestReading*> guest = as_guest(source);
      if (!guest) return std::unexpected(guest.error());
      if ((*guest)->error) {
        Diagnostic reason = *(*guest)->error;
        reason.message =
            "what else is in this source does not compile for a guest: " + reason.message;
        reason.notes = {
            {reason.where, "move '" + facts.name + "' and what it calls to a source of its own"}};
        reason.rule = Rule::guest_file;
        checked.reasons.push_back(std::move(reason));
        return Verdict::file_of_its_own;
      }
    }
    const Result<const GuestReading*> own = as_guest(facts.where.file);
    if (!own) return std::unexpected(own.error());
    const auto twin = (*own)->signatures.find(facts.where.offset);
    if (twin != (*own)->signatures.end() && twin->second == facts.signature) return Verdict::ready;
    checked.reasons.push_back(
        {facts.where,
         Severity::error,
         "the types of '" + facts.name + "' are not the same on this machine and in a guest",
         {{facts.where, "use types of fixed width (std::int32_t, std::int64_t)"},
          {facts.where, "here: " + facts.signature},
          {facts.where, "in a guest: " + (twin == (*own)->signatures.end() ? "no such function"
                                                                           : twin->second)}},
         Rule::widths});
    return Verdict::no;
  }

  Result<const GuestReading*> as_guest(const std::string& source) {
    const auto [entry, is_new] = guests_.try_emplace(source);
    if (!is_new) return &entry->second;
    const auto at = by_file_.find(source);
    if (at == by_file_.end()) {  // a source that another includes
      entry->second.error = Diagnostic{{source, 0, 0, 0},
                                       Severity::error,
                                       "it is included by another source",
                                       {},
                                       Rule::guest_file};
      return &entry->second;
    }
    if (request_.progress) request_.progress(commands_.size(), commands_.size(), source);
    Result<UnitFacts> unit = read_unit(index_, source, guest_flags(at->second), nullptr);
    if (!unit) return std::unexpected(unit.error());
    if (!unit->errors.empty()) entry->second.error = std::move(unit->errors.front());
    for (FunctionFacts& each : unit->functions) {
      if (!each.is_in_header)
        entry->second.signatures.emplace(each.where.offset, std::move(each.signature));
    }
    return &entry->second;
  }

  const ProgramRequest& request_;
  std::vector<CompileCommand> commands_;
  GuestLibrary library_;
  Index index_;
  std::map<std::string, std::size_t> by_file_;
  std::set<std::string> known_;                     // functions of headers
  std::map<std::string, FunctionFacts> functions_;  // by symbol
  std::map<std::string, GuestReading> guests_;      // by source
};

}  // namespace

Result<ProgramReport> check_program(const ProgramRequest& request) {
  std::error_code ignored;
  if (!fs::exists(request.sysroot / "include/wasm32-wasi/stdint.h", ignored)) {
    return fail(Errc::not_found,
                request.sysroot.string() +
                    ": no headers of guests there; install wasi-libc and libc++-19-dev-wasm32, or "
                    "pass --sysroot");
  }
  Result<std::vector<CompileCommand>> commands = read_compile_commands(request.build_folder);
  if (!commands) return std::unexpected(commands.error());
  return Program(request, *std::move(commands)).run();
}

}  // namespace aloft::compiler
