// The version in this process of a module that was made in another language: its guest, translated
// to C and linked in. What aloft-cc writes as the bodies of such a module's functions calls this.
//
// It is the edges' module, and runs by the guest ABI: arguments are encoded into an instance's
// memory, and a method's object is given to the instance as a state and taken back as one. An
// instance serves one call at a time and is kept for the next; one that trapped is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <aloft/codec.h>
#include <aloft/detail/binding.h>
#include <aloft/detail/elastic_call.h>
#include <aloft/detail/encoded_run.h>
#include <aloft/detail/object_call.h>
#include <aloft/result.h>

struct aloft_translated_module;  // aloft/detail/translated/module.h

namespace aloft::detail {

// Thread rule: any thread; a call runs on the thread that makes it, and a call that does not end
// cannot be interrupted, as that of a native function cannot.
class TranslatedGuest {
 public:
  // `module` is static storage, and prepared once.
  explicit TranslatedGuest(const aloft_translated_module& module);
  ~TranslatedGuest();
  TranslatedGuest(const TranslatedGuest&) = delete;
  TranslatedGuest& operator=(const TranslatedGuest&) = delete;

  // The encoded result of a function. Errors: trapped (the guest ended the call), cancelled (the
  // call was given up while the guest was in a host function), resource_exhausted (memory, or too
  // little of the thread's stack is left), protocol (the guest does not decode what it is for),
  // refused (it imports what this device does not offer, or this is not the thread's own stack).
  [[nodiscard]] Result<std::vector<std::byte>> call(
      const FunctionDescriptor& function, std::span<const std::span<const std::byte>> arguments);

  // The same of a method: with `object` as the state before, and its state afterwards in it, unless
  // the method is const. When it fails, the object is as it was.
  enum class After : std::uint8_t { state_is_taken, state_stays };
  [[nodiscard]] Result<std::vector<std::byte>> call_method(
      const FunctionDescriptor& function, NativeObject& object,
      std::span<const std::span<const std::byte>> arguments, After after);

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

// The arguments encoded, then `run` on them; the result decoded. Throws CallFailed.
template <class R, class Run, class... P>
R run_translated(const Run& run, const P&... arguments) {
  codec::Writer writer;
  codec::write_arguments(writer, arguments...);
  if (!writer.ok())
    throw CallFailed({Errc::resource_exhausted, "the arguments are too long to be encoded"});
  const Result<std::vector<std::byte>> reply = run(writer.segments());
  if (!reply) throw CallFailed(reply.error());
  auto result = codec::decode<ResultValue<R>>(*reply);
  if (!result) throw CallFailed(result.error());
  if constexpr (!std::is_void_v<R>) return *std::move(result);
}

template <class R, class... P>
R call_translated(TranslatedGuest& guest, const FunctionDescriptor& function,
                  const P&... arguments) {
  return run_translated<R>([&](auto encoded) { return guest.call(function, encoded); },
                           arguments...);
}

// `Object` is the class, or const of it where the method is const.
template <class R, class Object, class... P>
R call_translated_method(TranslatedGuest& guest, const FunctionDescriptor& function, Object& object,
                         const P&... arguments) {
  using Class = std::remove_const_t<Object>;
  NativeObjectOf<Class> native(const_cast<Class&>(object));
  constexpr auto kAfter = std::is_const_v<Object> ? TranslatedGuest::After::state_stays
                                                  : TranslatedGuest::After::state_is_taken;
  return run_translated<R>(
      [&](auto encoded) { return guest.call_method(function, native, encoded, kAfter); },
      arguments...);
}

}  // namespace aloft::detail
