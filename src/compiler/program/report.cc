#include "compiler/program/report.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace aloft::compiler {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string relative(const ProgramReport& report, const std::string& file) {
  const fs::path path(file);
  const fs::path from = path.lexically_relative(report.root);
  return from.empty() || *from.begin() == ".." ? file : from.string();
}

std::string place(const ProgramReport& report, const Location& where) {
  std::string text = relative(report, where.file);
  if (where.line > 0) text += ":" + std::to_string(where.line) + ":" + std::to_string(where.column);
  return text;
}

const std::string& remedy(const Diagnostic& reason) {
  static const std::string kNone;
  return reason.notes.empty() ? kNone : reason.notes.front().message;
}

// Empty where all sources are C++.
std::string not_read(const ProgramReport& report) {
  if (report.not_cpp.empty()) return {};
  constexpr std::size_t kNamed = 5;
  const std::size_t count = report.not_cpp.size();
  std::string text = std::to_string(count) +
                     (count == 1 ? " source that is not C++ is" : " sources that are not C++ are") +
                     " not read:";
  for (std::size_t i = 0; i < std::min(count, kNamed); ++i)
    text += " " + relative(report, report.not_cpp[i]);
  if (count > kNamed) text += " and " + std::to_string(count - kNamed) + " more";
  return text +
         "; a module can call what is in them once that is built for guests, too "
         "(aloft_add_guest_library)";
}

std::string_view word(Verdict verdict) {
  switch (verdict) {
    case Verdict::ready: return "ready";
    case Verdict::file_of_its_own: return "file_of_its_own";
    case Verdict::no: break;
  }
  return "no";
}

struct Summary {
  std::array<std::size_t, 3> verdicts{};  // by Verdict
  std::map<Rule, std::size_t> rules;      // functions that have it among their reasons
};

Summary summarize(const ProgramReport& report) {
  Summary summary;
  for (const CheckedFunction& each : report.functions) {
    ++summary.verdicts[static_cast<std::size_t>(each.verdict)];
    std::set<Rule> rules;
    for (const Diagnostic& reason : each.reasons) {
      if (reason.severity == Severity::error) rules.insert(reason.rule);
    }
    for (const Rule rule : rules) ++summary.rules[rule];
  }
  return summary;
}

void append_reasons(std::string& out, const ProgramReport& report,
                    const std::vector<Diagnostic>& reasons) {
  for (const Diagnostic& reason : reasons) {
    out += "    " + place(report, reason.where) + ": " + reason.message + "\n";
    bool is_first = true;
    for (const Note& note : reason.notes) {
      out += is_first ? "      -> " : "      " + place(report, note.where) + ": ";
      out += note.message + "\n";
      is_first = false;
    }
  }
}

std::string verdict_text(const ProgramReport& report, const CheckedFunction& each) {
  const std::string name = "'" + each.name + "'";
  if (each.verdict == Verdict::no) return name + " cannot be offloaded";
  if (each.verdict == Verdict::file_of_its_own)
    return name + " can be offloaded from a source of its own";
  std::string sources;
  for (const std::string& source : each.sources) sources += " " + relative(report, source);
  return name + " can be offloaded; SOURCES" + sources;
}

Json to_json(const ProgramReport& report, const Diagnostic& reason) {
  Json notes = Json::array();
  for (std::size_t i = 1; i < reason.notes.size(); ++i) {
    notes.push_back({{"file", relative(report, reason.notes[i].where.file)},
                     {"line", reason.notes[i].where.line},
                     {"message", reason.notes[i].message}});
  }
  return {{"rule", text_of(reason.rule).id},
          {"severity", reason.severity == Severity::error ? "error" : "warning"},
          {"file", relative(report, reason.where.file)},
          {"line", reason.where.line},
          {"column", reason.where.column},
          {"message", reason.message},
          {"remedy", remedy(reason)},
          {"notes", std::move(notes)}};
}

Json to_json(const ProgramReport& report, const std::vector<Diagnostic>& reasons) {
  Json all = Json::array();
  for (const Diagnostic& reason : reasons) all.push_back(to_json(report, reason));
  return all;
}

// The text of a path as a URI: what is no letter of one is written as %XX.
std::string uri(const std::string& path) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  constexpr std::string_view kPlain = "-._~/";
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_letter =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (is_letter || kPlain.find(c) != std::string_view::npos)
      out.push_back(c);
    else
      out.append({'%', kDigits[byte >> 4U], kDigits[byte & 15U]});
  }
  return out;
}

Json sarif_location(const ProgramReport& report, const Location& where) {
  const std::string file = relative(report, where.file);
  Json artifact = {{"uri", uri(file)}};
  if (file.starts_with("/"))
    artifact["uri"] = "file://" + uri(file);
  else
    artifact["uriBaseId"] = "SRCROOT";
  Json physical = {{"artifactLocation", std::move(artifact)}};
  if (where.line > 0)
    physical["region"] = {{"startLine", where.line}, {"startColumn", where.column}};
  return {{"physicalLocation", std::move(physical)}};
}

Json sarif_result(const ProgramReport& report, std::string_view rule, const Location& where,
                  const std::string& message) {
  return {{"ruleId", rule},
          {"level", "note"},
          {"message", {{"text", message}}},
          {"locations", Json::array({sarif_location(report, where)})}};
}

