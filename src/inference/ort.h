// ONNX Runtime's C interface with owners and Results: the only header that names it. The C++
// interface that comes with it reports errors by exceptions, which must not reach a host function
// under a guest.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <onnxruntime_c_api.h>

#include <aloft/result.h>

namespace aloft::inference::ort {

// The functions of the library in use, which is the linked one unless use_library() chose another;
// null where it is older than the headers it was compiled with.
[[nodiscard]] const OrtApi* api();
// From here on this file (libonnxruntime.so of another build) is used in this process. Only before
// the first engine: what one library made the other one cannot release. Errors: not_found, refused
// (it is older than the headers, or another one is in use already).
[[nodiscard]] Result<void> use_library(const std::filesystem::path& file);
// The folder of the linked library.
[[nodiscard]] std::filesystem::path folder();
// "1.23.2"
[[nodiscard]] std::string version();

struct Release {
  void operator()(OrtEnv* p) const { api()->ReleaseEnv(p); }
  void operator()(OrtStatus* p) const { api()->ReleaseStatus(p); }
  void operator()(OrtSession* p) const { api()->ReleaseSession(p); }
  void operator()(OrtSessionOptions* p) const { api()->ReleaseSessionOptions(p); }
  void operator()(OrtRunOptions* p) const { api()->ReleaseRunOptions(p); }
  void operator()(OrtMemoryInfo* p) const { api()->ReleaseMemoryInfo(p); }
  void operator()(OrtTypeInfo* p) const { api()->ReleaseTypeInfo(p); }
  void operator()(OrtTensorTypeAndShapeInfo* p) const { api()->ReleaseTensorTypeAndShapeInfo(p); }
  void operator()(OrtValue* p) const { api()->ReleaseValue(p); }
  void operator()(OrtCUDAProviderOptionsV2* p) const { api()->ReleaseCUDAProviderOptions(p); }
};
template <class T>
using Handle = std::unique_ptr<T, Release>;

// Takes `status` over. Success, or `code` with the library's message.
[[nodiscard]] Result<void> check(OrtStatus* status, Errc code = Errc::internal);

// What the library's code for a model that it does not load means to aloft.
[[nodiscard]] Errc load_errc(OrtErrorCode code);

// Calls `create(&raw)`, a function of the C interface that makes a T, and owns what comes out.
template <class T, class Create>
[[nodiscard]] Result<Handle<T>> make(Create&& create) {
  T* raw = nullptr;
  if (auto made = check(create(&raw)); !made) return std::unexpected(made.error());
  return Handle<T>{raw};
}

}  // namespace aloft::inference::ort
