// What the inference process of a host does: gets into its sandbox, makes its engines, and serves
// the Execution Handlers whose sockets the daemon hands over (infer_line.h), until the daemon ends
// it or is gone.
#pragma once

namespace aloft::host {

// The daemon leaves its end of the line here.
inline constexpr int kInferLineDescriptor = 3;

// From the start of the process to its end; it must have one thread. Gives its exit status.
[[nodiscard]] int serve_inference();

}  // namespace aloft::host
