// A UE for tests of the edge: speaks the protocol as it is, falls back to nothing, and tells all
// that it hears.
//
//   RawUe ue(address);
//   ASSERT_TRUE(ue.wait_up(2s));
//   auto module = ue.open(ModuleFile("probe.wasm"), {});
//   const RawUe::Answer answer = ue.call(*module, "probe::join", arguments("a", "b"));
//
// Calls block up to a limit; what the edge does not answer by then is an Error of
// deadline_exceeded, so that no test hangs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "channel/tcp.h"
#include "function/protocol.h"
#include "runtime/manifest.h"
#include <aloft/codec.h>
#include <aloft/result.h>

namespace aloft::testing {

// A sealed module as the application that was built with it knows it.
struct ModuleFile {
  // Aborts the test program when there is no such module.
  explicit ModuleFile(const std::filesystem::path& path);

  [[nodiscard]] std::uint32_t index_of(std::string_view function) const;  // by qualified name

  std::string digest;  // "sha256:..."
  runtime::Manifest manifest;
};

// A model under a graph's name.
struct TestModel {
  std::string name;
  std::vector<std::byte> bytes;
  std::uint64_t said_size = 0;  // what OpenModule says, 0: the truth
};

// A literal as the string that it is.
template <class T>
decltype(auto) as_argument(const T& value) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    return std::string_view(value);
  } else {
    return (value);
  }
}

// Encoded as a call's arguments.
template <class... P>
[[nodiscard]] std::vector<std::byte> arguments(const P&... values) {
  codec::Writer writer;
  codec::write_arguments(writer, as_argument(values)...);
  std::vector<std::byte> bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

struct RawCallOptions {
  std::chrono::microseconds deadline{0};    // 0: the handler's own
  std::chrono::milliseconds limit{15'000};  // of the wait
  bool digest_tensors = false;
  // Pictures of which the body has the encoded form, and the bytes of the arguments without it.
  std::vector<function::Call::Picture> pictures{};
  std::uint64_t argument_bytes = 0;
  std::uint64_t room = 0;  // that the buffer is to have; 0: as much as the arguments need
};

// Thread rule: any thread; several may wait for calls at a time.
class RawUe final : private channel::Receiver {
 public:
  using Limit = std::chrono::milliseconds;

  struct Module {
    std::uint32_t id = 0;
    const ModuleFile* file = nullptr;
    std::vector<channel::StreamId> streams;
    std::string engine;
    std::string inference;
  };
  struct Answer {
    function::Return head;
    std::vector<std::byte> body;
    // Host's errors and guest's traps alike; nothing when the call succeeded.
    [[nodiscard]] std::optional<Errc> error() const;
    // The result; aborts the test program when there is none of this type.
    template <class R>
    [[nodiscard]] R get() const {
      return codec::decode<R>(body).value();
    }
  };
  explicit RawUe(const net::Address& address, channel::EndpointOptions link = {});
  ~RawUe() override;

  [[nodiscard]] bool wait_up(Limit limit);
  // What the edge showed in the last handshake.
  [[nodiscard]] std::vector<std::byte> edge_hello() const;
  // The next loss of the link after those already told.
  [[nodiscard]] std::optional<Error> wait_down(Limit limit);

  // Opens a module, with all models that the edge asks for. `change` may spoil the request first.
  [[nodiscard]] Result<Module> open(const ModuleFile& file, std::vector<TestModel> models,
                                    void (*change)(function::OpenModule&) = nullptr,
                                    Limit limit = Limit{15'000});
  // How often the edge asked for a model.
  [[nodiscard]] std::size_t models_wanted() const;

  // Starts a call on a free stream of the module, growing its buffer where it is too small, and
  // gives its number.
  [[nodiscard]] Result<std::uint64_t> start(const Module& module, std::string_view function,
                                            std::vector<std::byte> arguments,
                                            RawCallOptions options = {});
  [[nodiscard]] Answer wait(std::uint64_t call, Limit limit = Limit{15'000});
  [[nodiscard]] Answer call(const Module& module, std::string_view function,
                            std::vector<std::byte> arguments, RawCallOptions options = {});
  void cancel(std::uint64_t call);

  // Whatever a peer may send. The endpoint of this UE.
  [[nodiscard]] channel::Endpoint& endpoint() { return *endpoint_; }
  // What the guests said so far.
  [[nodiscard]] std::vector<function::GuestLog> log() const;

 private:
  struct Stream {
    std::optional<std::uint64_t> credit;  // capacity
    std::optional<std::uint64_t> call;    // that runs on it
    std::optional<Error> reset;
    function::Return head;
    std::vector<std::byte> body;
  };
  struct Upload {
    std::vector<std::byte> bytes;
    std::span<const std::byte> segment;
  };

  Result<std::span<std::byte>> on_message_begin(channel::StreamId stream,
                                                std::span<const std::byte> head,
                                                std::uint64_t body_size) override;
  void on_message_end(channel::StreamId stream) override;
  void on_message_abandoned(channel::StreamId stream, const Error& why) override;
  void on_credit(channel::StreamId stream, std::uint64_t capacity) override;
  void on_reset(channel::StreamId stream, const Error& why) override;
  void on_sent(channel::StreamId stream, std::uint64_t token, const Result<void>& outcome) override;
  void on_up(std::span<const std::byte> peer_hello) override;
  void on_down(const Error& why, std::chrono::steady_clock::time_point last_heard) override;

  [[nodiscard]] Result<channel::StreamId> take_stream(const Module& module, std::uint64_t size,
                                                      Limit limit);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool up_ = false;
  std::vector<std::byte> edge_hello_;
  std::vector<Error> downs_;
  std::size_t downs_told_ = 0;
  std::uint32_t last_module_ = 0;
  std::uint64_t last_call_ = 0;
  std::map<std::uint32_t, function::Message> opened_;  // answers to OpenModule by module id
  std::map<channel::StreamId, Stream> streams_;
  std::map<std::string, std::vector<std::byte>> models_;  // by SHA-256
  std::map<channel::StreamId, std::string> wanted_;       // stream -> SHA-256
  std::size_t wanted_count_ = 0;
  std::map<std::uint64_t, std::vector<std::byte>>
      arguments_;  // by call, until the endpoint has sent them
  std::map<std::uint64_t, Answer> answers_;
  std::vector<function::GuestLog> log_;

  channel::IoThread io_;
  std::unique_ptr<channel::Endpoint> endpoint_;  // last: its callbacks use all of the above
};

}  // namespace aloft::testing
