#include "inference/remote/messages.h"

#include <utility>

namespace aloft::codec {

namespace remote = aloft::inference::remote;

template <>
struct Fields<remote::Hello> {
  static constexpr auto members = std::tuple{&remote::Hello::version, &remote::Hello::engine};
};
template <>
struct Fields<remote::MakeMemory> {
  static constexpr auto members = std::tuple{&remote::MakeMemory::call, &remote::MakeMemory::bytes};
};
template <>
struct Fields<remote::Memory> {
  static constexpr auto members = std::tuple{&remote::Memory::call, &remote::Memory::memory};
};
template <>
struct Fields<remote::Load> {
  static constexpr auto members =
      std::tuple{&remote::Load::call, &remote::Load::memory, &remote::Load::bytes};
};
template <>
struct Fields<remote::Tensor> {
  static constexpr auto members =
      std::tuple{&remote::Tensor::name, &remote::Tensor::type, &remote::Tensor::dims,
                 &remote::Tensor::offset, &remote::Tensor::size};
};
template <>
struct Fields<remote::Loaded> {
  static constexpr auto members = std::tuple{&remote::Loaded::call, &remote::Loaded::graph,
                                             &remote::Loaded::inputs, &remote::Loaded::outputs};
};
template <>
struct Fields<remote::Compute> {
  static constexpr auto members =
      std::tuple{&remote::Compute::call,   &remote::Compute::graph, &remote::Compute::memory,
                 &remote::Compute::inputs, &remote::Compute::room,  &remote::Compute::room_at};
};
template <>
struct Fields<remote::Computed> {
  static constexpr auto members = std::tuple{&remote::Computed::call, &remote::Computed::outputs};
};
template <>
struct Fields<remote::NoRoom> {
  static constexpr auto members = std::tuple{&remote::NoRoom::call, &remote::NoRoom::bytes};
};
template <>
struct Fields<remote::Failed> {
  static constexpr auto members =
      std::tuple{&remote::Failed::call, &remote::Failed::code, &remote::Failed::why};
};
template <>
struct Fields<remote::Cancel> {
  static constexpr auto members = std::tuple{&remote::Cancel::call};
};
template <>
struct Fields<remote::DropGraph> {
  static constexpr auto members = std::tuple{&remote::DropGraph::graph};
};
template <>
struct Fields<remote::DropMemory> {
  static constexpr auto members = std::tuple{&remote::DropMemory::memory};
};

}  // namespace aloft::codec

namespace aloft::inference::remote {
namespace {

std::unexpected<Error> broken() {
  return fail(Errc::protocol, "no message between an Execution Handler and the inference process");
}

bool sound(const std::vector<Tensor>& tensors) {
  if (tensors.size() > kMaxTensors) return false;
  for (const Tensor& tensor : tensors) {
    if (tensor.dims.size() > kMaxRank) return false;
  }
  return true;
}

template <class T>
bool sound(const T& message) {
  if constexpr (requires { message.inputs; }) {
    if (!sound(message.inputs)) return false;
  }
  if constexpr (requires { message.outputs; }) {
    if (!sound(message.outputs)) return false;
  }
  return true;
}

// Reads the alternative of number `kind`.
template <std::size_t I = 0>
bool read_kind(std::size_t kind, codec::Reader& reader, std::optional<Message>& message) {
  if constexpr (I == std::variant_size_v<Message>) {
    return false;
  } else {
    if (kind != I) return read_kind<I + 1>(kind, reader, message);
    std::variant_alternative_t<I, Message> one;
    if (!codec::read(reader, one) || !reader.finish() || !sound(one)) return false;
    message.emplace(std::move(one));
    return true;
  }
}

}  // namespace

std::vector<std::byte> encode(const Message& message) {
  codec::Writer writer;
  writer.unsigned_integer(message.index());
  std::visit([&](const auto& one) { codec::write(writer, one); }, message);
  std::vector<std::byte> bytes;
  bytes.reserve(writer.size());
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

Result<Message> decode(std::span<const std::byte> packet) {
  codec::Reader reader(packet);
  std::uint8_t kind = 0;
  std::optional<Message> message;
  if (!reader.integer(kind) || !read_kind(kind, reader, message)) return broken();
  return *std::move(message);
}

}  // namespace aloft::inference::remote
