// A module at work: memory of its own, limits of its own, one call at a time.
//
// The bytes of an argument buffer may be written by another thread while the instance runs a call
// on another buffer: its memory is reserved whole when the instance is made (pooling allocator), so
// growing it never moves what is there. The guest may read and write all of its memory at any time;
// the host therefore believes nothing it reads from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "runtime/guest_context.h"
#include "runtime/host_services.h"

namespace aloft::runtime {

class Module;

struct InstanceLimits {
  std::uint64_t memory_bytes = std::uint64_t{256}
                               << 20;  // linear memory; a guest's memory.grow beyond it fails
  std::uint32_t table_elements = 20'000;
};

// A buffer that the guest has set aside. `bytes` is valid as long as the instance lives and the
// buffer is not freed.
struct GuestBuffer {
  std::uint32_t address = 0;  // in linear memory
  std::span<std::byte> bytes;
};

// Thread rule: one thread at a time, except interrupt(). After a Trap only destruction makes sense:
// every call answers refused.
class Instance {
 public:
  // Instantiates and runs `_initialize` where the module has one. `module` and `services` outlive
  // the instance. Errors: resource_exhausted when the pool is full or the module wants more memory
  // than its limit from the start.
  [[nodiscard]] static CallResult<std::unique_ptr<Instance>> create(
      std::shared_ptr<const Module> module, const InstanceLimits& limits, HostServices& services,
      Deadline deadline);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // Guest ABI 1. Errors of make_buffer: resource_exhausted when the guest has no memory for it.
  [[nodiscard]] CallResult<GuestBuffer> make_buffer(std::uint32_t size, Deadline deadline);
  [[nodiscard]] CallResult<void> free_buffer(std::uint32_t address, Deadline deadline);
  // Calls an exported function of the manifest on encoded arguments at `address`. Errors: not_found
  // (no such export), protocol (the arguments do not decode, or the guest's result descriptor
  // points outside its memory).
  [[nodiscard]] CallResult<Reply> call(std::string_view export_name, std::uint32_t address,
                                       std::uint32_t size, Deadline deadline);
  [[nodiscard]] CallResult<void> release(std::uint32_t descriptor, Deadline deadline);

  // Makes the object of the class with this index in the manifest, in place of one that there is.
  // Errors: not_found (the guest has no such class).
  [[nodiscard]] CallResult<void> make_object(std::uint32_t index, Deadline deadline);
  // The object's state. Unlike another reply's, the segments may lie in the object itself: copy
  // them before anything of the instance is called, but for release(). Errors: refused (there is no
  // object), protocol as call().
  [[nodiscard]] CallResult<Reply> save_state(Deadline deadline);
  // Gives the object the state that lies at `address`, in a buffer of the guest. Errors: protocol
  // (it is no state of this class); the object is as it was then.
  [[nodiscard]] CallResult<void> load_state(std::uint32_t address, std::uint32_t size,
                                            Deadline deadline);

  // For guests of other makers: calls an export without parameters; its i32 result, 0 when it has
  // none.
  [[nodiscard]] CallResult<std::int32_t> run(std::string_view export_name, Deadline deadline);

  // False after a Trap, and after an Error that ended a call in the guest's midst.
  [[nodiscard]] bool usable() const;

  // All of linear memory as it is now.
  [[nodiscard]] std::span<std::byte> memory();

  // Ends a running call within milliseconds, also one that waits for an inference, which is
  // cancelled; without one, the next call. From any thread, while the instance lives.
  void interrupt();

  struct Impl;

 private:
  explicit Instance(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::runtime
