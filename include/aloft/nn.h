// Neural networks as a module sees them: the same few calls natively and in a guest.
//
// A module declares a Graph by name at namespace scope; which ONNX file stands behind the name is
// told to the runtime (RuntimeOptions::models) and travels to an edge by its SHA-256. In a guest
// the calls are the standard wasi-nn imports; natively they reach the same inference engine with
// the same settings, so that both places compute the same bits.
//
//   const aloft::nn::Graph detector{"detector"};
//   ALOFT_OFFLOAD std::vector<Detection> detect_object(const aloft::Image& frame) {
//     auto context = detector.context();          // one inference; cheap
//     if (!context) aloft::abort_call(context.error().message);
//     ...
//
// Thread rule: a Graph is immutable; a Context belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <aloft/result.h>

namespace aloft::nn {

// Numbered as in wasi-nn.
enum class ElementType : std::uint8_t { f16 = 0, f32 = 1, f64 = 2, u8 = 3, i32 = 4, i64 = 5 };

// What networks are computed on, natively. Different ones give different last bits.
enum class Device : std::uint8_t {
  cpu,
  cuda,       // the first NVIDIA GPU; an error where it cannot be used
  automatic,  // cuda where it can be used, else cpu; the engine's description says why
};

// A tensor's shape and where its bytes are. Borrows both.
struct TensorView {
  ElementType type = ElementType::f32;
  std::span<const std::uint32_t> dims;
  std::span<const std::byte> data;
};

// One inference: inputs set, computed, outputs read. Inputs are borrowed until compute() returns.
class Context {
 public:
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;
  ~Context();

  // Errors: invalid_argument when the model has no such input, or it has another type or shape.
  [[nodiscard]] Result<void> set_input(std::uint32_t index, const TensorView& tensor);
  // Waits until the outputs are there. Errors: cancelled, deadline_exceeded, internal (the engine's
  // own message).
  [[nodiscard]] Result<void> compute();
  // Copies output `index` into `buffer`; returns the bytes written. Errors: invalid_argument when
  // it does not fit.
  [[nodiscard]] Result<std::size_t> get_output(std::uint32_t index,
                                               std::span<std::byte> buffer) const;

 private:
  friend class Graph;
  struct Impl;
  explicit Context(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class Graph {
 public:
  // `name` must outlive the Graph (a literal).
  constexpr explicit Graph(std::string_view name) : name_(name) {}

  [[nodiscard]] std::string_view name() const { return name_; }
  // Errors: not_found when no model was given for this name.
  [[nodiscard]] Result<Context> context() const;

 private:
  std::string_view name_;
};

}  // namespace aloft::nn
