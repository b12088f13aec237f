// The part of RemoteSession that is about modules, models and the link: what is open, and why not.
#include <algorithm>
#include <utility>

#include "function/fields.h"
#include "function/remote_session.h"
#include <aloft/detail/object_link.h>

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
                     .objects = {},
                     .models = {},
                     .concurrency = static_cast<std::uint32_t>(limits_.calls),
                     .argument_bytes = module.argument_bytes};
  for (const FunctionDescriptor& function : module.to_open.module->functions) {
    message.functions.push_back(
        {std::string(function.export_name), std::string(function.signature_hash)});
  }
  for (const detail::ObjectClass& object : module.to_open.module->objects)
    message.objects.push_back({std::string(object.qualified_name), std::string(object.state_hash)});
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
  module->streams.open(opened.call_streams, opened.instances);
  module->state = Module::State::opened;
  module->logged_refusal.clear();
  wasm_engine_ = opened.engine;
  inference_engine_ = opened.inference;
  publish(*module);
  just_settled_ = module->to_open.module;  // ready once its ends are told
  close_if_over(*module);
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
  just_settled_ = module->to_open.module;
  close_if_over(*module);
  return {};
}

void RemoteSession::refuse(Module& module, Error why, Effects& effects) {
  module.state = Module::State::refused;
  publish(module);
  module.refusal = {why.code, "edge " + edge_ + " refused the module '" +
                                  std::string(module.to_open.module->name) + "': " + why.message};
  if (module.role != Module::Role::serves) {
    // Of a new version whoever prepares it is told; one that is to go is missed only in a recovery.
    effects.log(LogLevel::info, module.refusal.message);
    changed_.notify_all();
    return;
  }
  if (module.logged_refusal != module.refusal.message) {
    effects.log(LogLevel::error, module.refusal.message + " (" + std::string(to_string(why.code)) +
                                     "); its calls run here");
    module.logged_refusal = module.refusal.message;
  }
  update_ready(effects);
}

void RemoteSession::publish(const Module& module) {
  if (module.role != Module::Role::serves) return;
  for (const auto& offer : offers_) {
    if (offer->module == module.to_open.module)
      offer->open.store(module.state == Module::State::opened, std::memory_order_release);
  }
}

std::optional<OpenVersions> RemoteSession::settled_versions(const ModuleDescriptor& module) const {
  OpenVersions versions;
  for (const auto& version : modules_) {
    if (version->to_open.module != &module || version->unwanted) continue;
    // One that is prepared is told of when it is open: the others do not wait for it.
    if (version->state == Module::State::opening && version->role != Module::Role::prepared)
      return std::nullopt;
    if (version->state == Module::State::opened)
      versions.emplace(version->to_open.version, version->id);
  }
  const Module* const serving = find_module(module);
  if (serving == nullptr || serving->state != Module::State::opened) return std::nullopt;
  return versions;
}

// --- Hot upgrade
// -------------------------------------------------------------------------------------------------

void RemoteSession::prepare(ModuleToOpen next) {
  Effects effects(log_);
  const std::lock_guard lock(mutex_);
  const Module* const serving = find_module(*next.module);
  if (serving == nullptr) return;
  auto made = std::make_unique<Module>(std::move(next), limits_);
  made->id = ++last_id_;
  made->role = Module::Role::prepared;
  made->argument_bytes = serving->argument_bytes;
  modules_.push_back(std::move(made));
  if (up_) open(*modules_.back(), effects);
}

Result<RemoteSession::Prepared> RemoteSession::wait_prepared(const ModuleDescriptor& module,
                                                             steady_clock::time_point until) const {
  std::unique_lock lock(mutex_);
  const auto answered = [&] {
    const Module* const next = find_module(module, Module::Role::prepared);
    return !up_ || next == nullptr || next->state == Module::State::opened ||
           next->state == Module::State::refused;
  };
  const bool in_time = changed_.wait_until(lock, until, answered);
  const Module* const next = find_module(module, Module::Role::prepared);
  if (!up_ || next == nullptr) return Prepared::no_link;
  if (next->state == Module::State::refused) return std::unexpected(next->refusal);
  if (in_time) return Prepared::open;
  return fail(Errc::deadline_exceeded, "edge " + edge_ + " has not opened the new version of '" +
                                           std::string(module.name) + "' in time");
}

