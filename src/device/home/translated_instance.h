// A guest at work that was translated to C and linked into this program: memory of its own, one
// call at a time, as an instance of an edge's engine (src/runtime/instance.h), by the same ABI
// (docs/guest-abi.md).
//
// There is no engine, and so no one who could interrupt the guest's own code: a deadline and a stop
// end a call only where it calls the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "device/home/guest_runtime.h"
#include "runtime/guest_context.h"
#include "runtime/host_function.h"
#include <aloft/detail/translated/module.h>

namespace aloft::device {

using runtime::CallResult;

// The host's functions for a module's imports, in their order. Errors: refused (there is none of
// that name and type).
[[nodiscard]] Result<std::vector<const runtime::HostDefinition*>> resolve_imports(
    const aloft_translated_module& module);

// Thread rule: one thread at a time, and not always the same. After a Trap only destruction makes
// sense.
class TranslatedInstance final : public runtime::GuestContext {
 public:
  // Instantiates and runs `_initialize`. All that is given outlives it. Errors: resource_exhausted
  // (it wants more memory than its limit from the start).
  [[nodiscard]] static CallResult<std::unique_ptr<TranslatedInstance>> create(
      const aloft_translated_module& module,
      std::span<const runtime::HostDefinition* const> imports, const GuestLimits& limits,
      runtime::HostServices& host);
  ~TranslatedInstance() override;

  // Calls an export; its result, 0 where it has none. Errors: not_found; those of
  // guest_stack_end().
  [[nodiscard]] CallResult<std::uint32_t> invoke(std::string_view name,
                                                 std::initializer_list<std::uint32_t> arguments);
  // The address of a buffer of so many bytes. Errors: resource_exhausted.
  [[nodiscard]] CallResult<std::uint32_t> make_buffer(std::uint64_t size);

  [[nodiscard]] std::span<std::byte> linear_memory() override;
  // False after a Trap, and after an Error that ended a call in the guest's midst.
  [[nodiscard]] bool usable() const { return !dead_; }

  // For aloft_translated_call_import(): false where the guest's call ends here.
  [[nodiscard]] bool call_import(std::uint32_t import, const aloft_translated_value* arguments,
                                 std::uint32_t& answer) noexcept;

 private:
  TranslatedInstance(const aloft_translated_module& module,
                     std::span<const runtime::HostDefinition* const> imports,
                     const GuestLimits& limits, runtime::HostServices& host);
  // Runs `body` in the guest.
  [[nodiscard]] CallResult<void> enter(void (*body)(void*), void* argument);
  [[nodiscard]] runtime::Trap make_trap(const GuestExit& exit) const;

  const aloft_translated_module& module_;
  const std::span<const runtime::HostDefinition* const> imports_;
  const GuestLimits limits_;
  const std::unique_ptr<std::max_align_t[]> instance_;  // what the translated code keeps
  bool dead_ = false;
};

}  // namespace aloft::device
