#include "calls.h"

namespace calls {

int call_in_other_file(int x) { return add(x, 2); }

}  // namespace calls
