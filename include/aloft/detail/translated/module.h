/* A guest that was translated to C and linked into this program, as libaloft sees it. aloft-cc
 * writes one for a foreign module with a home (docs/languages.md), beside the code that wasm2c
 * made. All of it is static storage. */
#ifndef ALOFT_DETAIL_TRANSLATED_MODULE_H
#define ALOFT_DETAIL_TRANSLATED_MODULE_H

#include <stddef.h>
#include <stdint.h>

#include <aloft/detail/translated/wasm-rt.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which of the two it is, the import's type says. */
typedef union {
  uint32_t i32;
  uint64_t i64;
} aloft_translated_value;

typedef struct {
  const char* module;
  const char* name;
  const char* type; /* of its parameters, a letter each: i is i32, I is i64 */
  int has_result;   /* an i32 */
} aloft_translated_import;

/* A function of i32 parameters whose result is an i32 or nothing (then it answers 0). */
typedef struct {
  const char* name;
  size_t parameters;
  uint32_t (*call)(void* instance, const uint32_t* arguments);
} aloft_translated_export;

typedef struct aloft_translated_module {
  const char* name;
  size_t instance_bytes;
  /* Once, before anything else. */
  void (*prepare)(void);
  /* Makes an instance in `instance_bytes` bytes, all zero: may trap. `host` goes to its imports. */
  void (*make)(void* instance, void* host);
  /* Gives back what make() set aside, or the part of it that it came to. */
  void (*drop)(void* instance);
  wasm_rt_memory_t* (*memory)(void* instance);
  /* On the thread that is about to enter the guest: frames that begin below it trap. */
  void (*set_stack_end)(uintptr_t end);
  const aloft_translated_import* imports;
  size_t import_count;
  const aloft_translated_export* exports;
  size_t export_count;
} aloft_translated_module;

/* What an import does: calls the host's function, and does not return where the call ends there. */
uint32_t aloft_translated_call_import(void* host, uint32_t import,
                                      const aloft_translated_value* arguments);

#ifdef __cplusplus
}
#endif

#endif
