#include "runtime/wasi_nn.h"

#include <array>
#include <cstring>

#include "runtime/wasi_nn_functions.h"

namespace aloft::runtime {
namespace {

constexpr std::uint32_t kMaxDims = 16;
constexpr std::uint32_t kMaxNameBytes = 1024;

// Numbers of the ABI.
enum Encoding : std::uint32_t { kOpenvino, kOnnx, kTensorflow, kPytorch, kTflite, kAutodetect };
enum Target : std::uint32_t { kCpu, kGpu, kTpu };

using Arguments = std::span<const HostArgument>;

HostResult answer(NnErrno code) { return static_cast<std::int32_t>(code); }

NnErrno errno_of(const Error& error) {
  switch (error.code) {
    case Errc::not_found: return NnErrno::not_found;
    case Errc::invalid_argument:
    case Errc::corrupt: return NnErrno::invalid_argument;
    case Errc::refused: return NnErrno::unsupported_operation;
    case Errc::overloaded: return NnErrno::busy;
    case Errc::resource_exhausted: return NnErrno::too_large;
    default: return NnErrno::runtime_error;
  }
}

// Tells the guest's reader why, since an errno says little.
HostResult answer(GuestContext& instance, const Error& error) {
  instance.services.on_line(GuestStream::standard_error, "wasi-nn: " + error.message);
  return answer(errno_of(error));
}

// Enters a graph into the table and writes its handle to the guest.
HostResult add_graph(GuestContext& instance, std::shared_ptr<inference::Graph> graph,
                     std::uint32_t out, std::string name) {
  if (instance.nn.graphs.size() == NnTables::kMaxGraphs) return answer(NnErrno::too_large);
  const auto handle = static_cast<std::uint32_t>(instance.nn.graphs.size());
  if (!instance.write_u32(out, handle)) return answer(NnErrno::missing_memory);
  instance.nn.graphs.push_back(std::move(graph));
  if (!name.empty()) instance.nn.graphs_by_name.emplace(std::move(name), handle);
  return answer(NnErrno::ok);
}

// load(builders, count, encoding, target, &graph)
HostResult load(GuestContext& instance, Arguments arguments) {
  const std::uint32_t builders = unsigned_argument(arguments[0]);
  const std::uint32_t count = unsigned_argument(arguments[1]);
  const std::uint32_t encoding = unsigned_argument(arguments[2]);
  const std::uint32_t target = unsigned_argument(arguments[3]);
  if (encoding != kOnnx && encoding != kAutodetect) return answer(NnErrno::invalid_encoding);
  if (target > kTpu) return answer(NnErrno::invalid_argument);
  if (target != kCpu) return answer(NnErrno::unsupported_operation);
  if (count != 1) return answer(NnErrno::invalid_argument);  // ONNX is one piece
  if (builders > UINT32_MAX - 4) return answer(NnErrno::missing_memory);
  const auto address = instance.read_u32(builders);
  const auto size = instance.read_u32(builders + 4);
  if (!address || !size) return answer(NnErrno::missing_memory);
  const auto model = instance.slice(*address, *size);
  if (!model) return answer(NnErrno::missing_memory);
  if (instance.nn.graphs.size() == NnTables::kMaxGraphs) return answer(NnErrno::too_large);
  // A copy: what is parsed must not change meanwhile, and guest memory may.
  const std::vector<std::byte> copy(model->begin(), model->end());
  auto graph = instance.services.load_graph(copy);
  if (!graph) return answer(instance, graph.error());
  return add_graph(instance, std::move(*graph), unsigned_argument(arguments[4]), {});
}

// load_by_name(name, length, &graph)
HostResult load_by_name(GuestContext& instance, Arguments arguments) {
  const std::uint32_t length = unsigned_argument(arguments[1]);
  if (length > kMaxNameBytes) return answer(NnErrno::too_large);
  const auto bytes = instance.slice(unsigned_argument(arguments[0]), length);
  if (!bytes) return answer(NnErrno::missing_memory);
  std::string name(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  const std::uint32_t out = unsigned_argument(arguments[2]);
  if (const auto known = instance.nn.graphs_by_name.find(name);
      known != instance.nn.graphs_by_name.end()) {
    return answer(instance.write_u32(out, known->second) ? NnErrno::ok : NnErrno::missing_memory);
  }
  auto graph = instance.services.graph_by_name(name);
  if (!graph) return answer(instance, graph.error());
  return add_graph(instance, std::move(*graph), out, std::move(name));
}

// init_execution_context(graph, &context)
HostResult init_execution_context(GuestContext& instance, Arguments arguments) {
  const std::uint32_t graph = unsigned_argument(arguments[0]);
  if (graph >= instance.nn.graphs.size()) return answer(NnErrno::invalid_argument);
  if (instance.nn.contexts.size() == NnTables::kMaxContexts) return answer(NnErrno::too_large);
  auto execution = instance.nn.graphs[graph]->make_execution();
  if (!execution) return answer(instance, execution.error());
  const auto handle = static_cast<std::uint32_t>(instance.nn.contexts.size());
  if (!instance.write_u32(unsigned_argument(arguments[1]), handle))
    return answer(NnErrno::missing_memory);
  instance.nn.contexts.push_back(std::move(*execution));
  return answer(NnErrno::ok);
}

inference::Execution* find_context(GuestContext& instance, const HostArgument& handle) {
  const std::uint32_t index = unsigned_argument(handle);
  return index < instance.nn.contexts.size() ? instance.nn.contexts[index].get() : nullptr;
}

// set_input(context, index, &tensor); the tensor's bytes are read where they are, when computing.
// tensor: {dims u32, dims_length u32, type u8, (padding 3), data u32, data_length u32}
HostResult set_input(GuestContext& instance, Arguments arguments) {
  inference::Execution* context = find_context(instance, arguments[0]);
  if (context == nullptr) return answer(NnErrno::invalid_argument);
  const auto record = instance.slice(unsigned_argument(arguments[2]), 20);
  if (!record) return answer(NnErrno::missing_memory);
  const auto field = [&record](std::size_t offset) {
    std::uint32_t value = 0;
    std::memcpy(&value, record->data() + offset, sizeof value);
    return value;
  };
  const auto type = std::to_integer<std::uint8_t>((*record)[8]);
  const std::uint32_t dims_length = field(4);
  if (type > static_cast<std::uint8_t>(nn::ElementType::i64))
    return answer(NnErrno::invalid_argument);
  if (dims_length > kMaxDims) return answer(NnErrno::too_large);
  const auto dims_bytes =
      instance.slice(field(0), std::uint64_t{dims_length} * sizeof(std::uint32_t));
  const auto data = instance.slice(field(12), field(16));
  if (!dims_bytes || !data) return answer(NnErrno::missing_memory);
  std::array<std::uint32_t, kMaxDims> dims{};
  std::memcpy(dims.data(), dims_bytes->data(), dims_bytes->size());
  const auto set = context->set_input(unsigned_argument(arguments[1]),
                                      {.type = static_cast<nn::ElementType>(type),
                                       .dims = std::span(dims).first(dims_length),
                                       .data = *data});
  return set ? answer(NnErrno::ok) : answer(instance, set.error());
}

// compute(context)
HostResult compute(GuestContext& instance, Arguments arguments) {
  inference::Execution* context = find_context(instance, arguments[0]);
  if (context == nullptr) return answer(NnErrno::invalid_argument);
  const auto computed =
      inference::compute_and_wait(*context, instance.deadline, instance.stop.get_token());
  // Whatever the engine answered: a call whose time is up does not go back into the guest.
  if (const auto reason = instance.must_stop()) return std::unexpected(*reason);
  if (!computed && computed.error().code == Errc::unreachable) {
    // Nothing that the guest could do about it; elsewhere the call may succeed.
    instance.host_error = computed.error();
    return std::unexpected(TrapKind::other);
  }
  return computed ? answer(NnErrno::ok) : answer(instance, computed.error());
}

// get_output(context, index, buffer, size, &written)
HostResult get_output(GuestContext& instance, Arguments arguments) {
  const inference::Execution* context = find_context(instance, arguments[0]);
  if (context == nullptr) return answer(NnErrno::invalid_argument);
  const auto output = context->output(unsigned_argument(arguments[1]));
  if (!output) return answer(instance, output.error());
  const std::uint32_t size = unsigned_argument(arguments[3]);
  if (output->data.size() > size) return answer(NnErrno::too_large);
  const auto buffer = instance.slice(unsigned_argument(arguments[2]), size);
  if (!buffer) return answer(NnErrno::missing_memory);
  if (!instance.write_u32(unsigned_argument(arguments[4]),
                          static_cast<std::uint32_t>(output->data.size()))) {
    return answer(NnErrno::missing_memory);
  }
  std::memcpy(buffer->data(), output->data.data(), output->data.size());
  return answer(NnErrno::ok);
}

constexpr std::array<HostDefinition, 6> kFunctions{
    {{"load", "iiiii", &load},
     {"load_by_name", "iii", &load_by_name},
     {"init_execution_context", "ii", &init_execution_context},
     {"set_input", "iii", &set_input},
     {"compute", "i", &compute},
     {"get_output", "iiiii", &get_output}}};

}  // namespace

std::span<const HostDefinition> wasi_nn_functions() { return kFunctions; }

}  // namespace aloft::runtime
