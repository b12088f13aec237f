#include "host/guest_services.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "function/protocol.h"
#include "wire/error_text.h"

namespace aloft::host {
namespace {

constexpr std::size_t kMaxLines = 200;  // of one call
constexpr std::string_view kRuntime =
    "aloft: ";  // what the guest's part of aloft begins its lines with

}  // namespace

SendLine lines_to(channel::Endpoint& endpoint) {
  return [&endpoint](std::span<const std::byte> head) {
    // A link that is down or full takes no more lines; the call's Return is what counts.
    (void)endpoint.send({.stream = channel::kControlStream, .head = head, .body = {}});
  };
}

GuestServices::GuestServices(std::uint64_t session, ops::LogFields log_fields, SendLine send_line,
                             InferenceTurns& turns, std::span<const NamedModel> models)
    : session_(session), log_fields_(std::move(log_fields)), send_line_(std::move(send_line)) {
  for (const NamedModel& model : models) {
    models_.push_back({model.name, make_metered_graph(model.graph, model.digest, turns, meter_)});
  }
}

void GuestServices::begin(std::uint64_t call_id, TensorDigests digests) {
  call_id_ = call_id;
  lines_ = 0;
  last_words_.clear();
  meter_.begin(digests);
}

void GuestServices::on_line(runtime::GuestStream stream, std::string_view line) {
  if (lines_ > kMaxLines) return;
  if (++lines_ > kMaxLines) {
    send(runtime::GuestStream::standard_error, "(this call prints more than " +
                                                   std::to_string(kMaxLines) +
                                                   " lines; the rest is dropped)");
    return;
  }
  std::string text = wire::printable(std::as_bytes(std::span(line)));
  if (stream == runtime::GuestStream::standard_error && text.starts_with(kRuntime)) {
    last_words_ = text.substr(kRuntime.size());
  }
  send(stream, std::move(text));
}

void GuestServices::send(runtime::GuestStream stream, std::string line) {
  const bool is_error = stream == runtime::GuestStream::standard_error;
  if (spdlog::should_log(spdlog::level::info)) {
    ops::log(spdlog::level::info,
             fmt::format("session {} call {} {}: {}", session_, call_id_,
                         is_error ? "stderr" : "stdout", line),
             log_fields_);
  }
  const auto head = function::encode(
      function::GuestLog{.call_id = call_id_, .is_error = is_error, .line = std::move(line)});
  send_line_(head);
}

Result<std::shared_ptr<inference::Graph>> GuestServices::graph_by_name(std::string_view name) {
  const auto found = std::ranges::find(models_, name, &MeteredModel::name);
  if (found == models_.end()) {
    return fail(Errc::not_found,
                "the module was opened without a model '" + std::string(name) + "'");
  }
  return found->graph;
}

Result<std::shared_ptr<inference::Graph>> GuestServices::load_graph(std::span<const std::byte>) {
  // A model has to be known by its digest before it runs: the quarantine and the bounds of the
  // model store count on it.
  return fail(Errc::refused,
              "guests use the models that their module declares; they cannot bring others");
}

}  // namespace aloft::host
