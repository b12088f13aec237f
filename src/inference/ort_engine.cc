// The engine: sessions of ONNX Runtime that share one queue of worker threads.
//
// Settings are the same wherever an engine is made, so that two places compute the same bits:
// sequential execution, a given number of threads, none of them spinning (a spinning thread takes
// the core from whatever else runs there: the application, the other end of the channel, another
// session).
#include <array>
#include <limits>
#include <utility>

#include "inference/cuda.h"
#include "inference/engine.h"
#include "inference/onnx_check.h"
#include "inference/ort.h"
#include "inference/ort_execution.h"
#include "inference/processors.h"
#include "inference/tensor.h"

namespace aloft::inference {
namespace {

constexpr int kMaxThreads = 1024;

enum class OrtDevice : std::uint8_t { cpu, cuda };

// The library's own messages come back as errors; what it would print besides is noise under an
// application.
void ORT_API_CALL discard_log(void*, OrtLoggingLevel, const char*, const char*, const char*,
                              const char*) {}

std::optional<ElementType> element_type(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16: return ElementType::f16;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: return ElementType::f32;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: return ElementType::f64;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: return ElementType::u8;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: return ElementType::i32;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return ElementType::i64;
    default: return std::nullopt;
  }
}

class OrtGraph final : public Graph {
 public:
  explicit OrtGraph(std::shared_ptr<const OrtModel> model) : model_(std::move(model)) {}

  const std::vector<TensorInfo>& inputs() const override { return model_->inputs; }
  const std::vector<TensorInfo>& outputs() const override { return model_->outputs; }
  Result<std::unique_ptr<Execution>> make_execution() override {
    return OrtExecution::create(model_);
  }

 private:
  const std::shared_ptr<const OrtModel> model_;
};

// The calls of the C interface that tell of a session's inputs, and those that tell of its outputs.
struct Side {
  const char* word;
  decltype(OrtApi::SessionGetInputCount) count;
  decltype(OrtApi::SessionGetInputName) name;
  decltype(OrtApi::SessionGetInputTypeInfo) type;
};

Result<TensorInfo> tensor_info(const OrtSession& session, const Side& side, std::size_t index) {
  const OrtApi& api = *ort::api();
  OrtAllocator* allocator = nullptr;  // the default one, which belongs to the library
  if (auto got = ort::check(api.GetAllocatorWithDefaultOptions(&allocator)); !got)
    return std::unexpected(got.error());
  char* name = nullptr;
  if (auto got = ort::check(side.name(&session, index, allocator, &name)); !got)
    return std::unexpected(got.error());
  TensorInfo info;
  info.name = name;
  if (auto freed = ort::check(api.AllocatorFree(allocator, name)); !freed)
    return std::unexpected(freed.error());
  const std::string which =
      std::string(side.word) + " " + std::to_string(index) + " '" + info.name + "'";

  auto type = ort::make<OrtTypeInfo>([&](auto** out) { return side.type(&session, index, out); });
  if (!type) return std::unexpected(type.error());
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;  // lives as long as `type`
  if (auto got = ort::check(api.CastTypeInfoToTensorInfo(type->get(), &tensor)); !got) {
    return std::unexpected(got.error());
  }
  if (tensor == nullptr) return fail(Errc::refused, which + " of the model is not a tensor");

  ONNXTensorElementDataType element{};
  if (auto got = ort::check(api.GetTensorElementType(tensor, &element)); !got)
    return std::unexpected(got.error());
  const auto known = element_type(element);
  if (!known) {
    return fail(
        Errc::refused,
        which + " of the model has an element type other than f16, f32, f64, u8, i32 and i64");
  }
  info.type = *known;
  std::size_t rank = 0;
  if (auto got = ort::check(api.GetDimensionsCount(tensor, &rank)); !got)
    return std::unexpected(got.error());
  std::vector<std::int64_t> dims(rank);
  if (auto got = ort::check(api.GetDimensions(tensor, dims.data(), rank)); !got)
    return std::unexpected(got.error());
  for (const std::int64_t dim : dims) {
    if (dim > std::numeric_limits<std::uint32_t>::max()) {
      return fail(Errc::refused, which + " of the model has a dimension of " + std::to_string(dim));
    }
    info.dims.push_back(dim < 0 ? 0U : static_cast<std::uint32_t>(dim));
  }
  return info;
}

Result<std::vector<TensorInfo>> tensor_infos(const OrtSession& session, const Side& side) {
  std::size_t count = 0;
  if (auto got = ort::check(side.count(&session, &count)); !got)
    return std::unexpected(got.error());
  std::vector<TensorInfo> infos;
  for (std::size_t i = 0; i < count; ++i) {
    auto info = tensor_info(session, side, i);
    if (!info) return std::unexpected(info.error());
    infos.push_back(*std::move(info));
  }
  return infos;
}

Result<ort::Handle<OrtSessionOptions>> session_options(int threads, OrtDevice device) {
  const OrtApi& api = *ort::api();
  auto made =
      ort::make<OrtSessionOptions>([&](auto** out) { return api.CreateSessionOptions(out); });
  if (!made) return made;
  OrtSessionOptions* const options = made->get();
  for (OrtStatus* const status : {
           api.SetSessionExecutionMode(options, ORT_SEQUENTIAL),
           api.SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL),
           api.SetIntraOpNumThreads(options, threads),
           api.SetInterOpNumThreads(options, 1),
           api.SetDeterministicCompute(options, true),
           api.AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0"),
           api.AddSessionConfigEntry(options, "session.inter_op.allow_spinning", "0"),
           api.AddSessionConfigEntry(options, "session.load_model_format", "ONNX"),
       }) {
    // After a failure the remaining ones are still checked, which frees them.
    if (auto set = ort::check(status); !set && made) made = std::unexpected(set.error());
  }
  if (made && device == OrtDevice::cuda) {
    if (auto added = add_cuda(*options); !added) made = std::unexpected(added.error());
  }
  return made;
}

