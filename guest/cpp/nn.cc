// aloft::nn in a guest: the six calls of wasi-nn (import module `wasi_ephemeral_nn`).
//
// wasi-nn has no call that gives a graph or an execution context back, so both are kept for the
// instance's life: a graph is looked up once, and a context whose Context is gone serves the next
// one.

#include <array>
#include <string>
#include <utility>
#include <vector>

#include <aloft/nn.h>

namespace aloft::nn {

namespace wasi {

// 20 bytes, as the standard lays it out.
struct Tensor {
  const std::uint32_t* dims;
  std::uint32_t dims_size;
  ElementType type;
  const std::byte* data;
  std::uint32_t data_size;
};
static_assert(sizeof(Tensor) == 20);

#define ALOFT_WASI_NN(name) [[clang::import_module("wasi_ephemeral_nn"), clang::import_name(name)]]
ALOFT_WASI_NN("load_by_name")
std::uint32_t load_by_name(const char* name, std::uint32_t size, std::uint32_t* graph);
ALOFT_WASI_NN("init_execution_context")
std::uint32_t init_execution_context(std::uint32_t graph, std::uint32_t* context);
ALOFT_WASI_NN("set_input")
std::uint32_t set_input(std::uint32_t context, std::uint32_t index, const Tensor* tensor);
ALOFT_WASI_NN("compute")
std::uint32_t compute(std::uint32_t context);
ALOFT_WASI_NN("get_output")
std::uint32_t get_output(std::uint32_t context, std::uint32_t index, std::byte* buffer,
                         std::uint32_t size, std::uint32_t* written);
#undef ALOFT_WASI_NN

}  // namespace wasi

namespace {

// A graph that was loaded, and its contexts that are free.
struct Loaded {
  std::string_view name;
  std::uint32_t handle = 0;
  std::vector<std::uint32_t> free_contexts;
};

// Few, and never removed: the index names one for good.
std::vector<Loaded>& loaded() {
  static std::vector<Loaded> graphs;
  return graphs;
}

Result<std::size_t> load(std::string_view name) {
  std::vector<Loaded>& graphs = loaded();
  for (std::size_t i = 0; i < graphs.size(); ++i) {
    if (graphs[i].name == name) return i;
  }
  std::uint32_t handle = 0;
  const std::uint32_t number =
      wasi::load_by_name(name.data(), static_cast<std::uint32_t>(name.size()), &handle);
  if (number != 0) {
    std::string why = "no model behind the graph '";
    why.append(name).append("' (wasi-nn error ").append(std::to_string(number)).append(")");
    return fail(number == 8 ? Errc::not_found : Errc::internal, std::move(why));
  }
  graphs.push_back({name, handle, {}});
  return graphs.size() - 1;
}

// The Errc and the words of a wasi-nn error number.
std::unexpected<Error> failure(const char* call, std::uint32_t number) {
  struct Meaning {
    Errc code;
    const char* name;
  };
  static constexpr std::array<Meaning, 8> kMeanings = {{
      {Errc::invalid_argument, "invalid argument"},
      {Errc::invalid_argument, "invalid encoding"},
      {Errc::internal, "missing memory"},
      {Errc::overloaded, "busy"},
      {Errc::internal, "runtime error"},
      {Errc::refused, "unsupported operation"},
      {Errc::invalid_argument, "too large"},
      {Errc::not_found, "not found"},
  }};
  const Meaning meaning = number - 1 < kMeanings.size() ? kMeanings[number - 1]
                                                        : Meaning{Errc::internal, "unknown error"};
  return fail(meaning.code, std::string(call).append(": ").append(meaning.name));
}

}  // namespace

struct Context::Impl {
  std::size_t graph;  // in loaded()
  std::uint32_t handle;

  Impl(std::size_t graph_index, std::uint32_t context) : graph(graph_index), handle(context) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { loaded()[graph].free_contexts.push_back(handle); }
};

Context::Context(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;
Context::~Context() = default;

Result<void> Context::set_input(std::uint32_t index, const TensorView& tensor) {
  const wasi::Tensor raw = {tensor.dims.data(), static_cast<std::uint32_t>(tensor.dims.size()),
                            tensor.type, tensor.data.data(),
                            static_cast<std::uint32_t>(tensor.data.size())};
  if (const std::uint32_t number = wasi::set_input(impl_->handle, index, &raw))
    return failure("set_input", number);
  return {};
}

Result<void> Context::compute() {
  if (const std::uint32_t number = wasi::compute(impl_->handle)) return failure("compute", number);
  return {};
}

Result<std::size_t> Context::get_output(std::uint32_t index, std::span<std::byte> buffer) const {
  std::uint32_t written = 0;
  const std::uint32_t number = wasi::get_output(
      impl_->handle, index, buffer.data(), static_cast<std::uint32_t>(buffer.size()), &written);
  if (number != 0) return failure("get_output", number);
  return std::size_t{written};
}

Result<Context> Graph::context() const {
  const Result<std::size_t> index = load(name_);
  if (!index) return std::unexpected(index.error());
  Loaded& graph = loaded()[*index];
  std::uint32_t handle = 0;
  if (!graph.free_contexts.empty()) {
    handle = graph.free_contexts.back();
    graph.free_contexts.pop_back();
  } else if (const std::uint32_t number = wasi::init_execution_context(graph.handle, &handle)) {
    return failure("init_execution_context", number);
  }
  return Context(std::make_unique<Context::Impl>(*index, handle));
}

}  // namespace aloft::nn
