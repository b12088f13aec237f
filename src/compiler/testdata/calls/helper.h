#pragma once

#include "calls.h"

namespace calls {

Point scaled(Point point, float factor);
ALOFT_OFFLOAD int defined_only_here(int x);

}  // namespace calls
