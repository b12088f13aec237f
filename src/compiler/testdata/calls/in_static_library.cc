#include "calls.h"
#include "counter.h"

namespace calls {

int call_in_static_library(int x) { return add(x, 3); }

std::int64_t count_in_static_library(Counter& counter) { return counter.add(3); }

}  // namespace calls
