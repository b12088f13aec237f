// All of a guest's access to the world, in one interface: what is not given here, a guest does not
// have.
//
// Besides this a guest reads clocks and random numbers (WASI preview 1) and nothing else: no files,
// no sockets, no arguments, no environment, an empty standard input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "inference/engine.h"
#include <aloft/result.h>

namespace aloft::runtime {

enum class GuestStream : std::uint8_t { standard_output, standard_error };

// Thread rule: called on the thread that calls into the instance, one call at a time.
class HostServices {
 public:
  virtual ~HostServices() = default;

  // A line that the guest wrote, without its newline; a line without an end comes when the call
  // ends, one longer than 4 KiB in pieces.
  virtual void on_line(GuestStream stream, std::string_view line) = 0;

  // wasi-nn's load_by_name. Errors: not_found; overloaded when it is there and cannot be used now.
  [[nodiscard]] virtual Result<std::shared_ptr<inference::Graph>> graph_by_name(
      std::string_view name) = 0;
  // wasi-nn's load of an ONNX model that the guest holds. `model` is valid during the call. Errors:
  // as inference::Engine::load_onnx; refused where guests may not bring models of their own.
  [[nodiscard]] virtual Result<std::shared_ptr<inference::Graph>> load_graph(
      std::span<const std::byte> model) = 0;
};

}  // namespace aloft::runtime
