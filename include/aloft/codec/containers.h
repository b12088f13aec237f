// The codec of what holds other values: sequences, optional, pair, tuple, maps. See codec.h.
//
// A sequence of numbers (of bytes, too) is `bin` with little-endian elements: written and viewed in
// place where the elements have the same width on both sides. Any other sequence is an array. (A
// little long because each container is a pair of write and read that belong side by side.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <aloft/codec/values.h>

namespace aloft::codec {

namespace detail {

// What a packed element is in the bytes: itself, but for the integers that a guest has narrower.
template <class T>
using Packed =
    std::conditional_t<std::is_same_v<T, long>, std::int64_t,
                       std::conditional_t<std::is_same_v<T, unsigned long>, std::uint64_t, T>>;

template <class T>
concept Packable = Integer<T> || std::is_same_v<T, char> || std::is_same_v<T, std::byte> ||
                   std::is_same_v<T, float> || std::is_same_v<T, double>;

template <class T>
concept PackableAsIs = Packable<T> && sizeof(T) == sizeof(Packed<T>);

template <class T>
void write_elements(Writer& writer, std::span<const T> elements) {
  if constexpr (PackableAsIs<T>) {
    writer.binary(std::as_bytes(elements));
  } else if constexpr (Packable<T>) {
    writer.binary_head(elements.size() * sizeof(Packed<T>));
    for (const T element : elements) {
      const Packed<T> packed = element;
      writer.own_bytes(std::as_bytes(std::span(&packed, 1)));
    }
  } else {
    writer.array(elements.size());
    for (const T& element : elements) Codec<T>::write(writer, element);
  }
}

// Fills `out` from packed bytes that were checked to have its size.
template <class T>
bool unpack(Reader& reader, std::span<const std::byte> data, T* out) {
  if constexpr (PackableAsIs<T>) {
    if (!data.empty()) std::memcpy(out, data.data(), data.size());
  } else {
    for (std::size_t i = 0; i < data.size() / sizeof(Packed<T>); ++i) {
      Packed<T> packed;
      std::memcpy(&packed, data.data() + i * sizeof(packed), sizeof(packed));
      if (!std::in_range<T>(packed))
        return reader.fail(reader.at(), "an element that is outside its type's range");
      out[i] = static_cast<T>(packed);
    }
  }
  return true;
}

// The bytes of packed elements of type T.
template <class T>
bool read_packed(Reader& reader, std::span<const std::byte>& data) {
  const std::size_t start = reader.at();
  if (!reader.binary(data)) return false;
  return data.size() % sizeof(Packed<T>) == 0 ||
         reader.fail(start, "bytes that are no whole number of elements");
}

}  // namespace detail

template <class T>
struct Codec<std::vector<T>> {
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, const std::vector<T>& value) {
    detail::write_elements(writer, std::span<const T>(value));
  }
  static bool read(Reader& reader, std::vector<T>& value) {
    if constexpr (detail::Packable<T>) {
      std::span<const std::byte> data;
      if (!detail::read_packed<T>(reader, data)) return false;
      value.resize(data.size() / sizeof(detail::Packed<T>));
      return detail::unpack(reader, data, value.data());
    } else {
      std::size_t count = 0;
      if (!reader.array(Codec<T>::min_bytes, count)) return false;
      value = std::vector<T>(count);
      for (T& element : value) {
        if (!Codec<T>::read(reader, element)) return false;
      }
      return true;
    }
  }
};

template <>
struct Codec<std::vector<bool>> {
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, const std::vector<bool>& value) {
    writer.array(value.size());
    for (const bool element : value) writer.boolean(element);
  }
  static bool read(Reader& reader, std::vector<bool>& value) {
    std::size_t count = 0;
    if (!reader.array(1, count)) return false;
    value.assign(count, false);
    for (std::size_t i = 0; i < count; ++i) {
      bool element = false;
      if (!reader.boolean(element)) return false;
      value[i] = element;
    }
    return true;
  }
};

