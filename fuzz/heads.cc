// Fuzz target: heads of messages, of calls as of the ends of elastic channels.
//
// What must hold beyond not crashing: a head that was understood is understood again when it is
// written, and then is written the same.
#include <array>
#include <cstdint>

#include "channel/endpoint.h"
#include "function/end_protocol.h"
#include "function/protocol.h"
#include "input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aloft::fuzz;
  namespace function = aloft::function;
  const Input input = std::as_bytes(std::span(data, size));
  if (const auto message = function::decode(input)) {
    const auto bytes = function::encode(*message);
    const auto again = function::decode(bytes);
    require(again.has_value(), "a head that was written can be read");
    require(function::encode(*again) == bytes, "a head is written as it was read");
  }
  (void)function::is_end_head(input);
  constexpr std::array<std::uint64_t, 6> kBodies{0, 5, 4096, 8192, 10'000, 1'000'000};
  for (const std::uint64_t body : kBodies) {
    const auto head = function::decode_end(input, body);
    if (!head) continue;
    require(function::is_end_head(input), "an end's head is known for one");
    const auto bytes = function::encode(*head);
    require(bytes.size() <= aloft::channel::kMaxHead, "an end's head is within its bound");
    const auto again = function::decode_end(bytes, body);
    require(again.has_value(), "an end's head that was written can be read");
    require(function::encode(*again) == bytes, "an end's head is written as it was read");
  }
  return 0;
}
