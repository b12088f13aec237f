#include "compiler/program/program_check.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <thread>
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

// Does `work` on each of `count` things, several at once, each thread with an index of its own.
void for_each_at_once(std::size_t count, unsigned jobs,
                      const std::function<void(std::size_t, const Index&)>& work) {
  std::atomic<std::size_t> next = 0;
  const auto take = [&] {
    const Index index;
    for (std::size_t i = next++; i < count; i = next++) work(i, index);
  };
  std::vector<std::jthread> others;
  for (std::size_t n = 1; n < std::min<std::size_t>(jobs, count); ++n) others.emplace_back(take);
  take();
}

class Program {
 public:
  Program(const ProgramRequest& request, CompileCommands commands)
      : request_(request),
        jobs_(request.jobs != 0 ? request.jobs : std::max(1U, std::thread::hardware_concurrency())),
        commands_(std::move(commands.cpp)),
        not_cpp_(std::move(commands.not_cpp)),
        library_(request.sysroot) {
    for (std::size_t i = 0; i < commands_.size(); ++i) by_file_.emplace(commands_[i].file, i);
  }

  // Errors: internal.
  Result<ProgramReport> run() {
    ProgramReport report;
    report.root = request_.root.empty() ? common_folder(commands_) : fs::absolute(request_.root);
    report.sources = commands_.size();
    report.not_cpp = not_cpp_;
    if (auto read = read_all(report.unread); !read) return std::unexpected(read.error());
    for (const auto& [symbol, of_source] : functions_) {
      const FunctionFacts& facts = of_source.facts;
      if (!facts.is_function || !is_below(facts.where.file, report.root)) continue;
      report.functions.push_back(judge_here(facts));
    }
    if (auto judged = judge_as_guests(report.functions); !judged)
      return std::unexpected(judged.error());
    std::ranges::sort(report.functions, {}, [](const CheckedFunction& each) {
      return std::tuple(each.where.file, each.where.offset, each.name);
    });
    return report;
  }

 private:
  struct OfSource {
    std::size_t source = 0;  // in commands_
    FunctionFacts facts;
  };

  enum class ReadAs : std::uint8_t { host, guest };
  void tell(ReadAs as, const std::string& file) {
    if (!request_.progress) return;
    const std::lock_guard lock(mutex_);
    request_.progress(as == ReadAs::guest ? commands_.size() : begun_++, commands_.size(), file);
  }

  // Fills functions_: of one that several sources have, what the first in their order says.
  Result<void> read_all(std::vector<Diagnostic>& errors) {
    std::vector<std::optional<Error>> failed(commands_.size());
    std::vector<std::optional<Diagnostic>> not_understood(commands_.size());
    FirstSources first;
    for_each_at_once(commands_.size(), jobs_, [&](std::size_t source, const Index& index) {
      tell(ReadAs::host, commands_[source].file);
      const SourceInOrder order{first, source};
      Result<UnitFacts> unit = read_unit(index, commands_[source].file, host_flags(source), &order);
      if (!unit) {
        failed[source] = unit.error();
        return;
      }
      if (!unit->errors.empty()) not_understood[source] = unread(unit->errors.front());
      const std::lock_guard lock(mutex_);
      for (FunctionFacts& each : unit->functions) {
        std::string symbol = each.symbol;
        const auto known = functions_.find(symbol);
        if (known == functions_.end() || source < known->second.source)
          functions_.insert_or_assign(std::move(symbol), OfSource{source, std::move(each)});
      }
    });
    for (std::size_t source = 0; source < commands_.size(); ++source) {
      if (failed[source]) return std::unexpected(*failed[source]);
      if (not_understood[source]) errors.push_back(*std::move(not_understood[source]));
    }
    return {};
  }

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

  // What this machine has against it. `ready` is what is still to be judged as a guest.
  CheckedFunction judge_here(const FunctionFacts& facts) {
    CheckedFunction checked{.name = facts.name,
                            .where = facts.where,
                            .signature = facts.signature,
                            .sources = {},
                            .reasons = facts.declaration};
    Diagnostics reached;
    follow(facts, checked.sources, reached);
    checked.reasons.insert(checked.reasons.end(), reached.all().begin(), reached.all().end());
    const bool is_refused = facts.signature.empty() || reached.has_errors();
    if (is_refused)
      checked.signature.clear();
    else
      checked.verdict = Verdict::ready;
    return checked;
  }

