#include "compiler/program/unit_facts.h"

#include <optional>
#include <utility>

#include "compiler/eligibility.h"

namespace aloft::compiler {

namespace {

bool has_body(CXCursor definition) {
  bool found = false;
  visit_children(definition, [&](CXCursor child) {
    const CXCursorKind kind = clang_getCursorKind(child);
    found = found || kind == CXCursor_CompoundStmt || kind == CXCursor_CXXTryStmt;
    return found ? CXChildVisit_Break : CXChildVisit_Continue;
  });
  return found;
}

FunctionFacts facts_of(const std::string& symbol, CXCursor definition) {
  const CXCursorKind kind = clang_getCursorKind(definition);
  FunctionFacts facts;
  facts.symbol = symbol;
  facts.name = qualified_name(definition);
  facts.where = location(definition);
  facts.is_function = kind == CXCursor_FunctionDecl || kind == CXCursor_CXXMethod ||
                      kind == CXCursor_FunctionTemplate;
  facts.is_in_header = !in_main_file(definition);
  if (facts.is_function) {
    Diagnostics diagnostics;
    const Tag written = tag_of(definition);
    const std::optional<Function> function = model_function(
        definition, written == Tag::none ? Tag::pure : written, Body::here, diagnostics);
    if (function) facts.signature = function->signature;
    facts.declaration = diagnostics.all();
  }
  facts.body = examine_body(definition);
  return facts;
}

}  // namespace

bool FirstSources::may_be_first(const std::string& symbol, std::size_t source) {
  const std::lock_guard lock(mutex_);
  const auto [entry, is_new] = first_.try_emplace(symbol, source);
  if (!is_new && entry->second < source) return false;
  entry->second = source;
  return true;
}

Result<UnitFacts> read_unit(const Index& index, const std::string& file,
                            const std::vector<std::string>& arguments, const SourceInOrder* order) {
  const Result<TranslationUnit> unit = TranslationUnit::parse(index, file, arguments);
  if (!unit) return std::unexpected(unit.error());
  UnitFacts facts{.file = file, .errors = {}, .functions = {}};
  for (CompileError& error : unit->errors()) facts.errors.push_back(std::move(error.diagnostic));
  Definitions definitions;
  collect_definitions(unit->root(), definitions);
  for (const auto& [symbol, definition] : definitions) {
    if (!has_body(definition)) continue;  // = default, = delete
    const bool is_wanted = in_main_file(definition) ||
                           (order != nullptr && order->first.may_be_first(symbol, order->number));
    if (!is_wanted) continue;
    facts.functions.push_back(facts_of(symbol, definition));
  }
  return facts;
}

}  // namespace aloft::compiler
