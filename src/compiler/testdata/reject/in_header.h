#pragma once

#include <aloft/offload.h>

ALOFT_OFFLOAD int in_a_header(int x) { return x; }
