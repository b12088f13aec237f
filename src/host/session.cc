#include "host/session.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

namespace aloft::host {

Session::Session(std::uint64_t id, std::string peer, const SessionServices& services,
                 std::shared_ptr<const SessionRights> rights, std::function<void()> ended)
    : id_(id),
      peer_(std::move(peer)),
      services_(services),
      rights_(std::move(rights)),
      on_ended_(std::move(ended)) {}

Session::~Session() { finish(); }

void Session::finish() {
  stop();  // all are asked before the first is waited for
  if (!opener_) return;
  opener_->finish();
  // No module is added any more, so the list is read without the mutex, which stuck() must be able
  // to take meanwhile.
  for (const auto& module : modules_) {
    for (const auto& worker : module->workers) worker->finish();
  }
}

void Session::start(std::unique_ptr<channel::Endpoint> endpoint) {
  endpoint_ = std::move(endpoint);
  opener_ = std::make_unique<ModuleOpener>(
      id_, services_, rights_.get(), *endpoint_, *turns_,
      [this](std::unique_ptr<OpenedModule> module) { add(std::move(module)); });
  ends_ = std::make_unique<SessionEnds>(id_, *services_.ends, *endpoint_);
  ops::log(spdlog::level::info, fmt::format("session {}: {} is connected", id_, peer_),
           log_fields(rights_.get()));
}

void Session::add(std::unique_ptr<OpenedModule> module) {
  const std::lock_guard lock(mutex_);
  for (const auto& worker : module->workers) {
    for (const channel::StreamId stream : worker->streams()) {
      const std::size_t index = stream - ModelUpload::kFirstCallStream;
      if (workers_.size() <= index) workers_.resize(index + 1);
      workers_[index] = worker.get();
    }
  }
  modules_.push_back(std::move(module));
}

// --- any thread ------------------------------------------------------------------------

void Session::close(const Error& why) {
  endpoint_->close(why);
  stop();
}

void Session::stop() {
  if (opener_) opener_->stop();
  const std::lock_guard lock(mutex_);
  for (const auto& module : modules_) {
    for (const auto& worker : module->workers) worker->stop();
  }
}

std::optional<Stuck> Session::stuck(Clock::time_point now) const {
  if (!opener_) return std::nullopt;
  if (const auto model = opener_->overdue(now)) {
    return Stuck{.session = id_,
                 .blamed = *model,
                 .what = "loading the model sha256:" + model->hex(),
                 .call = std::nullopt,
                 .end = std::nullopt};
  }
  const std::lock_guard lock(mutex_);
  for (const auto& module : modules_) {
    for (const auto& worker : module->workers) {
      const auto call = worker->overdue(now);
      if (!call) continue;
      if (call->model)
        return Stuck{.session = id_,
                     .blamed = *call->model,
                     .what = "an inference of the model sha256:" + call->model->hex(),
                     .call = call,
                     .end = std::nullopt};
      const Digest digest = module->context.module->digest();
      return Stuck{.session = id_,
                   .blamed = digest,
                   .what = "a call into the module sha256:" + digest.hex(),
                   .call = call,
                   .end = std::nullopt};
    }
  }
  return std::nullopt;
}

void Session::answer_for(const Stuck& stuck, const Error& why) {
  if (!stuck.call) return;
  function::Return reply;
  reply.call_id = stuck.call->call_id;
  reply.error = why;
  const auto head = function::encode(reply);
  (void)endpoint_->send({.stream = stuck.call->stream, .head = head, .body = {}});
}

// --- I/O thread ------------------------------------------------------------------------

Result<std::span<std::byte>> Session::on_message_begin(channel::StreamId stream,
                                                       std::span<const std::byte> head,
                                                       std::uint64_t body_size) {
  if (stream >= SessionEnds::kFirstEndStream) return ends_->begin(stream, head, body_size);
  if (stream == channel::kControlStream) {
    if (auto handled = on_control(head, body_size); !handled) {
      spdlog::warn("session {}: {}", id_, handled.error().message);
      endpoint_->close(handled.error());
      return std::unexpected(handled.error());
    }
    return std::span<std::byte>{};
  }
  auto message = function::decode(head);
  if (stream < ModelUpload::kFirstCallStream) {
    if (!message) return std::unexpected(message.error());
    const auto* model = std::get_if<function::ModelBytes>(&*message);
    if (model == nullptr) return fail(Errc::protocol, "only a model may come on this stream");
    return opener_->upload().begin(stream, *model, body_size);
  }
  InstanceWorker* const worker = worker_of(stream);
  if (worker == nullptr)
    return fail(Errc::protocol, "no module has the stream " + std::to_string(stream));
  if (!message) {
    worker->refuse(stream);
    return std::unexpected(message.error());
  }
  return on_call_stream(stream, *worker, *message, body_size);
}

Result<void> Session::on_control(std::span<const std::byte> head, std::uint64_t body_size) {
  if (body_size != 0) return fail(Errc::protocol, "a control message with a body");
  if (function::is_end_head(head)) return on_end_message(head);
  auto message = function::decode(head);
  if (!message) return std::unexpected(message.error());
  sweep_closed();
  if (auto* const open = std::get_if<function::OpenModule>(&*message)) {
    opener_->open(std::move(*open));
    return {};
  }
  if (const auto* const closed = std::get_if<function::CloseModule>(&*message)) {
    close_module(closed->module_id);
    return {};
  }
  if (const auto* const cancelled = std::get_if<function::CancelCall>(&*message)) {
    const std::lock_guard lock(mutex_);
    for (const auto& module : modules_) {
      for (const auto& worker : module->workers) worker->cancel(cancelled->call_id);
    }
    return {};
  }
  return fail(Errc::protocol, "a message on the control stream that a UE does not send there");
}

void Session::close_module(std::uint32_t id) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& module : modules_) {
      if (module->id != id || std::exchange(module->closed, true)) continue;
      ++closing_;
      opener_->note_closed();
    }
  }
  sweep_closed();
}

