#include "function/remote_session.h"

#include <algorithm>
#include <utility>

#include "channel/tcp.h"
#include <aloft/codec/writer.h>

namespace aloft::function {
namespace {

using std::chrono::steady_clock;

channel::EndpointOptions link_options(channel::EndpointOptions options, std::uint64_t max_reply) {
  // The memory for a result is allocated when it comes, so that the edge need not ask for it.
  options.receive = channel::CreditRule::not_required;
  options.max_body = Bytes{max_reply};
  return options;
}

// Arguments of so many bytes leave in one piece with others.
constexpr std::uint64_t kLittle = 4096;

// A message's bytes on the link.
std::uint64_t wire_bytes(std::uint64_t head, std::uint64_t body) {
  const std::uint64_t frames =
      std::max<std::uint64_t>(1, (head + body + channel::kMaxFragment - 1) / channel::kMaxFragment);
  return head + body + frames * wire::kHeaderSize;
}

std::uint64_t microseconds_until(steady_clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::microseconds>(deadline - steady_clock::now()).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(1, left));
}

}  // namespace

RemoteSession::RemoteSession(SessionOptions options, channel::IoThread& io, const Log& log)
    : io_(io),
      link_options_(link_options(options.link, options.max_reply)),
      on_change_(std::move(options.on_change)),
      max_reply_(options.max_reply),
      limits_(options.limits),
      log_(log),
      ends_(std::make_shared<EndLinks>(max_reply_)),
      uploads_(std::move(options.models), [this] {
        Effects effects(log_);
        const std::lock_guard lock(mutex_);
        send_uploads(effects);
      }) {
  for (ModuleToOpen& module : options.modules) {
    offers_.push_back(std::make_unique<Offer>());
    offers_.back()->module = module.module;
    modules_.push_back(std::make_unique<Module>(std::move(module), limits_));
    modules_.back()->id = ++last_id_;
  }
  if (!options.edge) return;
  const std::lock_guard lock(mutex_);
  connect({.edge = *std::move(options.edge), .tls = options.link.tls, .session = {}, .ticket = {}});
}

RemoteSession::~RemoteSession() {
  std::unique_ptr<channel::Endpoint> endpoint;
  {
    const std::lock_guard lock(mutex_);
    endpoint = std::move(endpoint_);
    up_ = false;
  }
  ends_->close();
  if (endpoint != nullptr) endpoint->close({Errc::cancelled, "the application ends"});
  endpoint.reset();  // nobody reads arguments any more, and no callback comes
  ends_->on_down();
  Effects effects(log_);
  for (const auto& module : modules_) {
    for (RemoteCall* const call : module->streams.close()) {
      call->reply.outcome = fail(Errc::cancelled, "the runtime ended");
      effects.end(call);
    }
  }
}

// --- Calls
// -------------------------------------------------------------------------------------------------------

void RemoteSession::start(RemoteCall& call) {
  Effects effects(log_);
  const std::lock_guard lock(mutex_);
  call.reply = {};
  Module* const module = find_module(*call.request.function->module);
  if (module == nullptr || module->state != Module::State::opened) {
    call.reply.outcome = std::unexpected(
        module != nullptr
            ? why_not(*module)
            : Error{Errc::unreachable,
                    "the module '" + std::string(call.request.function->module->name) +
                        "' was not part of the program when the runtime was made"});
    return effects.end(&call);
  }
  call.reply.given_version = module->to_open.digest != module->asked;
  module->argument_bytes = std::max(module->argument_bytes, call.request.argument_bytes);
  if (!module->streams.add(call)) {
    call.reply.outcome = fail(Errc::overloaded, "too many calls wait for the edge");
    return effects.end(&call);
  }
  send_calls(*module, effects);
}

