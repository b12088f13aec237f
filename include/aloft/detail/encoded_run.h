// Runs a native function or method on encoded arguments, and gives each its identity: what the
// generated code puts into a FunctionDescriptor beside names.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <aloft/codec.h>
#include <aloft/detail/binding.h>
#include <aloft/detail/elastic_call.h>
#include <aloft/result.h>

namespace aloft::detail {

// While it lives, elastic calls that this thread makes stay in place.
class InPlace {
 public:
  InPlace() : outer_(std::exchange(in_place, true)) {}
  ~InPlace() { in_place = outer_; }
  InPlace(const InPlace&) = delete;
  InPlace& operator=(const InPlace&) = delete;

 private:
  bool outer_;
};

// The result as a value: a function without one has std::monostate, which is nil in the bytes.
template <class R>
using ResultValue = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <class Call>
[[nodiscard]] auto call_for_value(const Call& call) {
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    return std::monostate();
  } else {
    return call();
  }
}

// `call` takes the arguments as P... say.
template <class... P, class Call>
[[nodiscard]] Result<std::vector<std::byte>> run_encoded_call(std::span<const std::byte> arguments,
                                                              const Call& call) try {
  // In this order: the result may view the arguments, and they the bytes that were read.
  codec::Reader reader(arguments);
  std::tuple<std::remove_cvref_t<P>...> values;
  if (!codec::read_arguments(reader, values)) return std::unexpected(reader.error());
  const auto result = [&] {
    const InPlace scope;
    return call_for_value([&] {
      return std::apply([&](auto&... value) { return call(static_cast<P&&>(value)...); }, values);
    });
  }();
  codec::Writer writer;
  codec::write(writer, result);
  if (!writer.ok()) return fail(Errc::resource_exhausted, "the result is too long to be encoded");
  std::vector<std::byte> bytes;
  bytes.reserve(writer.size());
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
} catch (const CallFailed& failed) {
  return std::unexpected(failed.error());
} catch (const std::exception& other) {
  return fail(Errc::internal, std::string("the function threw: ") + other.what());
} catch (...) {
  return fail(Errc::internal, "the function threw something that is no std::exception");
}

template <class R, class... P>
[[nodiscard]] Result<std::vector<std::byte>> run_encoded(R (*here)(P...),
                                                         std::span<const std::byte> arguments) {
  return run_encoded_call<P...>(arguments,
                                [&](P... argument) { return here(std::forward<P>(argument)...); });
}

// `Method` is a pointer to member of T, or of const T.
template <class... P, class T, class Method>
[[nodiscard]] Result<std::vector<std::byte>> run_encoded_method(
    T& object, Method method, std::span<const std::byte> arguments) {
  return run_encoded_call<P...>(
      arguments, [&](P... argument) { return (object.*method)(std::forward<P>(argument)...); });
}

template <class R>
[[nodiscard]] Result<double> loss_between(const Loss& loss, std::span<const std::byte> with_codec,
                                          std::span<const std::byte> raw) {
  if (!loss.is_of<R>())
    return fail(Errc::invalid_argument, "the loss is of another type than the function's result");
  const auto first = codec::decode<R>(with_codec);
  if (!first) return std::unexpected(first.error());
  const auto second = codec::decode<R>(raw);
  if (!second) return std::unexpected(second.error());
  return loss(*first, *second);
}

template <class R, class... P>
[[nodiscard]] Identity identity_of(R (*function)(P...)) {
  return {reinterpret_cast<std::uintptr_t>(function), 0};
}
template <class Method>
  requires std::is_member_function_pointer_v<Method>
[[nodiscard]] Identity identity_of(Method method) {
  static_assert(sizeof(method) == sizeof(Identity), "a pointer to member is two words");
  return std::bit_cast<Identity>(method);
}

}  // namespace aloft::detail