Json sarif_reason(const ProgramReport& report, const Diagnostic& reason) {
  Json result = sarif_result(report, text_of(reason.rule).id, reason.where,
                             reason.message + (reason.notes.empty() ? "" : ": ") + remedy(reason));
  Json related = Json::array();
  for (std::size_t i = 1; i < reason.notes.size(); ++i) {
    Json location = sarif_location(report, reason.notes[i].where);
    location["message"] = {{"text", reason.notes[i].message}};
    related.push_back(std::move(location));
  }
  if (!related.empty()) result["relatedLocations"] = std::move(related);
  return result;
}

constexpr std::string_view kReadyRule = "can-be-offloaded";

Json sarif_rules() {
  Json rules = Json::array();
  rules.push_back({{"id", kReadyRule},
                   {"shortDescription", {{"text", "The function can be offloaded as it is."}}}});
  for (const RuleText& rule : kRules)
    rules.push_back({{"id", rule.id}, {"shortDescription", {{"text", rule.meaning}}}});
  return rules;
}

}  // namespace

std::string to_text(const ProgramReport& report) {
  std::string out;
  for (const Diagnostic& each : report.unread) {
    out += place(report, each.where) +
           ": warning: the source is not understood in full: " + each.message + "\n      -> " +
           remedy(each) + "\n";
  }
  for (const CheckedFunction& each : report.functions) {
    out += place(report, each.where) + ": " + verdict_text(report, each) + "\n";
    append_reasons(out, report, each.reasons);
  }
  const Summary summary = summarize(report);
  const auto& [ready, own, no] = summary.verdicts;
  out += std::to_string(report.functions.size()) + " functions below " + report.root.string() +
         " in " + std::to_string(report.sources) + " C++ sources: " + std::to_string(ready) +
         " can be offloaded as they are, " + std::to_string(own) + " from a source of their own, " +
         std::to_string(no) + " cannot\n";
  if (!report.not_cpp.empty()) out += not_read(report) + "\n";
  std::vector<std::pair<Rule, std::size_t>> rules(summary.rules.begin(), summary.rules.end());
  std::ranges::sort(rules, [](const auto& one, const auto& other) {
    return std::tuple(other.second, one.first) < std::tuple(one.second, other.first);
  });
  for (const auto& [rule, count] : rules) {
    const std::string number = std::to_string(count);
    out += std::string(number.size() < 7 ? 7 - number.size() : 0, ' ') + number + "  " +
           std::string(text_of(rule).id) + ": " + std::string(text_of(rule).meaning) + "\n";
  }
  return out;
}

std::string to_json(const ProgramReport& report) {
  Json functions = Json::array();
  for (const CheckedFunction& each : report.functions) {
    Json sources = Json::array();
    for (const std::string& source : each.sources) sources.push_back(relative(report, source));
    functions.push_back({{"name", each.name},
                         {"file", relative(report, each.where.file)},
                         {"line", each.where.line},
                         {"column", each.where.column},
                         {"verdict", word(each.verdict)},
                         {"signature", each.signature},
                         {"sources", std::move(sources)},
                         {"reasons", to_json(report, each.reasons)}});
  }
  Json not_cpp = Json::array();
  for (const std::string& source : report.not_cpp) not_cpp.push_back(relative(report, source));
  const Summary summary = summarize(report);
  Json rules = Json::object();
  for (const auto& [rule, count] : summary.rules) rules[std::string(text_of(rule).id)] = count;
  Json all = {{"root", report.root.string()},
              {"sources", report.sources},
              {"not_cpp", std::move(not_cpp)},
              {"unread", to_json(report, report.unread)},
              {"functions", std::move(functions)},
              {"summary",
               {{"ready", summary.verdicts[0]},
                {"file_of_its_own", summary.verdicts[1]},
                {"no", summary.verdicts[2]},
                {"rules", std::move(rules)}}}};
  return all.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string to_sarif(const ProgramReport& report, const std::string& version) {
  // A reason that several functions have is one result.
  Json results = Json::array();
  std::set<std::string> told;
  const auto add = [&](Json result) {
    if (told.insert(result.dump(-1, ' ', false, Json::error_handler_t::replace)).second)
      results.push_back(std::move(result));
  };
  for (const Diagnostic& each : report.unread) add(sarif_reason(report, each));
  for (const CheckedFunction& each : report.functions) {
    if (each.verdict == Verdict::ready)
      add(sarif_result(report, kReadyRule, each.where, verdict_text(report, each)));
    for (const Diagnostic& reason : each.reasons) add(sarif_reason(report, reason));
  }
  Json driver = {{"name", "aloft check"}, {"version", version}, {"rules", sarif_rules()}};
  Json root = {{"uri", "file://" + uri((report.root / "").string())}};
  Json run = {{"tool", {{"driver", std::move(driver)}}},
              {"columnKind", "utf16CodeUnits"},
              {"originalUriBaseIds", {{"SRCROOT", std::move(root)}}},
              {"results", std::move(results)}};
  if (!report.not_cpp.empty()) {
    const Json note = {{"level", "note"}, {"message", {{"text", not_read(report)}}}};
    run["invocations"] = Json::array(
        {{{"executionSuccessful", true}, {"toolExecutionNotifications", Json::array({note})}}});
  }
  Json log = {{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
              {"version", "2.1.0"},
              {"runs", Json::array({std::move(run)})}};
  return log.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace aloft::compiler
