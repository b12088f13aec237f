// Memory that two processes of a host have in common: where tensors cross from an Execution Handler
// to the inference process and back.
//
// The inference process makes it, whole and of a size that is sealed before anybody else has it: no
// one can make it shrink under a reader, which would end that one by SIGBUS, and what it takes is
// counted where the limits of its tenant are known. The other end believes neither the size that it
// was told nor the seals: it looks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/packet_socket.h"
#include <aloft/result.h>

namespace aloft::inference {

// A mapping, gone with the object. What lies there may be changed by the other process at any
// moment: whoever uses a value twice reads it once and keeps it. Thread rule: any thread.
class SharedMemory {
 public:
  // Errors: resource_exhausted, internal (the system has none left).
  [[nodiscard]] static Result<SharedMemory> make(std::uint64_t bytes);
  // What another process has made. Errors: protocol (not `bytes` bytes, or not sealed),
  // resource_exhausted.
  [[nodiscard]] static Result<SharedMemory> open(wire::Descriptor descriptor, std::uint64_t bytes);

  SharedMemory() = default;
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  // `size` bytes at `offset`; empty where they are not all inside.
  [[nodiscard]] std::span<std::byte> part(std::uint64_t offset, std::uint64_t size) const;
  [[nodiscard]] int descriptor() const { return descriptor_.get(); }

 private:
  [[nodiscard]] Result<void> map(std::uint64_t bytes);
  wire::Descriptor descriptor_;
  std::span<std::byte> bytes_;
};

}  // namespace aloft::inference