  // Judges on those that nothing on this machine speaks against.
  Result<void> judge_as_guests(std::vector<CheckedFunction>& functions) {
    std::vector<std::string> needed;
    for (const CheckedFunction& each : functions) {
      if (each.verdict != Verdict::ready) continue;
      needed.push_back(each.where.file);
      needed.insert(needed.end(), each.sources.begin(), each.sources.end());
    }
    std::ranges::sort(needed);
    needed.erase(std::ranges::unique(needed).begin(), needed.end());
    std::vector<Result<GuestReading>> readings(needed.size());
    for_each_at_once(needed.size(), jobs_, [&](std::size_t i, const Index& index) {
      readings[i] = as_guest(needed[i], index);
    });
    for (std::size_t i = 0; i < needed.size(); ++i) {
      if (!readings[i]) return std::unexpected(readings[i].error());
      guests_.emplace(std::move(needed[i]), *std::move(readings[i]));
    }
    for (CheckedFunction& each : functions) {
      if (each.verdict == Verdict::ready) each.verdict = judge_as_guest(each);
      if (each.verdict == Verdict::no) each.signature.clear();
    }
    return {};
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
          const FunctionFacts& called = definition->second.facts;
          if (visited.insert(called.symbol).second) pending.push_back(&called);
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
                            "' is called, and no C++ source of the program defines it" +
                            (not_cpp_.empty() ? "" : " (sources in other languages are not read)"),
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
  Verdict judge_as_guest(CheckedFunction& checked) const {
    for (const std::string& source : checked.sources) {
      const GuestReading& guest = guests_.at(source);
      if (!guest.error) continue;
      Diagnostic reason = *guest.error;
      reason.message =
          "what else is in this source does not compile for a guest: " + reason.message;
      reason.notes = {
          {reason.where, "move '" + checked.name + "' and what it calls to a source of its own"}};
      reason.rule = Rule::guest_file;
      checked.reasons.push_back(std::move(reason));
      return Verdict::file_of_its_own;
    }
    const GuestReading& own = guests_.at(checked.where.file);
    const auto twin = own.signatures.find(checked.where.offset);
    if (twin != own.signatures.end() && twin->second == checked.signature) return Verdict::ready;
    checked.reasons.push_back(
        {checked.where,
         Severity::error,
         "the types of '" + checked.name + "' are not the same on this machine and in a guest",
         {{checked.where, "use types of fixed width (std::int32_t, std::int64_t)"},
          {checked.where, "here: " + checked.signature},
          {checked.where,
           "in a guest: " + (twin == own.signatures.end() ? "no such function" : twin->second)}},
         Rule::widths});
    return Verdict::no;
  }

  Result<GuestReading> as_guest(const std::string& source, const Index& index) {
    GuestReading reading;
    const auto at = by_file_.find(source);
    if (at == by_file_.end()) {  // a source that another includes
      reading.error = Diagnostic{{source, 0, 0, 0},
                                 Severity::error,
                                 "it is included by another source",
                                 {},
                                 Rule::guest_file};
      return reading;
    }
    tell(ReadAs::guest, source);
    Result<UnitFacts> unit = read_unit(index, source, guest_flags(at->second), nullptr);
    if (!unit) return std::unexpected(unit.error());
    if (!unit->errors.empty()) reading.error = std::move(unit->errors.front());
    for (FunctionFacts& each : unit->functions) {
      if (!each.is_in_header)
        reading.signatures.emplace(each.where.offset, std::move(each.signature));
    }
    return reading;
  }

  const ProgramRequest& request_;
  const unsigned jobs_;
  const std::vector<CompileCommand> commands_;
  const std::vector<std::string> not_cpp_;
  GuestLibrary library_;
  std::map<std::string, std::size_t> by_file_;
  std::mutex mutex_;                           // of the next two while sources are read
  std::map<std::string, OfSource> functions_;  // by symbol
  std::size_t begun_ = 0;
  std::map<std::string, GuestReading> guests_;  // by source
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
  Result<CompileCommands> commands = read_compile_commands(request.build_folder);
  if (!commands) return std::unexpected(commands.error());
  return Program(request, *std::move(commands)).run();
}

}  // namespace aloft::compiler
