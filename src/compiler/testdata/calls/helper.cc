#include "helper.h"

namespace calls {

Point scaled(Point point, float factor) { return {point.x * factor, point.y * factor}; }

}  // namespace calls
