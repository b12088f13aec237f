// <aloft/aloft_channel.h>.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "device/c_api/handles.h"
#include "device/c_api/object_handle.h"
#include "device/c_api/runtime_handle.h"
#include <aloft/aloft_channel.h>
#include <aloft/channel.h>

using aloft::Errc;
using aloft::fail;
using aloft::Result;
using aloft::c_api::bytes_of;
using aloft::c_api::find_function;
using aloft::c_api::find_method;
using aloft::c_api::guarded;
using aloft::c_api::is_null;
using aloft::c_api::number_of;
using aloft::c_api::place_of;
using aloft::detail::ChannelCore;

struct aloft_received {
  ChannelCore::Arrived arrived;
};

namespace {

// Who is called for results, until the channel is freed; the channel's core may call for a little
// longer. Thread rule: any thread.
class Receiver {
 public:
  void set(aloft_receiver receiver, void* context) {
    const std::lock_guard lock(mutex_);
    receiver_ = receiver;
    context_ = context;
  }
  void call(ChannelCore::Arrived arrived) {
    const std::lock_guard lock(mutex_);
    if (receiver_ == nullptr) return;
    const aloft_received received{std::move(arrived)};
    receiver_(context_, &received);
  }

 private:
  std::mutex mutex_;
  aloft_receiver receiver_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace

struct aloft_channel {
  aloft_runtime& runtime;
  std::shared_ptr<ChannelCore> core;
  std::shared_ptr<Receiver> receiver = std::make_shared<Receiver>();

