// What an Execution Handler (the client) and the inference process (the server) say to each other:
// packets of a socket pair, each one MessagePack array that begins with the number of its kind.
//
//   client                                   server
//                <---- Hello                   version, what the engine is
//     MakeMemory ---->                         so many bytes for a model or for tensors
//                <---- Memory + descriptor     sealed (shared_memory.h)
//     Load       ---->                         the model that lies in that memory
//                <---- Loaded                  its inputs and outputs
//     Compute    ---->                         the inputs lie there, the outputs have room there
//                <---- Computed                the outputs are there
//                <---- NoRoom                  ...or they need more: nothing was computed for good
//                <---- Failed                  for any of the three: why
//     Cancel     ---->                         no answer comes any more, or one that is too late
//     DropGraph, DropMemory ---->
//
// A `call` is a number that the client chooses, and the answer repeats. One Compute is under way in
// one memory at a time. Neither side believes the other: the server drops a client that breaks
// these rules, and the client a server.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include <aloft/codec.h>
#include <aloft/result.h>

namespace aloft::inference::remote {

inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::size_t kMaxPacket = 64 * 1024;
inline constexpr std::size_t kMaxTensors = 256;  // of a model's inputs, and of its outputs
inline constexpr std::size_t kMaxRank = 16;

struct Hello {
  std::uint32_t version = kVersion;
  std::string engine;
};
struct MakeMemory {
  std::uint32_t call = 0;
  std::uint64_t bytes = 0;
};
struct Memory {
  std::uint32_t call = 0, memory = 0;
};
struct Load {
  std::uint32_t call = 0, memory = 0;
  std::uint64_t bytes = 0;  // from the beginning of it
};
struct Tensor {
  std::string name;  // Loaded alone says it
  std::uint8_t type = 0;
  std::vector<std::uint32_t> dims;
  std::uint64_t offset = 0, size = 0;  // in the memory; none in Loaded
};
struct Loaded {
  std::uint32_t call = 0, graph = 0;
  std::vector<Tensor> inputs, outputs;
};
struct Compute {
  std::uint32_t call = 0, graph = 0, memory = 0;
  std::vector<Tensor> inputs;
  std::uint64_t room = 0;  // bytes for outputs, from `room_at`
  std::uint64_t room_at = 0;
};
struct Computed {
  std::uint32_t call = 0;
  std::vector<Tensor> outputs;
};
struct NoRoom {
  std::uint32_t call = 0;
  std::uint64_t bytes = 0;  // that the outputs need
};
struct Failed {
  [[nodiscard]] static Failed of(std::uint32_t call, const Error& why) {
    return {call, static_cast<std::uint32_t>(why.code), why.message};
  }
  std::uint32_t call = 0;
  std::uint32_t code = 0;  // Errc
  std::string why;
};
struct Cancel {
  std::uint32_t call = 0;
};
struct DropGraph {
  std::uint32_t graph = 0;
};
struct DropMemory {
  std::uint32_t memory = 0;
};

// The place in the list is the number of the kind.
using Message = std::variant<Hello, MakeMemory, Memory, Load, Loaded, Compute, Computed, NoRoom,
                             Failed, Cancel, DropGraph, DropMemory>;

[[nodiscard]] std::vector<std::byte> encode(const Message& message);
// Errors: protocol.
[[nodiscard]] Result<Message> decode(std::span<const std::byte> packet);

// Where the parts of tensors begin: what vector instructions read fastest.
inline constexpr std::uint64_t kAlign = 64;
[[nodiscard]] constexpr std::uint64_t aligned(std::uint64_t offset) {
  return (offset + kAlign - 1) / kAlign * kAlign;
}

}  // namespace aloft::inference::remote
