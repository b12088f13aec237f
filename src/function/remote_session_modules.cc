// The part of RemoteSession that is about modules, models and the link: what is open, and why not.
#include <algorithm>
#include <utility>

#include "function/fields.h"
#include "function/remote_session.h"

namespace aloft::function {
namespace {

using std::chrono::steady_clock;

// Whether the same attempt again would end the same way.
bool is_final(Errc link_error) {
  return link_error == Errc::refused || link_error == Errc::version_mismatch ||
         link_error == Errc::protocol;
}

}  // namespace

// --- Modules
// -----------------------------------------------------------------------------------------------------

void RemoteSession::open(Module& module, Effects& effects) {
  OpenModule message{.module_id = module.id,
                     .name = std::string(module.to_open.module->name),
                     .digest = module.to_open.digest,
                     .functions = {},
                     .models = {},
                     .concurrency = concurrency_,
                     .argument_bytes = module.argument_bytes};
  for (const FunctionDescriptor& function : module.to_open.module->functions) {
    message.functions.push_back(
        {std::string(function.export_name), std::string(function.signature_hash)});
  }
  for (const std::string& graph : module.to_open.graphs) {
    const auto model = std::ranges::find(uploads_.models(), graph, &ModelFile::graph);
    if (model != uploads_.models().end())
      message.models.push_back({model->graph, model->sha256, model->size});
  }
  module.state = Module::State::opening;
  if (const auto sent = send_control(message); !sent) refuse(module, sent.error(), effects);
}

Result<void> RemoteSession::handle(const ModelWanted& wanted, Effects& effects) {
  if (wanted.stream == channel::kControlStream || module_of(wanted.stream) != nullptr) {
    return fail(Errc::protocol, "a model is wanted on a stream that has another use");
  }
  if (const auto known = uploads_.want(wanted.stream, wanted.sha256); !known) return known;
  effects.log(LogLevel::info, "edge " + edge_ + " lacks the model " + wanted.sha256.substr(0, 12) +
                                  ": uploading it");
  return {};
}

void RemoteSession::send_uploads(Effects& effects) {
  while (auto ready = uploads_.take_ready()) {
    if (endpoint_ == nullptr || !up_) return;
    Result<void> sent = {};
    if (ready->bytes) {
      const auto head = encode(ModelBytes{ready->sha256});
      sent = endpoint_->send({.stream = ready->stream,
                              .head = head,
                              .body = std::span(&*ready->bytes, 1),
                              .token = static_cast<std::uint64_t>(Token::model)});
    } else {
      sent = std::unexpected(ready->bytes.error());
      endpoint_->reset(ready->stream, ready->bytes.error());
    }
    if (!sent) {
      uploads_.finish(ready->stream);
      effects.log(LogLevel::error,
                  "cannot upload a model to edge " + edge_ + ": " + describe(sent.error()));
    }
  }
}

Result<void> RemoteSession::handle(const ModuleOpened& opened) {
  Module* const module = find_module(opened.module_id);
  if (module == nullptr || module->state != Module::State::opening) {
    return fail(Errc::protocol, "a module was opened that was not asked for");
  }
  for (const channel::StreamId stream : opened.call_streams) {
    if (stream == channel::kControlStream || module_of(stream) != nullptr) {
      return fail(Errc::protocol, "a call stream that has another use");
    }
  }
  module->streams.open(opened.call_streams);
  module->state = Module::State::opened;
  module->open.store(true, std::memory_order_release);
  module->logged_refusal.clear();
  wasm_engine_ = opened.engine;
  inference_engine_ = opened.inference;
  just_opened_ = module;  // ready once its ends are told
  return {};
}

Result<void> RemoteSession::handle(const ModuleRefused& refused, Effects& effects) {
  Module* const module = find_module(refused.module_id);
  // Once open, a module has calls whose arguments the endpoint may be reading: they end one by one,
  // not by a refusal.
  if (module == nullptr || module->state != Module::State::opening) {
    return fail(Errc::protocol, "a module was refused that was not asked for");
  }
  refuse(*module, refused.why, effects);
  return {};
}

void RemoteSession::refuse(Module& module, Error why, Effects& effects) {
  module.open.store(false, std::memory_order_release);
  module.state = Module::State::refused;
  module.refusal = {why.code, "edge " + edge_ + " refused the module '" +
                                  std::string(module.to_open.module->name) + "': " + why.message};
  if (module.logged_refusal != module.refusal.message) {
    effects.log(LogLevel::error, module.refusal.message + " (" + std::string(to_string(why.code)) +
                                     "); its calls run here");
    module.logged_refusal = module.refusal.message;
  }
  update_ready(effects);
}

// --- The link
// ----------------------------------------------------------------------------------------------------

void RemoteSession::on_up(std::span<const std::byte> peer_hello) {
  Effects effects(log_);
  const std::lock_guard lock(mutex_);
  if (endpoint_ == nullptr) return;
  FieldReader fields(peer_hello, "hello");
  std::string_view role;
  fields.get("role", role);
  if (!fields.ok() || role != "execution_handler") {
    return endpoint_->close({Errc::refused, edge_ + " is no Execution Handler"});
  }
  up_ = true;
  since_ = steady_clock::now();
  if (fields.has("resume_secret")) {
    std::span<const std::byte> secret;
    fields.get("resume_secret", secret);
    resume_secret_.assign(secret.begin(), secret.end());
  }
  logged_link_error_.clear();
  for (const auto& module : modules_) open(*module, effects);
  update_ready(effects);
}

void RemoteSession::on_down(const Error& why, steady_clock::time_point last_heard) {
  {
    Effects effects(log_);
    const std::lock_guard lock(mutex_);
    if (endpoint_ == nullptr) return;  // the session ends, and ends all calls and ends
    take_down(why, last_heard, effects);
  }
  ends_->on_down();
}

void RemoteSession::take_down(const Error& why, steady_clock::time_point last_heard,
                              Effects& effects) {
  // In this order: who sees that the edge is gone asks since when, and who sees that it is not
  // ready uses no module.
  if (is_ready()) {
    lost_last_heard_ = last_heard;
    loss_pending_.store(true, std::memory_order_release);
  }
  for (const auto& module : modules_) module->open.store(false, std::memory_order_release);
  ready_.store(false, std::memory_order_release);
  const bool was_up = std::exchange(up_, false);
  if (was_up) since_ = steady_clock::now();
  // What the edge gave for the ticket it may have forgotten; a ticket it checks anew.
  if (why.code == Errc::refused && resuming_) resume_secret_.clear();
  link_error_ = {why.code, "edge " + edge_ + ": " + why.message};
  std::size_t taken_over = 0;
  uploads_.clear();
  for (const auto& module : modules_) {
    module->state = Module::State::closed;
    for (RemoteCall* const call : module->streams.close()) {
      ++taken_over;
      call->reply.outcome = fail(Errc::unreachable, link_error_.message);
      call->reply.edge_lost = true;
      effects.end(call);
    }
  }
  if (was_up) {
    effects.log(LogLevel::warning, "edge " + edge_ + " lost: " + why.message +
                                       "; calls run here until it is back (" +
                                       std::to_string(taken_over) + " in flight)");
  } else if (logged_link_error_ != link_error_.message) {
    effects.log(is_final(why.code) ? LogLevel::error : LogLevel::warning,
                "edge " + edge_ + " not reached: " + describe(why) + "; calls run here");
  }
  logged_link_error_ = link_error_.message;
  announce();
}

void RemoteSession::update_ready(Effects& effects) {
  const bool now = up_ && std::ranges::all_of(modules_, [](const auto& module) {
                     return module->state == Module::State::opened;
                   });
  if (ready_.exchange(now, std::memory_order_acq_rel) != now && now) {
    loss_pending_.store(false, std::memory_order_release);
    effects.log(LogLevel::info,
                "edge " + edge_ + " ready" +
                    (wasm_engine_.empty() ? "" : ": " + wasm_engine_ + "; " + inference_engine_));
  }
  announce();
}

std::optional<steady_clock::time_point> RemoteSession::take_loss() {
  const std::lock_guard lock(mutex_);
  if (!loss_pending_.exchange(false, std::memory_order_acq_rel)) return std::nullopt;
  return lost_last_heard_;
}

Result<void> RemoteSession::wait_ready(std::chrono::milliseconds timeout) const {
  const auto deadline = steady_clock::now() + timeout;
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [&] { return is_ready() || final_error().has_value(); });
  if (is_ready()) return {};
  if (auto error = final_error()) return std::unexpected(*std::move(error));
  const std::string waited = " (waited " + std::to_string(timeout.count()) + " ms)";
  if (!up_) return fail(Errc::unreachable, link_error_.message + waited);
  for (const auto& module : modules_) {
    if (module->state != Module::State::opened)
      return fail(Errc::unreachable, why_not(*module).message + waited);
  }
  return fail(Errc::internal, "the edge is neither ready nor not");
}

std::optional<Error> RemoteSession::final_error() const {
  if (!up_ && is_final(link_error_.code)) return link_error_;
  for (const auto& module : modules_) {
    if (module->state == Module::State::refused) return module->refusal;
  }
  return std::nullopt;
}

Error RemoteSession::why_not(const Module& module) const {
  if (!up_)
    return is_final(link_error_.code) ? link_error_ : Error{Errc::unreachable, link_error_.message};
  if (module.state == Module::State::refused) return module.refusal;
  return {Errc::unreachable, "edge " + edge_ + " has not opened the module '" +
                                 std::string(module.to_open.module->name) + "' yet"};
}

}  // namespace aloft::function