bool RemoteSession::assist(const std::atomic<bool>& done, steady_clock::time_point until) {
  channel::Endpoint* endpoint = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (endpoint_ == nullptr) return false;
    endpoint = endpoint_.get();
    assisting_.fetch_add(1, std::memory_order_relaxed);
  }
  const bool assisted = endpoint->assist(done, until);
  // route() waits for the last one before it destroys the endpoint.
  assisting_.fetch_sub(1, std::memory_order_release);
  assisting_.notify_all();
  return assisted;
}

void RemoteSession::nudge() {
  const std::lock_guard lock(mutex_);
  if (endpoint_ != nullptr) endpoint_->nudge();
}

void RemoteSession::cancel(RemoteCall& call, const Error& why) {
  Effects effects(log_);
  const std::lock_guard lock(mutex_);
  Module* const module = module_with(call);
  if (module == nullptr || endpoint_ == nullptr) return;
  const auto given_up = module->streams.give_up(call, why);
  switch (given_up.tell) {
    case CallStreams::GiveUp::nothing: break;
    case CallStreams::GiveUp::reset_stream: endpoint_->reset(given_up.stream, why); break;
    case CallStreams::GiveUp::cancel_call:
      (void)send_control(CancelCall{call.request.number});
      break;
  }
  effects.end(given_up.ended);
  send_calls(*module, effects);
}

void RemoteSession::send_calls(Module& module, Effects& effects) {
  if (draining_) changed_.notify_all();
  if (endpoint_ == nullptr) return;  // the session ends, and ends all calls
  while (const auto step = module.streams.next()) send_call(module, *step, effects);
  close_if_over(module);
}

void RemoteSession::send_call(Module& module, const CallStreams::Step& step, Effects& effects) {
  const RemoteRequest& request = step.call->request;
  const bool is_call = step.kind == CallStreams::Step::Kind::call;
  const CodedArguments* const coded = is_call && decodes_jpeg() ? request.coded : nullptr;
  std::vector<std::byte> head;
  if (is_call) {
    Call call{.call_id = request.number,
              .module_id = module.id,
              .function = request.function->index,
              .deadline_us = microseconds_until(request.deadline),
              .digest_tensors = request.digest_tensors};
    if (coded != nullptr) {
      call.argument_bytes = coded->argument_bytes();
      call.pictures = coded->pictures();
    }
    head = encode(call);
  } else {
    head = encode(NeedCapacity{.module_id = module.id, .bytes = request.argument_bytes});
  }
  step.call->reply.went_coded = coded != nullptr;
  const std::uint64_t body_size = coded != nullptr ? coded->size() : request.argument_bytes;
  channel::Outgoing message{.stream = step.stream, .head = head, .body = {}, .token = 0};
  if (is_call) {
    message.body = coded != nullptr ? coded->segments() : request.arguments;
    message.token = static_cast<std::uint64_t>(Token::call);
    if (request.rank == Rank::extra) message.priority = channel::kBulk;
    // Only where it costs nobody time: others that are on their way take longer than it waits.
    if (module.streams.active() > 1 && request.argument_bytes <= kLittle &&
        module.streams.is_brief(*step.call)) {
      message.haste = request.haste;
    }
  }
  step.call->reply.tx_bytes += wire_bytes(head.size(), is_call ? body_size : 0);
  const auto sent = endpoint_->send_quietly(message);
  if (!sent) {
    effects.end(module.streams.on_send_failed(step.stream, sent.error()));
  } else if (*sent == channel::Sending::done) {
    effects.end(module.streams.on_sent(step.stream));
  }
}

Result<void> RemoteSession::send_control(const Message& message) {
  const auto head = encode(message);
  return endpoint_->send({.stream = channel::kControlStream,
                          .head = head,
                          .body = {},
                          .token = static_cast<std::uint64_t>(Token::control)});
}

// --- What comes in
// -----------------------------------------------------------------------------------------------

