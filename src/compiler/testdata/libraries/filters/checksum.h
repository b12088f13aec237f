#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fletcher's, of 32 bits. */
uint32_t checksum(const uint8_t* bytes, size_t size);

#ifdef __cplusplus
}
#endif
