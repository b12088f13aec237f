#include <aloft/offload.h>

ALOFT_OFFLOAD int f(int x) { return y; }
