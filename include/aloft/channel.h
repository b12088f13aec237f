// An elastic channel: messages go to an elastic function, or to a method of an elastic object,
// which runs here or at an edge and moves between them while messages are under way; results come
// back in the order of the messages.
//
//   auto channel = aloft::Channel<aloft::Image, Detections>::open(&detect_object,
//                                                                 {.kind = ChannelKind::latest});
//   channel->send(frame);
//   auto found = channel->receive(50ms);           // its sequence, age and place are with it
//   channel->move_to(aloft::Location::edge(1));    // from any thread, while others send
//
// Every message is run exactly once as far as anybody can tell, across moves, lost links and lost
// edges, and its result is told once; docs/contract.md says what that means for functions with
// effects and for the kinds that drop messages. A channel holds a bounded number of messages and
// bytes: send() says `overloaded` beyond.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <aloft/codec.h>
#include <aloft/detail/encoded_run.h>
#include <aloft/object.h>
#include <aloft/place.h>
#include <aloft/result.h>

namespace aloft {

enum class ChannelKind : std::uint8_t {
  reliable,  // every message is run
  latest,    // a message that has not left yet is dropped when a newer one is sent
  deadline,  // a message that has not left by its deadline is dropped
};

// Among all that shares a link. Strict: nothing goes while something more urgent waits.
enum class ChannelPriority : std::uint8_t { bulk = 0, normal = 1, urgent = 2 };

struct ChannelOptions {
  ChannelKind kind = ChannelKind::reliable;
  std::chrono::nanoseconds deadline{};  // ChannelKind::deadline: from send()
  ChannelPriority priority =
      ChannelPriority::normal;      // a channel to an object has that of its object
  std::size_t in_flight = 4;        // at the place, without a result; to an object: as its calls
  std::size_t max_messages = 1024;  // sent, and their results not received yet
  std::size_t max_bytes = std::size_t{32} << 20;  // of these, encoded
  Location start = Location::here();
};

struct ChannelStats {
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;
  std::uint64_t dropped = 0;      // stale: never left
  std::uint64_t repeated = 0;     // deliveries after a loss
  std::uint64_t duplicates = 0;   // answers that came twice, and were told once
  std::uint64_t interrupted = 0;  // with effects: unknown whether they were run
  std::uint64_t moves = 0;
  std::uint64_t recoveries = 0;
  std::size_t messages_held = 0;  // that may be needed again
  std::size_t bytes_held = 0;     // their bodies, and results that were not received yet
};

// One result. Errors of it: trapped, interrupted, cancelled (the channel or the runtime ended), and
// what else kept the function from running.
template <class Out>
struct Received {
  std::uint64_t sequence = 0;  // as send() answered it
  Result<Out> result;
  std::chrono::nanoseconds age{};  // since send()
  Location place = Location::here();
};

namespace detail {

// A channel without its types.
class ChannelCore {
 public:
  using Bytes = std::shared_ptr<const std::vector<std::byte>>;
  using Arrived = Received<Bytes>;

  virtual ~ChannelCore() = default;
  [[nodiscard]] virtual Result<std::uint64_t> send(Bytes arguments) = 0;
  [[nodiscard]] virtual Result<Arrived> receive(std::chrono::nanoseconds timeout) = 0;
  virtual void receive_with(std::function<void(Arrived)> receiver) = 0;
  virtual void move(Location to, std::function<void(Result<MoveReport>)> then) = 0;
  [[nodiscard]] virtual Result<MoveReport> move(Location to) = 0;
  [[nodiscard]] virtual Location location() const = 0;
  [[nodiscard]] virtual ChannelStats stats() const = 0;
  virtual void close() = 0;
};

// `object` is null for a function.
[[nodiscard]] Result<std::shared_ptr<ChannelCore>> open_channel(const Identity& function,
                                                                const CalledObject* object,
                                                                const ChannelOptions& options);

// What In is for a function of these parameters: its one parameter, or a tuple of all.
template <class... P>
struct MessageOf {
  using type = std::tuple<std::remove_cvref_t<P>...>;
};
template <class P>
struct MessageOf<P> {
  using type = std::remove_cvref_t<P>;
};
template <class T>
inline constexpr bool kIsTuple = false;
template <class... T>
inline constexpr bool kIsTuple<std::tuple<T...>> = true;

}  // namespace detail

// Thread rule: any thread. Move-only; what is moved from can be destroyed and assigned to.
template <class In, class Out>
class Channel {
 public:
  // To an elastic function; one with effects (ALOFT_OFFLOAD_ONCE) is never run twice. Needs a bound
  // runtime, with which the channel ends. Errors: refused (no runtime is bound), not_found (not an
  // elastic function), and what kept it from going to options.start.
  template <class... P>
    requires std::is_same_v<typename detail::MessageOf<P...>::type, In>
  [[nodiscard]] static Result<Channel> open(Out (*function)(P...),
                                            const ChannelOptions& options = {}) {
    return made(detail::open_channel(detail::identity_of(function), nullptr, options));
  }
  // To a method of an elastic object, which lives as long as the channel. Messages and calls are
  // run in the order in which they were sent and made.
  template <class T, class... P>
    requires std::is_same_v<typename detail::MessageOf<P...>::type, In>
  [[nodiscard]] static Result<Channel> open(T& object, Out (T::*method)(P...),
                                            const ChannelOptions& options = {}) {
    const detail::CalledObject called = detail::ObjectAccess::called(object);
    return made(detail::open_channel(detail::identity_of(method), &called, options));
  }
  template <class T, class... P>
    requires std::is_same_v<typename detail::MessageOf<P...>::type, In>
  [[nodiscard]] static Result<Channel> open(T& object, Out (T::*method)(P...) const,
                                            const ChannelOptions& options = {}) {
    const detail::CalledObject called = detail::ObjectAccess::called(object);
    return made(detail::open_channel(detail::identity_of(method), &called, options));
  }

