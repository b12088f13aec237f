#include "inference/cuda.h"

#include <array>
#include <cstdint>
#include <span>
#include <system_error>

#include <dlfcn.h>

namespace aloft::inference {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProvider = "libonnxruntime_providers_cuda.so";
constexpr const char* kDriver = "libcuda.so.1";

std::string what_to_install() {
  return "unpack a GPU build of ONNX Runtime " + ort::version().substr(0, 4) +
         " (the folder capi of the Python package onnxruntime-gpu, or lib of its archive), with "
         "CUDA "
         "and cuDNN as it needs them, and name its folder (--inference-libraries)";
}

// The library itself, whose name ends with its version.
fs::path runtime_in(const fs::path& folder) {
  std::error_code error;
  fs::path found;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("libonnxruntime.so") && (found.empty() || entry.path() < found))
      found = entry.path();
  }
  return found;
}

// The few functions of the driver that say what is there.
struct Driver {
  int (*init)(unsigned);
  int (*count)(int*);
  int (*device)(int*, int);
  int (*name)(char*, int, int);
};

Result<Driver> load_driver() {
  void* const handle = ::dlopen(kDriver, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return fail(Errc::not_found,
                std::string("no CUDA: there is no ") + kDriver + "; install NVIDIA's driver");
  }
  const auto find = [&]<class T>(const char* name, T& function) {
    function = reinterpret_cast<T>(::dlsym(handle, name));
    return function != nullptr;
  };
  Driver driver{};
  if (find("cuInit", driver.init) && find("cuDeviceGetCount", driver.count) &&
      find("cuDeviceGet", driver.device) && find("cuDeviceGetName", driver.name))
    return driver;
  return fail(Errc::not_found, std::string("no CUDA: ") + kDriver + " is no driver of NVIDIA's");
}

}  // namespace

Result<CudaFiles> find_cuda_files(const fs::path& libraries) {
  CudaFiles files;
  std::error_code error;
  const fs::path folder = libraries.empty() ? ort::folder() : libraries;
  const fs::path provider = folder / kProvider;
  if (!fs::exists(provider, error)) {
    return fail(Errc::not_found,
                "no CUDA: there is no " + provider.string() + "; " + what_to_install());
  }
  if (!libraries.empty()) {
    files.runtime = runtime_in(folder);
    if (files.runtime.empty()) {
      return fail(Errc::not_found, "no CUDA: there is no " +
                                       (folder / "libonnxruntime.so").string() + " beside " +
                                       kProvider + "; " + what_to_install());
    }
  }
  if (auto driver = load_driver(); !driver) return std::unexpected(driver.error());
  return files;
}

Result<void> check_cuda_files(const fs::path& libraries) {
  auto found = find_cuda_files(libraries);
  if (!found) return std::unexpected(found.error());
  return {};
}

Result<std::vector<std::string>> find_gpus() {
  const auto driver = load_driver();
  if (!driver) return std::unexpected(driver.error());
  if (const int status = driver->init(0); status != 0) {
    return fail(Errc::not_found, "no CUDA: NVIDIA's driver does not start (cuInit: error " +
                                     std::to_string(status) +
                                     "); is there a GPU, and may this user open /dev/nvidia*?");
  }
  int count = 0;
  if (driver->count(&count) != 0 || count == 0)
    return fail(Errc::not_found, "no CUDA: NVIDIA's driver finds no GPU");
  std::vector<std::string> gpus;
  for (int i = 0; i < count; ++i) {
    int device = 0;
    std::array<char, 128> name{};
    if (driver->device(&device, i) != 0 ||
        driver->name(name.data(), static_cast<int>(name.size()) - 1, device) != 0)
      return fail(Errc::not_found,
                  "no CUDA: NVIDIA's driver does not know its GPU " + std::to_string(i));
    gpus.emplace_back(name.data());
  }
  return gpus;
}

Result<void> add_cuda(OrtSessionOptions& options) {
  const OrtApi& api = *ort::api();
  const auto refused = [](const Error& why) {
    return fail(Errc::refused, "no CUDA: ONNX Runtime " + ort::version() + " says: " + why.message +
                                   "; " + what_to_install());
  };
  auto cuda = ort::make<OrtCUDAProviderOptionsV2>(
      [&](auto** out) { return api.CreateCUDAProviderOptions(out); });
  if (!cuda) return refused(cuda.error());
  // As exact as the processor is: no shortened mantissas, the same kernels each time.
  const std::array<const char*, 3> keys{"device_id", "use_tf32", "cudnn_conv_algo_search"};
  const std::array<const char*, 3> values{"0", "0", "HEURISTIC"};
  if (auto set = ort::check(
          api.UpdateCUDAProviderOptions(cuda->get(), keys.data(), values.data(), keys.size()));
      !set)
    return refused(set.error());
  if (auto added =
          ort::check(api.SessionOptionsAppendExecutionProvider_CUDA_V2(&options, cuda->get()));
      !added)
    return refused(added.error());
  return {};
}

std::vector<std::byte> trial_model() {
  constexpr std::array<std::uint8_t, 67> kModel{
      0x08, 0x08, 0x42, 0x04, 0x0a, 0x00, 0x10, 0x11, 0x3a, 0x39, 0x0a, 0x0e, 0x0a, 0x01,
      0x78, 0x0a, 0x01, 0x78, 0x12, 0x01, 0x79, 0x22, 0x03, 0x41, 0x64, 0x64, 0x12, 0x05,
      0x74, 0x72, 0x69, 0x61, 0x6c, 0x5a, 0x0f, 0x0a, 0x01, 0x78, 0x12, 0x0a, 0x0a, 0x08,
      0x08, 0x01, 0x12, 0x04, 0x0a, 0x02, 0x08, 0x01, 0x62, 0x0f, 0x0a, 0x01, 0x79, 0x12,
      0x0a, 0x0a, 0x08, 0x08, 0x01, 0x12, 0x04, 0x0a, 0x02, 0x08, 0x01};
  const auto bytes = std::as_bytes(std::span(kModel));
  return {bytes.begin(), bytes.end()};
}

}  // namespace aloft::inference
