// Fuzz target: the first bytes of a connection.
//
// What must hold beyond not crashing: bytes that make a greeting were never refused while they came
// in, and a greeting that was understood is written again as it was.
#include <algorithm>
#include <string>

#include "input.h"
#include "wire/error_text.h"
#include "wire/greeting.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aloft::fuzz;
  namespace wire = aloft::wire;
  const Input input = std::as_bytes(std::span(data, size));
  bool may_be_one = true;
  for (std::size_t i = 0; i <= std::min(input.size(), wire::kGreetingSize); ++i) {
    const bool start = wire::check_start(input.first(i)).has_value();
    require(may_be_one || !start, "what cannot be a greeting does not become one");
    may_be_one = start;
  }
  if (input.size() < wire::kGreetingSize) return 0;
  const auto greeting = wire::unpack(input.first<wire::kGreetingSize>());
  if (!greeting) return 0;
  require(may_be_one, "a greeting begins as one");
  require(greeting->length <= wire::kMaxHello, "a greeting's payload is within its bound");
  const auto again = wire::unpack(wire::pack(*greeting));
  require(again && *again == *greeting, "a greeting is read as it was written");
  (void)wire::choose_version(wire::kVersions, greeting->versions);
  return 0;
}
