#include "inference/ort.h"

namespace aloft::inference::ort {

const OrtApi* api() {
  static const OrtApi* const functions = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  return functions;
}

std::string version() { return OrtGetApiBase()->GetVersionString(); }

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
