#include "inference/ort_execution.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>

#include "inference/inputs.h"
#include "inference/tensor.h"

namespace aloft::inference {
namespace {

// Inputs up to this size are copied, as are integers of any size: they may be indices, which
// kernels check once and use later, while the memory of a guest can change under them (a message
// that arrives in another of its buffers). Large tensors of floating point numbers, which nothing
// indexes with, are read where they lie.
constexpr std::size_t kCopiedUpTo = 4096;  // bytes

bool may_hold_indices(ElementType type) {
  return type == ElementType::i32 || type == ElementType::i64;
}

ONNXTensorElementDataType ort_type(ElementType type) {
  switch (type) {
    case ElementType::f16: return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
    case ElementType::f32: return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    case ElementType::f64: return ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE;
    case ElementType::u8: return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
    case ElementType::i32: return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    case ElementType::i64: return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
  }
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

}  // namespace

Result<std::unique_ptr<OrtExecution>> OrtExecution::create(std::shared_ptr<const OrtModel> model) {
  auto options =
      ort::make<OrtRunOptions>([](auto** out) { return ort::api()->CreateRunOptions(out); });
  if (!options) return std::unexpected(options.error());
  return std::unique_ptr<OrtExecution>(new OrtExecution(std::move(model), *std::move(options)));
}

OrtExecution::OrtExecution(std::shared_ptr<const OrtModel> model,
                           ort::Handle<OrtRunOptions> options)
    : model_(std::move(model)),
      options_(std::move(options)),
      inputs_(model_->inputs.size()),
      outputs_(model_->outputs.size()) {}

OrtExecution::~OrtExecution() {
  cancel();
  std::unique_lock lock(mutex_);
  done_changed_.wait(lock, [this] { return unfinished_ == 0; });
}

Result<void> OrtExecution::set_input(std::uint32_t index, const TensorView& tensor) {
  if (auto fits = check_input(model_->inputs, index, tensor); !fits) return fits;
  Input input;
  std::span<const std::byte> data = tensor.data;
  const bool aligned =
      reinterpret_cast<std::uintptr_t>(data.data()) % element_size(tensor.type) == 0;
  if (!aligned || data.size() <= kCopiedUpTo || may_hold_indices(tensor.type)) {
    input.copy.assign(data.begin(), data.end());
    data = input.copy;
  }
  const std::vector<std::int64_t> dims(tensor.dims.begin(), tensor.dims.end());
  // The library takes a pointer to mutable bytes for any tensor; it does not write to inputs.
  auto* const bytes_of_input = const_cast<std::byte*>(data.data());
  auto value = ort::make<OrtValue>([&](auto** out) {
    return ort::api()->CreateTensorWithDataAsOrtValue(model_->memory.get(), bytes_of_input,
                                                      data.size(), dims.data(), dims.size(),
                                                      ort_type(tensor.type), out);
  });
  if (!value) return std::unexpected(value.error());
  input.value = *std::move(value);
  inputs_[index] = std::move(input);
  return {};
}

void OrtExecution::compute(Completion done) {
  {
    const std::lock_guard lock(mutex_);
    state_ = State::queued;
    cancelled_ = false;
    ++unfinished_;
    done_ = std::move(done);
  }
  model_->queue->push(*this);
}

void OrtExecution::cancel() {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::idle) return;
    cancelled_ = true;
    if (state_ == State::running) {
      // Fails only for want of options.
      ort::Handle<OrtStatus>{ort::api()->RunOptionsSetTerminate(options_.get())};
      return;
    }
  }
  if (model_->queue->take_back(*this) == WorkQueue::TakenBack::yes) {
    complete(fail(Errc::cancelled, "the inference was cancelled before it started"));
  }
}

