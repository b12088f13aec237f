// aloft::nn for native code: the same calls that a guest makes through wasi-nn, on the same engine.
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "inference/engine.h"
#include "inference/graph_table.h"
#include <aloft/nn.h>

namespace aloft::nn {

struct Context::Impl {
  // What was set, for the observer: the engine borrows the bytes until compute() returns anyhow.
  struct Input {
    ElementType type;
    std::vector<std::uint32_t> dims;
    std::span<const std::byte> data;
  };

  Impl(const inference::GraphScope& in, std::string_view name,
       std::unique_ptr<inference::Execution> made)
      : scope(in), graph(name), execution(std::move(made)) {}

  const inference::GraphScope& scope;
  const std::string_view graph;
  const std::unique_ptr<inference::Execution> execution;
  std::vector<std::optional<Input>> inputs;  // empty without an observer
};

Context::Context(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;
Context::~Context() = default;

Result<void> Context::set_input(std::uint32_t index, const TensorView& tensor) {
  if (auto set = impl_->execution->set_input(index, tensor); !set) return set;
  if (impl_->scope.observer() != nullptr) {
    if (impl_->inputs.size() <= index) impl_->inputs.resize(index + std::size_t{1});
    impl_->inputs[index] =
        Impl::Input{tensor.type, {tensor.dims.begin(), tensor.dims.end()}, tensor.data};
  }
  return {};
}

Result<void> Context::compute() {
  for (std::uint32_t i = 0; i < impl_->inputs.size(); ++i) {
    if (const auto& input = impl_->inputs[i]) {
      impl_->scope.observer()->on_input(impl_->graph, i, {input->type, input->dims, input->data});
    }
  }
  return inference::compute_and_wait(
      *impl_->execution, std::chrono::steady_clock::time_point::max(), impl_->scope.stop());
}

Result<std::size_t> Context::get_output(std::uint32_t index, std::span<std::byte> buffer) const {
  const auto output = impl_->execution->output(index);
  if (!output) return std::unexpected(output.error());
  if (output->data.size() > buffer.size()) {
    return fail(Errc::invalid_argument, "output " + std::to_string(index) + " takes " +
                                            std::to_string(output->data.size()) +
                                            " bytes, the buffer has " +
                                            std::to_string(buffer.size()));
  }
  if (!output->data.empty()) std::memcpy(buffer.data(), output->data.data(), output->data.size());
  return output->data.size();
}

Result<Context> Graph::context() const {
  const inference::GraphScope* const scope = inference::GraphScope::current();
  if (scope == nullptr) {
    return fail(Errc::not_found,
                "no models on this thread: graph '" + std::string(name_) +
                    "' is found only where an elastic function runs, with a Runtime bound");
  }
  const auto graph = scope->table().find(name_);
  if (graph == nullptr) {
    return fail(Errc::not_found, "no model was given for the graph '" + std::string(name_) + "'");
  }
  auto execution = graph->make_execution();
  if (!execution) return std::unexpected(execution.error());
  return Context{std::make_unique<Context::Impl>(*scope, name_, *std::move(execution))};
}

}  // namespace aloft::nn
