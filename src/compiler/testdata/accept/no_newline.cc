#include <aloft/offload.h>
ALOFT_OFFLOAD int last(int x) { return x; } // no newline follows