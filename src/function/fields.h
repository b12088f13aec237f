// A MessagePack map as named fields: how a head is read, trusting nothing.
//
// The map's entries are found first and each value's bytes are read when its field is asked for, so
// that the order of fields does not matter and unknown ones cost nothing. Nesting is bounded: no
// input decides how deep reading goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <aloft/result.h>

namespace aloft::function {

// At most `limit` bytes of `text`, not ending within a UTF-8 character: for what is written.
[[nodiscard]] std::string_view cut(std::string_view text, std::size_t limit);

// Reads the fields of one map. The first failure is kept; fields asked for after it keep their
// values. Borrows the bytes it reads. Thread rule: one thread.
class FieldReader {
 public:
  // `what` names the message in errors, e.g. "call"; must outlive the reader.
  FieldReader(std::span<const std::byte> map, std::string_view what);

  void rename(std::string_view what) { what_ = what; }

  // Required fields. An integer outside the range of T is a failure; a string is copied.
  void get(std::string_view name, std::uint64_t& value);
  void get(std::string_view name, std::uint32_t& value);
  void get(std::string_view name, bool& value);
  void get(std::string_view name, std::string& value);
  void get(std::string_view name, std::string_view& value);  // borrowed from the map's bytes
  void get(std::string_view name, std::span<const std::byte>& bytes);  // a `bin`; borrowed
  void get(std::string_view name, std::vector<std::uint32_t>& values);
  void get(std::string_view name, std::vector<std::string>& values);
  // The bytes of a list's elements, each one value.
  void get(std::string_view name, std::vector<std::span<const std::byte>>& elements);
  // A map of `code` and `message`; a code that is not known here is `internal`.
  void get(std::string_view name, Error& error);
  // A map within the map: its bytes.
  void get_map(std::string_view name, std::span<const std::byte>& map);

  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }

  // Marks the reader failed, for a reason that completes "call: ...".
  void fail(std::string why);
  // Takes over the failure of a reader for a part of this map.
  void adopt(const FieldReader& part);
  [[nodiscard]] bool ok() const { return failure_.empty(); }
  [[nodiscard]] Error error() const;  // only when not ok(): protocol

 private:
  struct Field {
    std::string_view name;
    std::span<const std::byte> value;
  };

  void index(std::span<const std::byte> map);
  [[nodiscard]] const Field* find(std::string_view name) const;
  // Calls read(codec::Reader&) on the field's bytes; it answers whether they were `expected`.
  template <class Read>
  void with(std::string_view name, std::string_view expected, Read read);

  std::string_view what_;
  std::vector<Field> fields_;
  std::string failure_;
};

}  // namespace aloft::function
