// How arguments and results of elastic functions become bytes and come back: MessagePack, for a
// closed list of types.
//
// The arguments of a call are one MessagePack array, its result is one value, so that a guest in
// any language can read them (docs/guest-abi.md). Three rules make this fit for frames and tensors
// rather than for documents:
//
//   - Bulk is never copied when it is written: a Writer gathers small pieces in a buffer of its own
//   and points at the
//     caller's memory for the rest; segments() is what a gathering socket write, or a guest's
//     result descriptor, takes.
//   - Sequences of numbers are `bin` with little-endian elements, not arrays of numbers.
//   - Views (string_view, span<const T>, Image) are read in place, as views of the bytes that
//   arrived.
//
// The types: bool, char, integers, float, double, enumerations, std::byte, string, string_view,
// vector, span<const T>, array, optional, pair, tuple, map, unordered_map, aloft::Image, and
// aggregates of these, whose members `Fields<T>` lists (aloft-cc generates it). Anything else does
// not compile.
//
// `long` and `unsigned long` (so also size_t) are 64 bits wide in the bytes, since they are so
// natively and are not in a guest; every integer is checked against the range of the type that it
// is read into. Types do not nest without end (aloft-cc refuses recursive ones), so that no input
// decides how deep reading goes.
//
// Shared by native code and guests: no exceptions, no RTTI, no I/O, no threads. Nothing here is
// tied to a thread.
#pragma once

#include <cstddef>
#include <span>
#include <tuple>
#include <utility>

#include <aloft/codec/containers.h>
#include <aloft/codec/reader.h>
#include <aloft/codec/values.h>
#include <aloft/codec/writer.h>
#include <aloft/result.h>

namespace aloft::codec {

// Appends `value`. What it points at stays untouched until `writer` is cleared or gone and its
// segments are sent.
template <class T>
void write(Writer& writer, const T& value) {
  Codec<T>::write(writer, value);
}

// Reads one value into `value`. False when the bytes are not a T: reader.error() says why, `value`
// is then unspecified.
template <class T>
[[nodiscard]] bool read(Reader& reader, T& value) {
  return Codec<T>::read(reader, value);
}

// Appends the arguments of one call.
template <class... P>
void write_arguments(Writer& writer, const P&... arguments) {
  writer.array(sizeof...(P));
  (write(writer, arguments), ...);
}

// Reads the arguments of one call, all bytes of it. False as read() is. Views among them live as
// long as `reader` and the bytes under it do.
template <class... P>
[[nodiscard]] bool read_arguments(Reader& reader, std::tuple<P...>& arguments) {
  return reader.array_of(sizeof...(P)) &&
         std::apply([&](P&... argument) { return (read(reader, argument) && ...); }, arguments) &&
         reader.finish();
}

// One result, all of `bytes`, owning everything it holds. Errors: protocol, naming the byte and
// what was wrong with it.
template <class T>
[[nodiscard]] Result<T> decode(std::span<const std::byte> bytes) {
  Reader reader(bytes, Views::own);
  T value{};
  if (!read(reader, value) || !reader.finish()) return std::unexpected(reader.error());
  return value;
}

}  // namespace aloft::codec
