#pragma once

#include <string>

#include <aloft/offload.h>

namespace greet {

ALOFT_OFFLOAD std::string greeting(const std::string& name);

}  // namespace greet
