#include "calls.h"
#include "counter.h"

namespace calls {

int call_in_other_file(int x) { return add(x, 2); }

std::int64_t count_in_other_file(Counter& counter) { return counter.add(2); }

}  // namespace calls
