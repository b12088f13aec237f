#include "inference/onnx_check.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aloft::inference {
namespace {

enum class Kind : std::uint8_t {
  model,
  graph,
  function,
  training,
  node,
  attribute,
  sparse_tensor,
  tensor
};

// Field numbers of onnx.proto. Every way from a model to a TensorProto is in this table.
std::optional<Kind> child(Kind parent, std::uint64_t field) {
  switch (parent) {
    case Kind::model:
      if (field == 7) return Kind::graph;
      if (field == 20) return Kind::training;
      if (field == 25) return Kind::function;
      break;
    case Kind::graph:
      if (field == 1) return Kind::node;
      if (field == 5) return Kind::tensor;
      if (field == 15) return Kind::sparse_tensor;
      break;
    case Kind::function:
      if (field == 7) return Kind::node;
      if (field == 11) return Kind::attribute;
      break;
    case Kind::training:
      if (field == 1 || field == 2) return Kind::graph;
      break;
    case Kind::node:
      if (field == 5) return Kind::attribute;
      break;
    case Kind::attribute:
      if (field == 5 || field == 10) return Kind::tensor;
      if (field == 6 || field == 11) return Kind::graph;
      if (field == 22 || field == 23) return Kind::sparse_tensor;
      break;
    case Kind::sparse_tensor:
      if (field == 1 || field == 2) return Kind::tensor;
      break;
    case Kind::tensor: break;
  }
  return std::nullopt;
}

constexpr std::uint64_t kModelIrVersion = 1;
constexpr std::uint64_t kModelGraph = 7;
constexpr std::uint64_t kTensorName = 8;
constexpr std::uint64_t kTensorExternalData = 13;
constexpr std::uint64_t kTensorDataLocation = 14;
constexpr int kMaxDepth = 96;  // below the 100 messages that protobuf itself nests

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct Field {
  std::uint64_t number = 0;
  WireType type = WireType::varint;
  std::uint64_t value = 0;         // varint only
  std::size_t begin = 0, end = 0;  // bytes only
};

class Walk {
 public:
  explicit Walk(std::span<const std::byte> model) : model_(model) {}

  Result<void> model() {
    if (model_.empty()) return fail(Errc::corrupt, "the ONNX model is empty");
    bool has_version = false;
    bool has_graph = false;
    std::size_t at = 0;
    while (at < model_.size()) {
      auto field = next(at, model_.size());
      if (!field) return std::unexpected(field.error());
      has_version |= field->number == kModelIrVersion && field->type == WireType::varint;
      has_graph |= field->number == kModelGraph && field->type == WireType::bytes;
      if (auto checked = descend(Kind::model, *field, 0); !checked) return checked;
    }
    if (!has_version) return fail(Errc::corrupt, "not an ONNX model: it has no IR version");
    if (!has_graph)
      return fail(Errc::corrupt, "the ONNX model has no graph: it is truncated, or not a model");
    return {};
  }

 private:
  Result<void> descend(Kind parent, const Field& field, int depth) {
    const auto kind = child(parent, field.number);
    if (!kind) return {};
    if (field.type != WireType::bytes) return malformed(field.begin, "a message is expected");
    if (depth >= kMaxDepth)
      return fail(Errc::corrupt, "not an ONNX model: messages are nested too deeply");
    return message(*kind, field.begin, field.end, depth + 1);
  }

  Result<void> message(Kind kind, std::size_t at, std::size_t end, int depth) {
    std::string_view name;
    bool external = false;
    while (at < end) {
      auto field = next(at, end);
      if (!field) return std::unexpected(field.error());
      if (kind == Kind::tensor) {
        if (field->number == kTensorName && field->type == WireType::bytes) name = text(*field);
        external |= field->number == kTensorExternalData;
        external |= field->number == kTensorDataLocation && field->value != 0;
      } else if (auto checked = descend(kind, *field, depth); !checked) {
        return checked;
      }
    }
    if (external) {
      return fail(Errc::refused,
                  "the ONNX model keeps the data of tensor '" + printable(name) +
                      "' outside the file (external data); save it with all weights in one file");
    }
    return {};
  }

  // Reads the field at `at` of a message that ends at `end`, and moves `at` behind it.
  Result<Field> next(std::size_t& at, std::size_t end) const {
    const std::size_t start = at;
    const auto tag = varint(at, end);
    if (!tag) return std::unexpected(tag.error());
    Field field;
    field.number = *tag >> 3;
    if (field.number == 0) return malformed(start, "field 0");
    switch (*tag & 7) {
      case 0: {
        const auto value = varint(at, end);
        if (!value) return std::unexpected(value.error());
        field.value = *value;
        field.begin = start;
        return field;
      }
      case 1: field.type = WireType::fixed64; return fixed(field, at, end, 8);
      case 5: field.type = WireType::fixed32; return fixed(field, at, end, 4);
      case 2: {
        const auto length = varint(at, end);
        if (!length) return std::unexpected(length.error());
        field.type = WireType::bytes;
        return fixed(field, at, end, *length);
      }
      default: return malformed(start, "wire type " + std::to_string(*tag & 7));
    }
  }

  Result<Field> fixed(Field field, std::size_t& at, std::size_t end, std::uint64_t length) const {
    if (length > end - at) return truncated(at, length, end);
    field.begin = at;
    at += static_cast<std::size_t>(length);
    field.end = at;
    return field;
  }

  Result<std::uint64_t> varint(std::size_t& at, std::size_t end) const {
    const std::size_t start = at;
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at >= end) return truncated(start, 1, end);
      const auto byte = std::to_integer<std::uint64_t>(model_[at++]);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return malformed(start, "a number longer than 64 bits");
  }

  [[nodiscard]] std::unexpected<Error> truncated(std::size_t at, std::uint64_t wanted,
                                                 std::size_t end) const {
    return fail(Errc::corrupt, "the ONNX model is truncated or not ONNX: byte " +
                                   std::to_string(at) + " of " + std::to_string(model_.size()) +
                                   " begins a field of " + std::to_string(wanted) +
                                   " bytes where " + std::to_string(end - at) + " are left");
  }

  [[nodiscard]] static std::unexpected<Error> malformed(std::size_t at, const std::string& what) {
    return fail(Errc::corrupt, "not an ONNX model: byte " + std::to_string(at) + ": " + what);
  }

  [[nodiscard]] std::string_view text(const Field& field) const {
    return {reinterpret_cast<const char*>(model_.data()) + field.begin, field.end - field.begin};
  }

  // A name out of a foreign file goes into messages without control characters and at a bounded
  // length.
  [[nodiscard]] static std::string printable(std::string_view name) {
    std::string out;
    for (const char c : name.substr(0, 80)) out += (c >= ' ' && c <= '~') ? c : '?';
    return out;
  }

  std::span<const std::byte> model_;
};

}  // namespace

Result<void> check_onnx(std::span<const std::byte> model) { return Walk{model}.model(); }

}  // namespace aloft::inference
