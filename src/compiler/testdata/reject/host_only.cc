#include <emmintrin.h>

#include <aloft/offload.h>

#if defined(__wasm__)
int level() { return no_such_name; }
#else
int level() { return 1; }
#endif

ALOFT_OFFLOAD int f(int x) { return x + level(); }
