// The entry of each natively compiled copy of detect_object (detect_bench.cc). `detect` is a macro
// here: the namespace has another name in each copy.
#include "detect.h"

namespace detect {

std::size_t count_objects(const aloft::Image& frame) { return detect_object(frame).size(); }

}  // namespace detect