class OrtEngine final : public Engine {
 public:
  // `gpus`: that it computes on, by name; none: on the processor. `note` follows in description().
  OrtEngine(std::shared_ptr<OrtEnv> env, const EngineOptions& options,
            std::vector<std::string> gpus, std::string note)
      : env_(std::move(env)),
        options_(options),
        gpus_(std::move(gpus)),
        note_(std::move(note)),
        queue_(std::make_shared<WorkQueue>(options.concurrency)) {}

  Result<std::shared_ptr<Graph>> load_onnx(std::span<const std::byte> bytes) override {
    if (auto checked = check_onnx(bytes); !checked) return std::unexpected(checked.error());
    const OrtApi& api = *ort::api();
    auto options =
        session_options(options_.threads, gpus_.empty() ? OrtDevice::cpu : OrtDevice::cuda);
    if (!options) return std::unexpected(options.error());

    auto model = std::make_shared<OrtModel>();
    model->queue = queue_;
    model->env = env_;
    OrtSession* session = nullptr;
    if (const ort::Handle<OrtStatus> status{api.CreateSessionFromArray(
            env_.get(), bytes.data(), bytes.size(), options->get(), &session)}) {
      return fail(ort::load_errc(api.GetErrorCode(status.get())),
                  std::string("the engine does not load this ONNX model: ") +
                      api.GetErrorMessage(status.get()));
    }
    model->session.reset(session);
    auto memory = ort::make<OrtMemoryInfo>([&](auto** out) {
      return api.CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, out);
    });
    if (!memory) return std::unexpected(memory.error());
    model->memory = *std::move(memory);

    auto inputs = tensor_infos(*session, {"input", api.SessionGetInputCount,
                                          api.SessionGetInputName, api.SessionGetInputTypeInfo});
    if (!inputs) return std::unexpected(inputs.error());
    auto outputs = tensor_infos(*session, {"output", api.SessionGetOutputCount,
                                           api.SessionGetOutputName, api.SessionGetOutputTypeInfo});
    if (!outputs) return std::unexpected(outputs.error());
    model->inputs = *std::move(inputs);
    model->outputs = *std::move(outputs);
    return std::make_shared<OrtGraph>(std::move(model));
  }

  std::string description() const override {
    return "onnxruntime " + ort::version() + ", " +
           (gpus_.empty() ? "CPU" : "CUDA (" + gpus_.front() + ")") + ", " +
           std::to_string(options_.threads) + (options_.threads == 1 ? " thread" : " threads") +
           note_;
  }
  std::vector<std::string> accelerators() const override { return gpus_; }

 private:
  const std::shared_ptr<OrtEnv> env_;
  const EngineOptions options_;
  const std::vector<std::string> gpus_;
  const std::string note_;
  const std::shared_ptr<WorkQueue> queue_;
};

using OrtEnvHandle = ort::Handle<OrtEnv>;

Result<OrtEnvHandle> make_env() {
  if (ort::api() == nullptr) {
    return fail(Errc::internal, "ONNX Runtime " + ort::version() +
                                    " is older than the interface aloft was built for (" +
                                    std::to_string(ORT_API_VERSION) + ")");
  }
  return ort::make<OrtEnv>([](auto** out) {
    return ort::api()->CreateEnvWithCustomLogger(&discard_log, nullptr, ORT_LOGGING_LEVEL_FATAL,
                                                 "aloft", out);
  });
}

Result<std::unique_ptr<Engine>> make(const EngineOptions& options, std::vector<std::string> gpus,
                                     std::string note) {
  auto env = make_env();
  if (!env) return std::unexpected(env.error());
  return std::make_unique<OrtEngine>(std::shared_ptr<OrtEnv>(env->release(), ort::Release{}),
                                     options, std::move(gpus), std::move(note));
}

// An engine on the GPU that has loaded a model already: much of CUDA is found missing only then.
Result<std::unique_ptr<Engine>> make_on_cuda(const EngineOptions& options) {
  const auto files = find_cuda_files(options.libraries);
  if (!files) return std::unexpected(files.error());
  auto gpus = find_gpus();
  if (!gpus) return std::unexpected(gpus.error());
  if (!files->runtime.empty()) {
    if (auto used = ort::use_library(files->runtime); !used) return std::unexpected(used.error());
  }
  auto engine = make(options, *std::move(gpus), "");
  if (!engine) return engine;
  if (auto tried = (*engine)->load_onnx(trial_model()); !tried)
    return std::unexpected(tried.error());
  return engine;
}

}  // namespace

Result<std::unique_ptr<Engine>> make_engine(const EngineOptions& options) {
  if (options.threads < 1 || options.threads > kMaxThreads || options.concurrency < 1 ||
      options.concurrency > kMaxThreads) {
    return fail(Errc::invalid_argument,
                "an engine has 1 to " + std::to_string(kMaxThreads) +
                    " threads an inference and as many inferences at a time");
  }
  if (options.device == Device::cpu) return make(options, {}, "");
  auto engine = make_on_cuda(options);
  if (engine || options.device == Device::cuda) return engine;
  // What to do about it is for those who insist.
  const std::string& why = engine.error().message;
  return make(options, {}, " (auto: " + why.substr(0, why.find("; ")) + ")");
}

Result<void> look_at_processors() {
  // It is the first environment that looks; what it saw stays when that is gone.
  if (const auto env = make_env(); !env) return std::unexpected(env.error());
  return {};
}

}  // namespace aloft::inference
