// The line between a host's daemon and its inference process (aloft-infer), in JSON.
//
//     daemon                                process
//        InferSetup + journal ----------->   gets into its sandbox, makes its engines
//                             <-----------   InferReady, or InferFailed
//        InferClient + socket ----------->   another Execution Handler
//        InferShare           ----------->   as the tenant's sessions come and go
//                             <-----------   InferStuck: a model that does not end; the process
//                             does
//        InferEnd             ----------->
//
// A process whose daemon is gone ends at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <sys/types.h>

#include "host/process/message_line.h"
#include "host/process/sandbox.h"
#include <aloft/result.h>

namespace aloft::host {

struct InferSetup {
  std::filesystem::path root{};  // SandboxOptions
  std::optional<uid_t> user{};
  Need need = Need::everything;
  std::string device = "cpu";  // inference::parse_device
  std::filesystem::path libraries{};
  int threads = 1;                     // of one inference
  int slots = 2;                       // inferences at a time
  std::string batching = "same-bits";  // off, same-bits, any-bits
  std::uint32_t batch_rows = 8;
  std::int64_t batch_wait_us = 2000;
  std::vector<std::string> vouched{};    // sha256:...
  std::vector<std::string> forbidden{};  // sha256:...
  std::uint64_t memory_bytes = 0;        // that it may write to; 0: not limited
};
struct InferShare {
  std::string tenant;
  int inferences = 2;
  std::uint32_t cpu_millicores = 0;
};
struct InferClient {
  InferShare share;
  std::uint64_t memory_bytes = 0, model_bytes = 0;
  std::uint32_t gpus = 0;
};
struct InferEnd {};
struct InferReady {
  std::vector<std::string> missing;  // of its sandbox
  std::string engine;                // its description
  std::string accelerated;           // that of the engine for tenants with a GPU; empty: none
  std::vector<std::string> gpus;     // by name
};
struct InferFailed {
  std::string why;
};
struct InferStuck {
  std::string model;  // sha256:...
  std::string why;
};

using InferMessage = std::variant<InferSetup, InferClient, InferShare, InferEnd, InferReady,
                                  InferFailed, InferStuck>;

template <>
struct MessageText<InferMessage> {
  [[nodiscard]] static std::string encode(const InferMessage& message);
  [[nodiscard]] static Result<InferMessage> decode(std::string_view text);
};

using InferLine = MessageLine<InferMessage>;

}  // namespace aloft::host