  Channel(Channel&&) noexcept = default;
  Channel& operator=(Channel&& other) noexcept {
    if (this != &other) {
      if (core_ != nullptr) core_->close();
      core_ = std::move(other.core_);
    }
    return *this;
  }
  ~Channel() {
    if (core_ != nullptr) core_->close();
  }

  // Sends a message, and answers its sequence number, from 1, rising. `message` is copied. Errors:
  // overloaded, resource_exhausted (a message larger than max_bytes), deadline_exceeded, refused
  // (closed, or the runtime ended).
  Result<std::uint64_t> send(const In& message) {
    codec::Writer writer;
    if constexpr (is_tuple) {
      std::apply([&](const auto&... part) { codec::write_arguments(writer, part...); }, message);
    } else {
      codec::write_arguments(writer, message);
    }
    if (!writer.ok()) return fail(Errc::invalid_argument, "the message is too long to be encoded");
    auto bytes = std::make_shared<std::vector<std::byte>>();
    bytes->reserve(writer.size());
    for (const auto segment : writer.segments())
      bytes->insert(bytes->end(), segment.begin(), segment.end());
    return core_->send(std::move(bytes));
  }

  // The next result, in the order of the messages; those that were dropped have none. Errors:
  // deadline_exceeded (none within `timeout`), refused (closed).
  [[nodiscard]] Result<Received<Out>> receive(std::chrono::nanoseconds timeout) {
    auto arrived = core_->receive(timeout);
    if (!arrived) return std::unexpected(std::move(arrived.error()));
    return decoded(std::move(*arrived));
  }
  [[nodiscard]] std::optional<Received<Out>> try_receive() {
    auto received = receive(std::chrono::nanoseconds(0));
    if (!received) return std::nullopt;
    return std::move(*received);
  }
  // From now on results go to `receiver`, one at a time, on a thread of the runtime, which it must
  // not block.
  void receive_with(std::function<void(Received<Out>)> receiver) {
    core_->receive_with([receiver = std::move(receiver)](detail::ChannelCore::Arrived arrived) {
      receiver(decoded(std::move(arrived)));
    });
  }

  // Moves the function, or the object, and waits until it runs there; messages go on meanwhile.
  // Moves asked for at the same time are made one after the other. Errors: unreachable (that place
  // is down), invalid_argument (there is none such), and what kept the place from taking it; it is
  // then where it was.
  Result<MoveReport> move_to(Location to) { return core_->move(to); }
  // The same without waiting; `then` is called from any thread and must not block.
  void move_to(Location to, std::function<void(Result<MoveReport>)> then) {
    core_->move(to, std::move(then));
  }

  [[nodiscard]] Location location() const { return core_->location(); }
  [[nodiscard]] ChannelStats stats() const { return core_->stats(); }
  // Ends what is under way with `cancelled`, which receive() still tells.
  void close() { core_->close(); }

 private:
  static constexpr bool is_tuple = detail::kIsTuple<In>;

  explicit Channel(std::shared_ptr<detail::ChannelCore> core) : core_(std::move(core)) {}

  static Result<Channel> made(Result<std::shared_ptr<detail::ChannelCore>> core) {
    if (!core) return std::unexpected(std::move(core.error()));
    return Channel(std::move(*core));
  }
  static Received<Out> decoded(detail::ChannelCore::Arrived arrived) {
    Received<Out> received{.sequence = arrived.sequence,
                           .result = fail(Errc::internal, "no result"),
                           .age = arrived.age,
                           .place = arrived.place};
    if (arrived.result) {
      received.result = codec::decode<Out>(**arrived.result);
    } else {
      received.result = std::unexpected(std::move(arrived.result.error()));
    }
    return received;
  }

  std::shared_ptr<detail::ChannelCore> core_;
};

}  // namespace aloft