// A view of the bytes where they lie if they are aligned for T, of a copy that the reader keeps if
// not.
template <class T>
struct Codec<std::span<const T>> {
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, std::span<const T> value) {
    detail::write_elements(writer, value);
  }
  static bool read(Reader& reader, std::span<const T>& value) {
    if constexpr (detail::Packable<T>) {
      std::span<const std::byte> data;
      if (!detail::read_packed<T>(reader, data)) return false;
      const std::size_t count = data.size() / sizeof(detail::Packed<T>);
      if constexpr (detail::PackableAsIs<T>) {
        if (reinterpret_cast<std::uintptr_t>(data.data()) % alignof(T) == 0) {
          value = std::span(reinterpret_cast<const T*>(data.data()), count);
          return true;
        }
      }
      T* elements = reader.keep<T>(count);
      value = std::span<const T>(elements, count);
      return detail::unpack(reader, data, elements);
    } else {
      std::size_t count = 0;
      if (!reader.array(Codec<T>::min_bytes, count)) return false;
      T* elements = reader.keep<T>(count);
      value = std::span<const T>(elements, count);
      for (std::size_t i = 0; i < count; ++i) {
        if (!Codec<T>::read(reader, elements[i])) return false;
      }
      return true;
    }
  }
};

template <class T, std::size_t N>
struct Codec<std::array<T, N>> {
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, const std::array<T, N>& value) {
    detail::write_elements(writer, std::span<const T>(value));
  }
  static bool read(Reader& reader, std::array<T, N>& value) {
    if constexpr (detail::Packable<T>) {
      const std::size_t start = reader.at();
      std::span<const std::byte> data;
      if (!reader.binary(data)) return false;
      if (data.size() != N * sizeof(detail::Packed<T>))
        return reader.fail(start, "an array of another length");
      return detail::unpack(reader, data, value.data());
    } else {
      if (!reader.array_of(N)) return false;
      for (T& element : value) {
        if (!Codec<T>::read(reader, element)) return false;
      }
      return true;
    }
  }
};

template <class T>
struct Codec<std::optional<T>> {
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, const std::optional<T>& value) {
    if (value) return Codec<T>::write(writer, *value);
    writer.nil();
  }
  static bool read(Reader& reader, std::optional<T>& value) {
    value.reset();
    return reader.take_nil() || Codec<T>::read(reader, value.emplace());
  }
};
template <class T>
struct Codec<std::optional<std::optional<T>>> {
  static_assert(sizeof(T) == 0,
                "an optional in an optional cannot be told apart from one: both are nil");
};

template <class... T>
struct Codec<std::tuple<T...>> {
  static constexpr std::size_t min_bytes = (std::size_t{1} + ... + Codec<T>::min_bytes);
  static void write(Writer& writer, const std::tuple<T...>& value) {
    writer.array(sizeof...(T));
    std::apply([&](const T&... element) { (Codec<T>::write(writer, element), ...); }, value);
  }
  static bool read(Reader& reader, std::tuple<T...>& value) {
    return reader.array_of(sizeof...(T)) &&
           std::apply([&](T&... element) { return (Codec<T>::read(reader, element) && ...); },
                      value);
  }
};

template <class A, class B>
struct Codec<std::pair<A, B>> {
  static constexpr std::size_t min_bytes = 1 + Codec<A>::min_bytes + Codec<B>::min_bytes;
  static void write(Writer& writer, const std::pair<A, B>& value) {
    writer.array(2);
    Codec<A>::write(writer, value.first);
    Codec<B>::write(writer, value.second);
  }
  static bool read(Reader& reader, std::pair<A, B>& value) {
    return reader.array_of(2) && Codec<A>::read(reader, value.first) &&
           Codec<B>::read(reader, value.second);
  }
};

namespace detail {

template <class Map>
struct MapCodec {
  using Key = typename Map::key_type;
  using Value = typename Map::mapped_type;
  static constexpr std::size_t min_bytes = 1;
  static void write(Writer& writer, const Map& map) {
    writer.map(map.size());
    for (const auto& [key, value] : map) {
      Codec<Key>::write(writer, key);
      Codec<Value>::write(writer, value);
    }
  }
  static bool read(Reader& reader, Map& map) {
    map.clear();
    std::size_t count = 0;
    if (!reader.map(Codec<Key>::min_bytes + Codec<Value>::min_bytes, count)) return false;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t start = reader.at();
      Key key{};
      Value value{};
      if (!Codec<Key>::read(reader, key) || !Codec<Value>::read(reader, value)) return false;
      if (!map.emplace(std::move(key), std::move(value)).second)
        return reader.fail(start, "a key that was there before");
    }
    return true;
  }
};

}  // namespace detail

template <class K, class V>
struct Codec<std::map<K, V>> : detail::MapCodec<std::map<K, V>> {};
template <class K, class V>
struct Codec<std::unordered_map<K, V>> : detail::MapCodec<std::unordered_map<K, V>> {};

}  // namespace aloft::codec
