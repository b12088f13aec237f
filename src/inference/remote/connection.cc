#include "inference/remote/connection.h"

#include <utility>
#include <vector>

#include <sys/socket.h>

namespace aloft::inference::remote {
namespace {

const Error kGone{Errc::unreachable, "the inference process is gone"};

// The number of the call that a message answers; none where it answers none.
std::optional<std::uint32_t> answered(const Message& message) {
  return std::visit(
      [](const auto& one) -> std::optional<std::uint32_t> {
        using T = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<T, Memory> || std::is_same_v<T, Loaded> ||
                      std::is_same_v<T, Computed> || std::is_same_v<T, NoRoom> ||
                      std::is_same_v<T, Failed>) {
          return one.call;
        } else {
          return std::nullopt;
        }
      },
      message);
}

// Waits on its thread.
class Asker final : public Caller {
 public:
  void on_answer(std::uint32_t, Message& answer, wire::Descriptor descriptor) override {
    const std::lock_guard lock(mutex_);
    answer_.emplace(Connection::Answer{std::move(answer), std::move(descriptor)});
    changed_.notify_all();
  }
  void on_lost(std::uint32_t) override {
    const std::lock_guard lock(mutex_);
    lost_ = true;
    changed_.notify_all();
  }
  Result<Connection::Answer> wait(std::chrono::steady_clock::time_point until) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, until, [this] { return lost_ || answer_; });
    if (answer_) return *std::move(answer_);
    if (lost_) return std::unexpected(kGone);
    return fail(Errc::deadline_exceeded, "the inference process does not answer");
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Connection::Answer> answer_;
  bool lost_ = false;
};

}  // namespace

Error error_of(const Failed& failed) {
  const bool known = failed.code > 0 && failed.code <= static_cast<std::uint32_t>(kLastErrc);
  return {known ? static_cast<Errc>(failed.code) : Errc::internal, failed.why};
}

Connection::Connection(wire::Descriptor socket, std::function<void()> ended)
    : socket_(std::move(socket)), on_ended_(std::move(ended)), thread_([this] { read(); }) {}

void Connection::end() { ::shutdown(socket_.get(), SHUT_RDWR); }

void Connection::finish() {
  end();
  thread_.join();
}

bool Connection::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

Result<Hello> Connection::hello(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [this] { return ended_ || hello_; });
  if (!hello_) {
    if (ended_) return std::unexpected(kGone);
    return fail(Errc::deadline_exceeded, "the inference process does not answer");
  }
  if (hello_->version != kVersion) {
    return fail(Errc::version_mismatch, "the inference process is of another version of aloft (" +
                                            std::to_string(hello_->version) + ", here " +
                                            std::to_string(kVersion) + ")");
  }
  return *hello_;
}

std::uint32_t Connection::next_call() {
  const std::lock_guard lock(mutex_);
  do {
    ++last_call_;
  } while (callers_.contains(last_call_));
  return last_call_;
}

Result<void> Connection::call(std::uint32_t call, const Message& message,
                              std::shared_ptr<Caller> caller) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return std::unexpected(kGone);
    callers_.insert_or_assign(call, std::move(caller));
  }
  if (auto sent = wire::send_packet(socket_.get(), encode(message)); !sent) {
    end();  // one that does not read is of no use
    const std::lock_guard lock(mutex_);
    ended_ = true;
    // Whoever was told already that the connection is lost is not told again.
    if (callers_.erase(call) != 0) return std::unexpected(kGone);
  }
  return {};
}

void Connection::tell(const Message& message) {
  if (!wire::send_packet(socket_.get(), encode(message))) end();
}

bool Connection::forget(std::uint32_t call) {
  const std::lock_guard lock(mutex_);
  return callers_.erase(call) != 0;
}

Result<Connection::Answer> Connection::ask(std::uint32_t call, const Message& message,
                                           std::chrono::steady_clock::time_point until) {
  const auto asker = std::make_shared<Asker>();
  if (auto sent = this->call(call, message, asker); !sent) return std::unexpected(sent.error());
  auto answer = asker->wait(until);
  if (!answer) {
    forget(call);
    return answer;
  }
  if (const auto* const failed = std::get_if<Failed>(&answer->message))
    return std::unexpected(error_of(*failed));
  return answer;
}

// --- its thread ------------------------------------------------------------------------

void Connection::read() {
  std::vector<std::byte> buffer(kMaxPacket);
  while (true) {
    auto packet = wire::receive_packet(socket_.get(), buffer, wire::Wait::yes);
    if (!packet || !*packet) break;
    auto message = decode(std::span(buffer).first((*packet)->size));
    if (!message) break;
    take(*std::move(message), std::move((*packet)->descriptor));
  }
  ::shutdown(socket_.get(), SHUT_RDWR);
  std::map<std::uint32_t, std::shared_ptr<Caller>> callers;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    callers.swap(callers_);
    changed_.notify_all();
  }
  for (const auto& [call, caller] : callers) caller->on_lost(call);
  on_ended_();
}

void Connection::take(Message message, wire::Descriptor descriptor) {
  if (auto* const hello = std::get_if<Hello>(&message)) {
    const std::lock_guard lock(mutex_);
    hello_ = std::move(*hello);
    changed_.notify_all();
    return;
  }
  const auto call = answered(message);
  if (!call) return end();
  std::shared_ptr<Caller> caller;
  {
    const std::lock_guard lock(mutex_);
    const auto found = callers_.find(*call);
    if (found != callers_.end()) {
      caller = std::move(found->second);
      callers_.erase(found);
    }
  }
  if (caller) return caller->on_answer(*call, message, std::move(descriptor));
  // It was given up meanwhile: what was made for it is given back.
  if (const auto* const memory = std::get_if<Memory>(&message)) tell(DropMemory{memory->memory});
  if (const auto* const loaded = std::get_if<Loaded>(&message)) tell(DropGraph{loaded->graph});
}

}  // namespace aloft::inference::remote
