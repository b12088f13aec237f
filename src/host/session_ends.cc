#include "host/session_ends.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <spdlog/spdlog.h>

namespace aloft::host {

SessionEnds::SessionEnds(std::uint64_t session, EndTable& table, channel::Endpoint& endpoint)
    : session_(session), table_(table), endpoint_(endpoint) {}

void SessionEnds::attach(function::EndHead head, const OpenedModule* module,
                         const std::shared_ptr<InferenceTurns>& turns) {
  forget_idle();
  const EndKey key{head.end, head.message.epoch};
  const auto refuse = [&](const Error& why) {
    spdlog::warn("session {} end {} is refused: {}: {}", session_, to_string(key),
                 to_string(why.code), why.message);
    answer(key, {.epoch = key.epoch, .content = channel::Lost{why}});
  };
  if (std::get<channel::Attach>(head.message.content).resume) {
    const auto runner = table_.resume(key, session_);
    const auto binding = runner ? make_binding(key, head, runner) : nullptr;
    if (binding && runner->bind(binding, head.message)) {
      spdlog::info("session {} end {} is resumed", session_, to_string(key));
    } else {
      if (binding) binding->release();
      answer(key, channel::MovableEnd::unknown(key.epoch));
    }
    return;
  }
  if (module == nullptr) {
    return refuse({Errc::not_found, "no module " + std::to_string(head.terms.module_id) +
                                        " is open in this session"});
  }
  const WorkerContext& of = module->context;
  std::shared_ptr<const void> memory;
  if (of.end_memory != nullptr) {
    memory = of.end_memory->take(of.instance_limits.memory_bytes);
    if (!memory) {
      return refuse({Errc::resource_exhausted,
                     "the session's memory at this edge has no room for another end of " +
                         std::to_string(of.instance_limits.memory_bytes >> 20U) + " MiB"});
    }
  }
  auto& object_class = head.terms.object_class;
  if (object_class && *object_class < module->classes.size())
    object_class = module->classes[*object_class];
  auto added = table_.add(key,
                          {.session = session_,
                           .log_fields = of.log_fields,
                           .turns = turns,
                           .module = of.module,
                           .exports = of.exports,
                           .models = of.models,
                           .instance_limits = of.instance_limits,
                           .call_limit = of.call_limit,
                           .end_grace = of.end_grace,
                           .max_body = table_.limits().body,
                           .counters = of.counters,
                           .recording = of.recording,
                           .memory = std::move(memory)},
                          head.terms);
  if (!added) return refuse(added.error());
  auto binding = make_binding(key, head, *added);
  (void)(*added)->bind(std::move(binding), std::move(head.message));
  (*added)->start();
  spdlog::info("session {} end {} is attached to module {}", session_, to_string(key),
               head.terms.module_id);
}

std::shared_ptr<EndBinding> SessionEnds::make_binding(const EndKey& key,
                                                      const function::EndHead& attach,
                                                      std::shared_ptr<EndRunner> runner) {
  const EndLimits& limits = table_.limits();
  const function::EndStreams streams{.stream = next_stream_, .state_stream = next_stream_ + 1};
  next_stream_ += 2;
  auto binding = std::make_shared<EndBinding>(
      endpoint_,
      EndBinding::Terms{.key = key,
                        .streams = streams,
                        .deliveries = std::clamp(attach.terms.in_flight, 1U, limits.in_flight),
                        .delivery_size = limits.body,
                        .state_size = limits.body,
                        .priority = std::min(attach.terms.priority, channel::kUrgent),
                        .resumed = std::get<channel::Attach>(attach.message.content).resume},
      table_.held(), std::move(runner));
  bindings_.emplace(streams.stream, binding);
  by_key_.insert_or_assign(key, binding);
  return binding;
}

void SessionEnds::answer(const EndKey& key, channel::EndMessage message) {
  const auto head =
      function::encode({.end = key.end, .message = std::move(message), .terms = {}, .streams = {}});
  // On a link that is down there is nobody to hear it.
  (void)endpoint_.send({.stream = channel::kControlStream, .head = head, .body = {}});
}

void SessionEnds::control(function::EndHead head) {
  const auto found = by_key_.find({head.end, head.message.epoch});
  if (found == by_key_.end()) return;
  const std::shared_ptr<EndBinding> binding = found->second;
  binding->control(std::move(head.message));
}

EndBinding* SessionEnds::find(channel::StreamId stream) const {
  auto after = bindings_.upper_bound(stream);
  if (after == bindings_.begin()) return nullptr;
  const auto& [first, binding] = *--after;
  return stream <= first + 1 ? binding.get() : nullptr;
}

Result<std::span<std::byte>> SessionEnds::begin(channel::StreamId stream,
                                                std::span<const std::byte> head,
                                                std::uint64_t body_size) {
  EndBinding* const binding = find(stream);
  if (binding == nullptr)
    return fail(Errc::cancelled, "no end has the stream " + std::to_string(stream));
  return binding->begin(stream, head, body_size);
}

void SessionEnds::end(channel::StreamId stream) {
  if (EndBinding* const binding = find(stream)) binding->end(stream);
}

void SessionEnds::abandon(channel::StreamId stream) {
  if (EndBinding* const binding = find(stream)) binding->abandon(stream);
}

void SessionEnds::reset(channel::StreamId stream, const Error& why) {
  if (EndBinding* const binding = find(stream)) binding->reset(why);
}

void SessionEnds::sent(channel::StreamId stream, std::uint64_t token) {
  if (stream == channel::kControlStream) stream = EndBinding::sender_of(token);
  if (EndBinding* const binding = find(stream)) binding->sent(token);
}

void SessionEnds::down() {
  for (const auto& [key, binding] : by_key_) {
    if (binding->down()) table_.park(key);
  }
  by_key_.clear();
  bindings_.clear();
}

void SessionEnds::forget_idle() {
  std::erase_if(by_key_, [](const auto& one) { return one.second->idle(); });
  std::erase_if(bindings_, [](const auto& one) { return one.second->idle(); });
}

}  // namespace aloft::host
