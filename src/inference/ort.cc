#include "inference/ort.h"

#include <atomic>

#include <dlfcn.h>

namespace aloft::inference::ort {

namespace {

struct Library {
  const OrtApiBase* base = nullptr;
  const OrtApi* functions = nullptr;
};

// One a process: handles do not say whose they are.
std::atomic<const Library*>& in_use() {
  static std::atomic<const Library*> library = nullptr;
  return library;
}

const Library& library() {
  if (const Library* const chosen = in_use().load()) return *chosen;
  static const Library linked{OrtGetApiBase(), OrtGetApiBase()->GetApi(ORT_API_VERSION)};
  const Library* none = nullptr;
  in_use().compare_exchange_strong(none, &linked);
  return *in_use().load();
}

}  // namespace

const OrtApi* api() { return library().functions; }

std::string version() { return library().base->GetVersionString(); }

std::filesystem::path folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&OrtGetApiBase), &info) == 0 ||
      info.dli_fname == nullptr)
    return {};
  return std::filesystem::path(info.dli_fname).parent_path();
}

Result<void> use_library(const std::filesystem::path& file) {
  // Its own functions come first: those of the linked one have the same names.
  void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (handle == nullptr)
    return fail(Errc::not_found, "cannot load ONNX Runtime: " + std::string(::dlerror()));
  const auto get = reinterpret_cast<const OrtApiBase* (*)()>(::dlsym(handle, "OrtGetApiBase"));
  static Library chosen;
  if (get == nullptr) return fail(Errc::not_found, file.string() + " is no ONNX Runtime");
  const OrtApi* const functions = get()->GetApi(ORT_API_VERSION);
  if (functions == nullptr) {
    return fail(Errc::refused, file.string() + " is ONNX Runtime " + get()->GetVersionString() +
                                   ", older than the interface aloft was built for (" +
                                   std::to_string(ORT_API_VERSION) + ")");
  }
  chosen = {get(), functions};
  const Library* none = nullptr;
  if (!in_use().compare_exchange_strong(none, &chosen) && none != &chosen)
    return fail(Errc::refused, "another ONNX Runtime is in use in this process already");
  return {};
}

Result<void> check(OrtStatus* status, Errc code) {
  if (status == nullptr) return {};
  const Handle<OrtStatus> owned{status};
  return fail(code, api()->GetErrorMessage(status));
}

Errc load_errc(OrtErrorCode code) {
  switch (code) {
    case ORT_INVALID_PROTOBUF:
    case ORT_INVALID_GRAPH:
    case ORT_NO_MODEL: return Errc::corrupt;
    case ORT_FAIL:
    case ORT_INVALID_ARGUMENT:
    case ORT_NOT_IMPLEMENTED: return Errc::refused;
    default: return Errc::internal;
  }
}

}  // namespace aloft::inference::ort
