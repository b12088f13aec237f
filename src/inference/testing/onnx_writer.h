// Writes small ONNX models as bytes, for tests: a few lines of protobuf in place of binary files in
// the repository.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aloft::inference::testing {

// A protobuf message under construction. Fields appear in the order of the calls.
class Proto {
 public:
  Proto& number(std::uint32_t field, std::int64_t value) {
    varint(std::uint64_t{field} << 3);
    varint(static_cast<std::uint64_t>(value));
    return *this;
  }
  Proto& text(std::uint32_t field, std::string_view value) {
    varint((std::uint64_t{field} << 3) | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Proto& message(std::uint32_t field, const Proto& value) { return text(field, value.bytes_); }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    const auto view = std::as_bytes(std::span(bytes_));
    return {view.begin(), view.end()};
  }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

// Numbers of TensorProto.DataType.
enum class OnnxType : std::uint8_t { f32 = 1, u8 = 2, i32 = 6, i64 = 7, boolean = 9 };

using Dims = std::vector<std::int64_t>;

inline Proto value_info(std::string_view name, OnnxType type, const Dims& dims) {
  Proto shape;
  for (const std::int64_t dim : dims) {
    // -1: a dimension left open
    shape.message(1, dim < 0 ? Proto{}.text(2, "n") : Proto{}.number(1, dim));
  }
  const Proto tensor = Proto{}.number(1, static_cast<std::int64_t>(type)).message(2, shape);
  return Proto{}.text(1, name).message(2, Proto{}.message(1, tensor));
}

template <class T>
Proto tensor(std::string_view name, OnnxType type, const Dims& dims, const std::vector<T>& values) {
  static_assert(std::endian::native == std::endian::little);
  Proto out;
  for (const std::int64_t dim : dims) out.number(1, dim);
  out.number(2, static_cast<std::int64_t>(type)).text(8, name);
  std::string raw(values.size() * sizeof(T), '\0');
  std::memcpy(raw.data(), values.data(), raw.size());
  return out.text(9, raw);
}

struct Node {
  std::string_view op;
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::vector<Proto> attributes = {};
};

inline Proto int_attribute(std::string_view name, std::int64_t value) {
  return Proto{}.text(1, name).number(3, value).number(20, 2);
}
inline Proto ints_attribute(std::string_view name, const Dims& values) {
  Proto out = Proto{}.text(1, name);
  for (const std::int64_t value : values) out.number(8, value);
  return out.number(20, 7);
}
inline Proto graph_attribute(std::string_view name, const Proto& graph) {
  return Proto{}.text(1, name).message(6, graph).number(20, 5);
}

inline Proto graph(std::string_view name, const std::vector<Node>& nodes,
                   const std::vector<Proto>& inputs, const std::vector<Proto>& outputs,
                   const std::vector<Proto>& initializers = {}) {
  Proto out;
  for (const Node& node : nodes) {
    Proto message;
    for (const std::string_view input : node.inputs) message.text(1, input);
    for (const std::string_view output : node.outputs) message.text(2, output);
    message.text(4, node.op);
    for (const Proto& attribute : node.attributes) message.message(5, attribute);
    out.message(1, message);
  }
  out.text(2, name);
  for (const Proto& initializer : initializers) out.message(5, initializer);
  for (const Proto& input : inputs) out.message(11, input);
  for (const Proto& output : outputs) out.message(12, output);
  return out;
}

inline std::vector<std::byte> model(const Proto& graph) {
  const Proto opset = Proto{}.text(1, "").number(2, 17);
  return Proto{}.number(1, 8).text(2, "aloft tests").message(8, opset).message(7, graph).bytes();
}

// y = x + x, in f32 of any shape.
inline std::vector<std::byte> doubling_model(const Dims& dims) {
  return model(graph("doubling", {{.op = "Add", .inputs = {"x", "x"}, .outputs = {"y"}}},
                     {value_info("x", OnnxType::f32, dims)},
                     {value_info("y", OnnxType::f32, dims)}));
}

// Loops over x = -x for ever; can be cancelled between two rounds. x and y: f32, 1 unless told.
inline std::vector<std::byte> endless_model(const Dims& dims = {1}) {
  const Proto body = graph(
      "body",
      {{.op = "Identity", .inputs = {"going"}, .outputs = {"goes_on"}},
       {.op = "Neg", .inputs = {"value"}, .outputs = {"next"}}},
      {value_info("round", OnnxType::i64, {}), value_info("going", OnnxType::boolean, {}),
       value_info("value", OnnxType::f32, dims)},
      {value_info("goes_on", OnnxType::boolean, {}), value_info("next", OnnxType::f32, dims)});
  return model(graph("endless",
                     {{.op = "Loop",
                       .inputs = {"", "yes", "x"},
                       .outputs = {"y"},
                       .attributes = {graph_attribute("body", body)}}},
                     {value_info("x", OnnxType::f32, dims)}, {value_info("y", OnnxType::f32, dims)},
                     {tensor<std::uint8_t>("yes", OnnxType::boolean, {}, {1})}));
}

// One operator that takes minutes (it compares each of 500 000 boxes with all others) and does not
// look at a request to end meanwhile: what a host can only answer by killing the process. x: f32 1,
// y: i64 (selected boxes) x 3.
inline std::vector<std::byte> stubborn_model() {
  constexpr std::int64_t kBoxes = 500'000;
  return model(
      graph("stubborn",
            {{.op = "Expand", .inputs = {"x", "scores_shape"}, .outputs = {"scores"}},
             {.op = "Expand", .inputs = {"x", "boxes_shape"}, .outputs = {"boxes"}},
             {.op = "NonMaxSuppression", .inputs = {"boxes", "scores", "most"}, .outputs = {"y"}}},
            {value_info("x", OnnxType::f32, {1})}, {value_info("y", OnnxType::i64, {-1, 3})},
            {tensor<std::int64_t>("scores_shape", OnnxType::i64, {3}, {1, 1, kBoxes}),
             tensor<std::int64_t>("boxes_shape", OnnxType::i64, {3}, {1, kBoxes, 4}),
             tensor<std::int64_t>("most", OnnxType::i64, {1}, {kBoxes})}));
}

}  // namespace aloft::inference::testing