Result<std::span<std::byte>> RemoteSession::on_message_begin(channel::StreamId stream,
                                                             std::span<const std::byte> head,
                                                             std::uint64_t body_size) {
  if (is_end_head(head)) return ends_->on_message_begin(stream, head, body_size);
  if (stream == channel::kControlStream) return on_control(head, body_size);
  auto message = decode(head);
  Effects effects(log_);
  const std::lock_guard lock(mutex_);
  Module* const module = module_of(stream);
  if (module == nullptr)
    return fail(Errc::protocol, "no module has the stream " + std::to_string(stream));
  Error why{Errc::protocol, "only a return may come on a call stream"};
  if (!message) {
    why = message.error();
  } else if (Return* const returned = std::get_if<Return>(&*message)) {
    if (body_size <= max_reply_) {
      const auto size = static_cast<std::size_t>(body_size);
      return module->streams.on_return_begin(stream, std::move(*returned), size,
                                             wire_bytes(head.size(), body_size));
    }
    why = {Errc::resource_exhausted,
           "a result of " + std::to_string(body_size) + " bytes is larger than is allowed"};
  }
  effects.end(module->streams.on_failed(stream, why));
  if (draining_) changed_.notify_all();
  close_if_over(*module);
  return std::unexpected(why);
}

Result<std::span<std::byte>> RemoteSession::on_control(std::span<const std::byte> head,
                                                       std::uint64_t body_size) {
  auto message = decode(head);
  const ModuleDescriptor* settled = nullptr;
  std::optional<OpenVersions> versions;
  channel::Endpoint* endpoint = nullptr;
  {
    Effects effects(log_);
    const std::lock_guard lock(mutex_);
    // Nothing is lost with one that cannot be read: whoever waits for it has a timeout.
    Result<void> handled = std::unexpected(Error{Errc::protocol, "a control message with a body"});
    if (!message) {
      handled = std::unexpected(message.error());
    } else if (body_size == 0) {
      handled = handle(*message, effects);
    }
    if (!handled) {
      effects.log(LogLevel::error, "edge " + edge_ + ": " + describe(handled.error()));
      return std::unexpected(handled.error());
    }
    settled = std::exchange(just_settled_, nullptr);
    if (settled != nullptr) versions = settled_versions(*settled);
    endpoint = endpoint_.get();
  }
  if (!versions || endpoint == nullptr) return std::span<std::byte>{};
  // Without the lock, since the ends go on from there; and before anybody is told that this edge is
  // ready, who may want to move one there.
  ends_->on_module_open(*settled, *std::move(versions), *endpoint);
  Effects effects(log_);
  const std::lock_guard lock(mutex_);
  update_ready(effects);
  return std::span<std::byte>{};
}

void RemoteSession::on_message_end(channel::StreamId stream) {
  if (ends_->on_message_end(stream)) return;
  Effects effects(log_);
  const std::lock_guard lock(mutex_);
  Module* const module = module_of(stream);
  if (module == nullptr) return;
  effects.end(module->streams.on_return_end(stream));
  send_calls(*module, effects);
}

void RemoteSession::on_message_abandoned(channel::StreamId stream, const Error&) {
  if (ends_->on_message_abandoned(stream)) return;
  // What becomes of the call is told by the on_reset or on_down that follows.
  const std::lock_guard lock(mutex_);
  if (Module* const module = module_of(stream)) module->streams.on_return_abandoned(stream);
}

void RemoteSession::on_credit(channel::StreamId stream, std::uint64_t capacity) {
  if (ends_->on_credit(stream)) return;
  Effects effects(log_);
  const std::lock_guard lock(mutex_);
  if (Module* const module = module_of(stream)) {
    effects.end(module->streams.on_credit(stream, capacity));
    send_calls(*module, effects);
  } else if (uploads_.on_credit(stream, capacity)) {
    send_uploads(effects);
  }
}

void RemoteSession::on_reset(channel::StreamId stream, const Error& why) {
  if (ends_->on_reset(stream, why)) return;
  Effects effects(log_);
  const std::lock_guard lock(mutex_);
  if (Module* const module = module_of(stream)) {
    effects.end(module->streams.on_failed(stream, why));
    send_calls(*module, effects);
  }
}

