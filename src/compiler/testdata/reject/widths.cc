#include <cstdint>

#include <aloft/offload.h>

#if defined(__wasm__)
using Number = float;
#else
using Number = double;
#endif

ALOFT_OFFLOAD int fast(std::int_fast16_t x) { return static_cast<int>(x); }
ALOFT_OFFLOAD Number number(Number x) { return x; }
#if !defined(__wasm__)
ALOFT_OFFLOAD int only_here(int x) { return x; }
#endif
