#include "calls.h"

namespace calls {

int call_in_static_library(int x) { return add(x, 3); }

}  // namespace calls
