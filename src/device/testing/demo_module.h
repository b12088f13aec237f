// A module as aloft-cc would generate it, written by hand for tests: native versions, dispatching
// functions, and what an edge of the test's answers in their place.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "function/testing/scripted_edge.h"
#include <aloft/dispatch.h>

namespace demo {

// The sum. At the edge 1000 more, so that a test sees where it was computed.
std::int32_t add(std::int32_t a, std::int32_t b);
aloft::Future<std::int32_t> add_async(std::int32_t a, std::int32_t b);

// In capitals; at the edge with "!" behind.
std::string shout(const std::string& text);
aloft::Future<std::string> shout_async(const std::string& text);

// Calls add(), and add_async(), from within: both stay in place.
std::int32_t twice(std::int32_t a);

// Gives up by abort_call() when a < 0, throws std::out_of_range when a == 0.
std::int32_t picky(std::int32_t a);
aloft::Future<std::int32_t> picky_async(std::int32_t a);

// Runs `during_gate` natively, then returns a.
std::int32_t gate(std::int32_t a);
aloft::Future<std::int32_t> gate_async(std::int32_t a);
extern std::function<void()> during_gate;

// Has effects: adds to `charged_here`, and returns it. At the edge it is never answered.
std::int32_t charge(std::int32_t a);
aloft::Future<std::int32_t> charge_async(std::int32_t a);
extern std::atomic<std::int32_t> charged_here;

// Doubles the numbers by the model behind the graph "doubler".
std::vector<float> infer(const std::vector<float>& numbers);

// How many bytes the picture has; at the edge the same.
std::int32_t weigh(const aloft::Image& picture);

// While one lives, the module is part of the program.
class Registered {
 public:
  Registered();

 private:
  aloft::detail::ModuleRegistration registration_;
};

// What an edge answers to a call of the module's functions.
std::optional<aloft::function::testing::AutomaticEdge::Answer> answer(
    const aloft::function::Call& call, const aloft::function::testing::Bytes& arguments);

}  // namespace demo