void OrtExecution::run() {
  bool start = false;
  {
    const std::lock_guard lock(mutex_);
    start = !cancelled_;
    if (start) {
      state_ = State::running;
      ort::Handle<OrtStatus>{ort::api()->RunOptionsUnsetTerminate(options_.get())};
    }
  }
  complete(start ? infer()
                 : fail(Errc::cancelled, "the inference was cancelled before it started"));
}

Result<void> OrtExecution::infer() {
  computed_ = false;
  for (Output& output : outputs_) output = {};
  std::vector<const char*> input_names, output_names;
  std::vector<const OrtValue*> inputs;
  std::vector<OrtValue*> outputs(outputs_.size(), nullptr);
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (!inputs_[i].value) {
      return fail(Errc::invalid_argument, not_set(model_->inputs, i));
    }
    inputs.push_back(inputs_[i].value.get());
    input_names.push_back(model_->inputs[i].name.c_str());
  }
  for (const TensorInfo& info : model_->outputs) output_names.push_back(info.name.c_str());

  auto ran = ort::check(ort::api()->Run(model_->session.get(), options_.get(), input_names.data(),
                                        inputs.data(), inputs.size(), output_names.data(),
                                        output_names.size(), outputs.data()));
  for (std::size_t i = 0; i < outputs.size(); ++i) outputs_[i].value.reset(outputs[i]);
  if (!ran) {
    const std::lock_guard lock(mutex_);
    if (cancelled_) return fail(Errc::cancelled, "the inference was cancelled");
    return ran;
  }
  for (std::uint32_t i = 0; i < outputs_.size(); ++i) {
    if (auto read = read_output(i); !read) return read;
  }
  computed_ = true;
  return {};
}

Result<void> OrtExecution::read_output(std::uint32_t index) {
  Output& output = outputs_[index];
  auto info = ort::make<OrtTensorTypeAndShapeInfo>(
      [&](auto** out) { return ort::api()->GetTensorTypeAndShape(output.value.get(), out); });
  if (!info) return std::unexpected(info.error());
  std::size_t rank = 0;
  if (auto got = ort::check(ort::api()->GetDimensionsCount(info->get(), &rank)); !got) return got;
  std::vector<std::int64_t> dims(rank);
  if (auto got = ort::check(ort::api()->GetDimensions(info->get(), dims.data(), rank)); !got)
    return got;
  output.dims.clear();
  for (const std::int64_t dim : dims) {
    if (dim < 0 || dim > std::numeric_limits<std::uint32_t>::max()) {
      return fail(Errc::internal,
                  "output " + std::to_string(index) + " has a dimension of " + std::to_string(dim));
    }
    output.dims.push_back(static_cast<std::uint32_t>(dim));
  }
  void* data = nullptr;
  if (auto got = ort::check(ort::api()->GetTensorMutableData(output.value.get(), &data)); !got)
    return got;
  const auto bytes = byte_size(model_->outputs[index].type, output.dims);
  if (!bytes) return fail(Errc::internal, "output " + std::to_string(index) + " is too large");
  output.data = {static_cast<const std::byte*>(data), static_cast<std::size_t>(*bytes)};
  return {};
}

void OrtExecution::complete(Result<void> outcome) {
  Completion done;
  {
    const std::lock_guard lock(mutex_);
    state_ = State::idle;
    done = std::exchange(done_, nullptr);
  }
  // From here on the owner may compute() again; the destructor waits for `unfinished_` until `done`
  // has returned.
  done(std::move(outcome));
  const std::lock_guard lock(mutex_);
  --unfinished_;
  done_changed_.notify_all();
}

Result<TensorView> OrtExecution::output(std::uint32_t index) const {
  if (index >= outputs_.size()) {
    return fail(Errc::invalid_argument, "the model has no output " + std::to_string(index) +
                                            ", it has " + std::to_string(outputs_.size()));
  }
  if (!computed_) return fail(Errc::invalid_argument, "nothing was computed yet");
  const Output& output = outputs_[index];
  return TensorView{model_->outputs[index].type, output.dims, output.data};
}

}  // namespace aloft::inference