// On the I/O thread, which alone leads messages to workers: after it took one off the table, none
// comes to it any more.
void Session::sweep_closed() {
  if (closing_ == 0) return;
  std::vector<std::unique_ptr<OpenedModule>> over;
  {
    const std::lock_guard lock(mutex_);
    for (auto& module : modules_) {
      if (!module->closed || !std::ranges::all_of(module->workers, &InstanceWorker::idle)) continue;
      for (const channel::StreamId stream : module->streams)
        workers_[stream - ModelUpload::kFirstCallStream] = nullptr;
      over.push_back(std::move(module));
    }
    std::erase(modules_, nullptr);
  }
  closing_ -= over.size();
  for (auto& module : over) opener_->give_back(std::move(module));
}

Result<void> Session::on_end_message(std::span<const std::byte> head) {
  auto message = function::decode_end(head, 0);
  if (!message) return std::unexpected(message.error());
  if (!std::holds_alternative<channel::Attach>(message->message.content)) {
    ends_->control(std::move(*message));
    return {};
  }
  const OpenedModule* module = nullptr;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& opened : modules_) {
      if (opened->id == message->terms.module_id && !opened->closed) module = opened.get();
    }
  }
  ends_->attach(std::move(*message), module, turns_);
  return {};
}

Result<std::span<std::byte>> Session::on_call_stream(channel::StreamId stream,
                                                     InstanceWorker& worker,
                                                     const function::Message& message,
                                                     std::uint64_t body_size) {
  if (const auto* const call = std::get_if<function::Call>(&message)) {
    return worker.begin(stream, *call, body_size);
  }
  if (const auto* const need = std::get_if<function::NeedCapacity>(&message);
      need != nullptr && body_size == 0) {
    worker.need_capacity(stream, need->bytes);
    return std::span<std::byte>{};
  }
  worker.refuse(stream);
  return fail(Errc::protocol, "only a call may come on a call stream");
}

InstanceWorker* Session::worker_of(channel::StreamId stream) const {
  const std::lock_guard lock(mutex_);
  const std::size_t index = stream - ModelUpload::kFirstCallStream;
  return stream >= ModelUpload::kFirstCallStream && index < workers_.size() ? workers_[index]
                                                                            : nullptr;
}

void Session::on_message_end(channel::StreamId stream) {
  if (stream == channel::kControlStream) return;
  if (stream >= SessionEnds::kFirstEndStream) return ends_->end(stream);
  if (stream < ModelUpload::kFirstCallStream) return opener_->upload().end(stream);
  if (InstanceWorker* const worker = worker_of(stream)) worker->end(stream);
}

void Session::on_message_abandoned(channel::StreamId stream, const Error& why) {
  if (stream == channel::kControlStream) return;
  if (stream >= SessionEnds::kFirstEndStream) return ends_->abandon(stream);
  if (stream < ModelUpload::kFirstCallStream) return opener_->upload().abandon(stream, why);
  if (InstanceWorker* const worker = worker_of(stream)) worker->abandon(stream);
}

// Nothing that is sent to a UE needs credit.
void Session::on_credit(channel::StreamId, std::uint64_t) {}

void Session::on_reset(channel::StreamId stream, const Error& why) {
  if (stream >= SessionEnds::kFirstEndStream) return ends_->reset(stream, why);
  if (stream < ModelUpload::kFirstCallStream) return opener_->upload().abandon(stream, why);
  if (InstanceWorker* const worker = worker_of(stream)) worker->reset(stream);
}

void Session::on_sent(channel::StreamId stream, std::uint64_t token, const Result<void>&) {
  if (stream == channel::kControlStream && token < ModuleOpener::kTokens)
    return opener_->sent(token);
  if (stream == channel::kControlStream || stream >= SessionEnds::kFirstEndStream)
    return ends_->sent(stream, token);
  if (InstanceWorker* const worker = worker_of(stream)) worker->sent(stream, token);
  sweep_closed();
}

void Session::on_up(std::span<const std::byte>) {}

void Session::on_down(const Error& why, std::chrono::steady_clock::time_point) {
  ops::log(spdlog::level::info, fmt::format("session {}: {} is gone: {}", id_, peer_, why.message),
           log_fields(rights_.get()));
  stop();
  ends_->down();
  ended_.store(true, std::memory_order_release);
  on_ended_();
}

}  // namespace aloft::host
