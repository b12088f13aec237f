// A look at the bytes of an ONNX model before any engine gets them.
//
// It answers two questions that engines answer late or badly: is the file whole (a truncated
// upload, a web page saved as .onnx), and does it keep all its weights inside. Weights outside
// ("external data") name files on the machine that loads the model, or even addresses in its
// memory: a model that comes from elsewhere must never be followed there.
//
// The walk visits every field of every message on the way to a tensor, so a length that overruns
// its parent is found wherever it is. It reads the protobuf encoding only; whether the graph makes
// sense is the engine's business.
#pragma once

#include <cstddef>
#include <span>

#include <aloft/result.h>

namespace aloft::inference {

// Errors: corrupt (empty, truncated, not ONNX; says at which byte), refused (external data; names
// the tensor).
[[nodiscard]] Result<void> check_onnx(std::span<const std::byte> model);

}  // namespace aloft::inference