void RemoteSession::on_sent(channel::StreamId stream, std::uint64_t token,
                            const Result<void>& outcome) {
  if (token == EndLinks::kToken) return ends_->on_sent(stream);
  Effects effects(log_);
  const std::lock_guard lock(mutex_);
  switch (static_cast<Token>(token)) {
    case Token::control:
    case Token::end: return;
    case Token::model: return uploads_.finish(stream);
    case Token::call: break;
  }
  Module* const module = module_of(stream);
  if (module == nullptr) return;
  // A call that was dropped instead is settled by whoever dropped it: cancel(), on_reset or
  // on_down.
  RemoteCall* const ended = module->streams.on_sent(stream);
  const bool given_up = ended != nullptr && !ended->reply.outcome;
  if (given_up && outcome && up_)
    (void)send_control(CancelCall{ended->request.number});  // it had left in time
  effects.end(ended);
  send_calls(*module, effects);
}

Result<void> RemoteSession::handle(const Message& message, Effects& effects) {
  if (const auto* opened = std::get_if<ModuleOpened>(&message)) return handle(*opened);
  if (const auto* refused = std::get_if<ModuleRefused>(&message)) return handle(*refused, effects);
  if (const auto* wanted = std::get_if<ModelWanted>(&message)) return handle(*wanted, effects);
  if (const auto* line = std::get_if<GuestLog>(&message)) return handle(*line, effects);
  return fail(Errc::protocol, "a message that only a UE sends");
}

Result<void> RemoteSession::handle(const GuestLog& line, Effects& effects) {
  std::string_view function = "guest";
  for (const auto& module : modules_) {
    if (const RemoteCall* const call = module->streams.find(line.call_id)) {
      function = call->request.function->qualified_name;
    }
  }
  effects.log(line.is_error ? LogLevel::warning : LogLevel::info,
              std::string(function) + ", call " + std::to_string(line.call_id) + ": " + line.line);
  return {};
}

// --- Looking things up
// -------------------------------------------------------------------------------------------

bool RemoteSession::is_open(const ModuleDescriptor& module) const {
  return std::ranges::any_of(offers_, [&](const auto& offer) {
    return offer->module == &module && offer->open.load(std::memory_order_acquire);
  });
}

std::string RemoteSession::describe(const Error& error) {
  return std::string(to_string(error.code)) + ": " + error.message;
}

RemoteSession::Module* RemoteSession::module_of(channel::StreamId stream) {
  for (const auto& module : modules_) {
    if (module->streams.contains(stream)) return module.get();
  }
  return nullptr;
}

RemoteSession::Module* RemoteSession::find_module(const ModuleDescriptor& module,
                                                  Module::Role role) const {
  for (const auto& candidate : modules_) {
    if (candidate->to_open.module == &module && candidate->role == role) return candidate.get();
  }
  return nullptr;
}

RemoteSession::Module* RemoteSession::find_module(std::uint32_t id) const {
  const auto found = std::ranges::find(modules_, id, [](const auto& module) { return module->id; });
  return found == modules_.end() ? nullptr : found->get();
}

RemoteSession::Module* RemoteSession::module_with(const RemoteCall& call) const {
  for (const auto& module : modules_) {
    if (module->streams.holds(call)) return module.get();
  }
  return nullptr;
}

std::string RemoteSession::wasm_engine() const {
  const std::lock_guard lock(mutex_);
  return wasm_engine_;
}

std::string RemoteSession::inference_engine() const {
  const std::lock_guard lock(mutex_);
  return inference_engine_;
}

channel::EndpointStats RemoteSession::stats() const {
  const std::lock_guard lock(mutex_);
  return endpoint_ == nullptr ? channel::EndpointStats{} : endpoint_->stats();
}

}  // namespace aloft::function
