#include "device/home/home_services.h"

#include <cstdio>
#include <utility>

#include "function/binding.h"
#include "function/elastic_places.h"
#include "inference/graph_table.h"
#include "wire/error_text.h"

namespace aloft::device {
namespace {

// What a guest's part of aloft begins its lines with.
constexpr std::string_view kRuntime = "aloft: ";

}  // namespace

void HomeServices::begin(std::string_view function) {
  function_ = function;
  last_words_.clear();
}

void HomeServices::on_line(runtime::GuestStream stream, std::string_view line) {
  std::string text = wire::printable(std::as_bytes(std::span(line)));
  const bool is_error = stream == runtime::GuestStream::standard_error;
  if (is_error && text.starts_with(kRuntime)) last_words_ = text.substr(kRuntime.size());
  // The models of a call are its runtime's, and a runtime waits for its calls: its log is there.
  const inference::GraphScope* const scope = inference::GraphScope::current();
  const auto places = scope == nullptr ? nullptr : function::bound_end_places();
  if (places != nullptr && places->options().graphs == &scope->table()) {
    (*places->options().log)(is_error ? LogLevel::warning : LogLevel::info,
                             std::string(function_) + ", here: " + text);
    return;
  }
  text += '\n';
  std::FILE* const out = is_error ? stderr : stdout;
  (void)std::fwrite(text.data(), 1, text.size(), out);
  (void)std::fflush(out);
}

Result<std::shared_ptr<inference::Graph>> HomeServices::graph_by_name(std::string_view name) {
  const inference::GraphScope* const scope = inference::GraphScope::current();
  if (scope == nullptr) {
    return fail(Errc::not_found,
                "no models on this thread: graph '" + std::string(name) +
                    "' is found only where an elastic function runs, with a Runtime bound");
  }
  auto graph = scope->table().find(name);
  if (graph == nullptr)
    return fail(Errc::not_found, "no model was given for the graph '" + std::string(name) + "'");
  return graph;
}

Result<std::shared_ptr<inference::Graph>> HomeServices::load_graph(
    std::span<const std::byte> /*model*/) {
  return fail(Errc::refused,
              "a guest that runs on the device uses models of RuntimeOptions::models, by name: it "
              "cannot bring its own");
}

}  // namespace aloft::device