  aloft_channel(aloft_runtime& its_runtime, std::shared_ptr<ChannelCore> its_core)
      : runtime(its_runtime), core(std::move(its_core)) {}
  ~aloft_channel() {
    core->close();
    // Waits for one that is called right now.
    receiver->set(nullptr, nullptr);
  }
  aloft_channel(const aloft_channel&) = delete;
  aloft_channel& operator=(const aloft_channel&) = delete;
};

namespace {

Result<aloft::ChannelKind> kind_of(int32_t kind) {
  switch (kind) {
    case ALOFT_RELIABLE: return aloft::ChannelKind::reliable;
    case ALOFT_LATEST: return aloft::ChannelKind::latest;
    case ALOFT_DEADLINE: return aloft::ChannelKind::deadline;
    default:
      return fail(Errc::invalid_argument, "aloft_channel_options::kind is " + std::to_string(kind) +
                                              ": ALOFT_RELIABLE, ALOFT_LATEST or ALOFT_DEADLINE");
  }
}

Result<aloft::ChannelPriority> priority_of(int32_t priority) {
  switch (priority) {
    case ALOFT_BULK: return aloft::ChannelPriority::bulk;
    case ALOFT_NORMAL: return aloft::ChannelPriority::normal;
    case ALOFT_URGENT: return aloft::ChannelPriority::urgent;
    default:
      return fail(Errc::invalid_argument, "aloft_channel_options::priority is " +
                                              std::to_string(priority) +
                                              ": ALOFT_BULK, ALOFT_NORMAL or ALOFT_URGENT");
  }
}

Result<aloft::ChannelOptions> options_of(const aloft_channel_options* options,
                                         const aloft_runtime& runtime) {
  aloft::ChannelOptions made;
  if (options == nullptr) return made;
  if (options->struct_size < sizeof(aloft_channel_options)) {
    return fail(Errc::invalid_argument,
                "aloft_channel_options::struct_size is not set: use ALOFT_CHANNEL_OPTIONS_INIT");
  }
  const auto kind = kind_of(options->kind);
  if (!kind) return std::unexpected(kind.error());
  const auto priority = priority_of(options->priority);
  if (!priority) return std::unexpected(priority.error());
  const auto start = place_of(options->start, runtime);
  if (!start) return std::unexpected(start.error());
  made.kind = *kind;
  made.priority = *priority;
  made.deadline = std::chrono::nanoseconds(options->deadline_ns);
  made.in_flight = options->in_flight;
  made.max_messages = options->max_messages;
  made.max_bytes = options->max_bytes;
  made.start = *start;
  return made;
}

Result<void> open(aloft_runtime& runtime, const aloft::c_api::Target& target,
                  const aloft::detail::CalledObject* object, const aloft_channel_options* options,
                  aloft_channel** channel) {
  const auto wanted = options_of(options, runtime);
  if (!wanted) return std::unexpected(wanted.error());
  auto core = aloft::detail::open_channel(target.function->identity, object, *wanted);
  if (!core) return std::unexpected(std::move(core.error()));
  *channel = new aloft_channel(runtime, *std::move(core));
  return {};
}

}  // namespace

aloft_code aloft_channel_open(aloft_runtime* runtime, const char* function,
                              const aloft_channel_options* options, aloft_channel** channel,
                              aloft_error** error) {
  if (channel != nullptr) *channel = nullptr;
  return guarded(error, [&]() -> Result<void> {
    if (runtime == nullptr) return is_null("runtime");
    if (function == nullptr) return is_null("function");
    if (channel == nullptr) return is_null("channel");
    const auto target = find_function(*runtime, function, "aloft_channel_open_object");
    if (!target) return std::unexpected(target.error());
    return open(*runtime, **target, nullptr, options, channel);
  });
}

aloft_code aloft_channel_open_object(aloft_object* object, const char* method,
                                     const aloft_channel_options* options, aloft_channel** channel,
                                     aloft_error** error) {
  if (channel != nullptr) *channel = nullptr;
  return guarded(error, [&]() -> Result<void> {
    if (object == nullptr) return is_null("object");
    if (method == nullptr) return is_null("method");
    if (channel == nullptr) return is_null("channel");
    const auto target = find_method(*object->runtime, *object->called.object_class, method);
    if (!target) return std::unexpected(target.error());
    return open(*object->runtime, **target, &object->called, options, channel);
  });
}

void aloft_channel_close(aloft_channel* channel) {
  if (channel != nullptr) channel->core->close();
}
void aloft_channel_free(aloft_channel* channel) { delete channel; }

aloft_code aloft_channel_send(aloft_channel* channel, const uint8_t* arguments, size_t size,
                              uint64_t* sequence, aloft_error** error) {
  return guarded(error, [&]() -> Result<void> {
    if (channel == nullptr) return is_null("channel");
    const auto bytes = bytes_of(arguments, size);
    auto sent = channel->core->send(
        std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end()));
    if (!sent) return std::unexpected(std::move(sent.error()));
    if (sequence != nullptr) *sequence = *sent;
    return {};
  });
}

aloft_code aloft_channel_receive(aloft_channel* channel, int64_t timeout_ns,
                                 aloft_received** received, aloft_error** error) {
  if (received != nullptr) *received = nullptr;
  return guarded(error, [&]() -> Result<void> {
    if (channel == nullptr) return is_null("channel");
    if (received == nullptr) return is_null("received");
    auto made = std::make_unique<aloft_received>(
        aloft_received{.arrived = {.result = fail(Errc::internal, "no result")}});
    auto arrived = channel->core->receive(timeout_ns < 0 ? std::chrono::nanoseconds::max()
                                                         : std::chrono::nanoseconds(timeout_ns));
    if (!arrived) return std::unexpected(std::move(arrived.error()));
    made->arrived = *std::move(arrived);
    *received = made.release();
    return {};
  });
}

aloft_code aloft_channel_receive_with(aloft_channel* channel, aloft_receiver receiver,
                                      void* context, aloft_error** error) {
  return guarded(error, [&]() -> Result<void> {
    if (channel == nullptr) return is_null("channel");
    if (receiver == nullptr) return is_null("receiver");
    channel->receiver->set(receiver, context);
    channel->core->receive_with([called = channel->receiver](ChannelCore::Arrived arrived) {
      called->call(std::move(arrived));
    });
    return {};
  });
}

uint64_t aloft_received_sequence(const aloft_received* received) {
  return received == nullptr ? 0 : received->arrived.sequence;
}
aloft_code aloft_received_code(const aloft_received* received) {
  if (received == nullptr || received->arrived.result) return ALOFT_OK;
  return static_cast<aloft_code>(received->arrived.result.error().code);
}
const char* aloft_received_message(const aloft_received* received) {
  if (received == nullptr || received->arrived.result) return "";
  return received->arrived.result.error().message.c_str();
}
const uint8_t* aloft_received_data(const aloft_received* received) {
  if (received == nullptr || !received->arrived.result) return nullptr;
  return reinterpret_cast<const uint8_t*>((*received->arrived.result)->data());
}
size_t aloft_received_size(const aloft_received* received) {
  return received == nullptr || !received->arrived.result ? 0 : (*received->arrived.result)->size();
}
int64_t aloft_received_age_ns(const aloft_received* received) {
  return received == nullptr ? 0 : received->arrived.age.count();
}
int32_t aloft_received_place(const aloft_received* received) {
  return received == nullptr ? ALOFT_HERE : number_of(received->arrived.place);
}
void aloft_received_free(aloft_received* received) { delete received; }

aloft_code aloft_channel_move(aloft_channel* channel, int32_t place, aloft_error** error) {
  return guarded(error, [&]() -> Result<void> {
    if (channel == nullptr) return is_null("channel");
    const auto to = place_of(place, channel->runtime);
    if (!to) return std::unexpected(to.error());
    auto moved = channel->core->move(*to);
    if (!moved) return std::unexpected(std::move(moved.error()));
    return {};
  });
}

int32_t aloft_channel_place(const aloft_channel* channel) {
  return channel == nullptr ? ALOFT_HERE : number_of(channel->core->location());
}

void aloft_channel_statistics_of(const aloft_channel* channel,
                                 aloft_channel_statistics* statistics) {
  if (channel == nullptr || statistics == nullptr) return;
  const aloft::ChannelStats stats = channel->core->stats();
  const aloft_channel_statistics now{
      // A caller that was compiled against an older header has less room.
      .struct_size = std::min(statistics->struct_size, sizeof(aloft_channel_statistics)),
      .sent = stats.sent,
      .answered = stats.answered,
      .dropped = stats.dropped,
      .repeated = stats.repeated,
      .duplicates = stats.duplicates,
      .interrupted = stats.interrupted,
      .moves = stats.moves,
      .recoveries = stats.recoveries,
  };
  std::memcpy(statistics, &now, now.struct_size);
}