void RemoteSession::adopt(const ModuleDescriptor& module) {
  Effects effects(log_);
  const std::lock_guard lock(mutex_);
  Module* const next = find_module(module, Module::Role::prepared);
  Module* const serving = find_module(module);
  if (next == nullptr || serving == nullptr) return;
  serving->role = Module::Role::retiring;
  next->role = Module::Role::serves;
  publish(*next);
  update_ready(effects);
}

void RemoteSession::discard(const ModuleDescriptor& module) {
  const std::lock_guard lock(mutex_);
  Module* const next = find_module(module, Module::Role::prepared);
  if (next == nullptr) return;
  ends_->forget_version(module, next->to_open.version);
  next->role = Module::Role::retiring;
  next->unwanted = true;
  close_if_over(*next);
}

void RemoteSession::retire(const ModuleDescriptor& module) {
  const std::lock_guard lock(mutex_);
  std::vector<Module*> retiring;
  for (const auto& version : modules_) {
    if (version->to_open.module == &module && version->role == Module::Role::retiring)
      retiring.push_back(version.get());
  }
  for (Module* const version : retiring) {
    ends_->forget_version(module, version->to_open.version);
    version->unwanted = true;
    close_if_over(*version);
  }
}

void RemoteSession::close_if_over(Module& module) {
  if (!module.unwanted || module.state == Module::State::opening || !module.streams.idle()) return;
  // What does not leave with this link ends with it.
  if (module.state == Module::State::opened && up_ && endpoint_ != nullptr)
    (void)send_control(CloseModule{module.id});
  std::erase_if(modules_, [&](const auto& version) { return version.get() == &module; });
}

std::string RemoteSession::module_digest(const ModuleDescriptor& module) const {
  const std::lock_guard lock(mutex_);
  const Module* const serving = find_module(module);
  return serving == nullptr ? std::string(module.digest) : serving->to_open.digest;
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
  std::vector<std::string> codecs;  // an older edge says none
  if (fields.has(kImageCodecs)) fields.get(kImageCodecs, codecs);
  decodes_jpeg_.store(std::ranges::find(codecs, kJpeg) != codecs.end(), std::memory_order_release);
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
  for (const auto& offer : offers_) offer->open.store(false, std::memory_order_release);
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
  std::erase_if(modules_, [](const auto& module) { return module->unwanted; });
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
                     switch (module->role) {
                       case Module::Role::serves: return module->state == Module::State::opened;
                       // Ends are told of all versions at once.
                       case Module::Role::retiring:
                         return module->unwanted || module->state != Module::State::opening;
                       case Module::Role::prepared: break;
                     }
                     return true;
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
  return std::unexpected(not_ready(timeout));
}

Error RemoteSession::why_not_ready(std::chrono::milliseconds waited) const {
  const std::lock_guard lock(mutex_);
  return not_ready(waited);
}

Error RemoteSession::not_ready(std::chrono::milliseconds waited) const {
  if (auto error = final_error()) return *std::move(error);
  const std::string so_long = " (waited " + std::to_string(waited.count()) + " ms)";
  if (!up_) return {Errc::unreachable, link_error_.message + so_long};
  for (const auto& module : modules_) {
    if (module->role == Module::Role::serves && module->state != Module::State::opened)
      return {Errc::unreachable, why_not(*module).message + so_long};
  }
  // It has become so, or ceased to be, this moment.
  return {Errc::unreachable, "edge " + edge_ + " is ready only now" + so_long};
}

std::optional<Error> RemoteSession::final_error() const {
  if (!up_ && is_final(link_error_.code)) return link_error_;
  for (const auto& module : modules_) {
    if (module->role == Module::Role::serves && module->state == Module::State::refused)
      return module->refusal;
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
