/* What C that wasm2c (wabt 1.0.32) made of a guest is compiled against: the types and functions
 * that it expects of its run-time system, as aloft has them. The functions are libaloft's
 * (src/device/home/guest_runtime.cc). It stands in for wabt's own header, whose run-time system has
 * one trap target and one stack depth for all threads, and wants the process's signal handlers.
 *
 * Accesses are checked by comparison, so that no signal of the application's is touched. The stack
 * is checked by address: a function whose frame begins below `aloft_translated_stack_end` traps.
 * Memory never moves: it is reserved whole when it is made. */
#ifndef ALOFT_DETAIL_TRANSLATED_WASM_RT_H
#define ALOFT_DETAIL_TRANSLATED_WASM_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  WASM_RT_TRAP_NONE,
  WASM_RT_TRAP_OOB,
  WASM_RT_TRAP_INT_OVERFLOW,
  WASM_RT_TRAP_DIV_BY_ZERO,
  WASM_RT_TRAP_INVALID_CONVERSION,
  WASM_RT_TRAP_UNREACHABLE,
  WASM_RT_TRAP_CALL_INDIRECT,
  WASM_RT_TRAP_EXHAUSTION /* of the stack */
} wasm_rt_trap_t;

typedef enum {
  WASM_RT_I32,
  WASM_RT_I64,
  WASM_RT_F32,
  WASM_RT_F64,
  WASM_RT_FUNCREF,
  WASM_RT_EXTERNREF
} wasm_rt_type_t;

typedef void (*wasm_rt_function_ptr_t)(void);

/* A function in a table: what it is called with first is the instance that it belongs to. */
typedef struct {
  uint32_t func_type;
  wasm_rt_function_ptr_t func;
  void* module_instance;
} wasm_rt_funcref_t;
typedef void* wasm_rt_externref_t;

typedef struct {
  uint8_t* data;
  uint32_t pages, max_pages;
  uint32_t size;     /* bytes */
  uint64_t reserved; /* bytes of address space behind `data` */
} wasm_rt_memory_t;

typedef struct {
  wasm_rt_funcref_t* data;
  uint32_t max_size;
  uint32_t size;
} wasm_rt_funcref_table_t;
typedef struct {
  wasm_rt_externref_t* data;
  uint32_t max_size;
  uint32_t size;
} wasm_rt_externref_table_t;

static const wasm_rt_funcref_t wasm_rt_funcref_null_value = {0, NULL, NULL};
static const wasm_rt_externref_t wasm_rt_externref_null_value = NULL;

/* Ends the guest's call. Called by guests' code alone, on the thread that entered it. */
__attribute__((noreturn)) void aloft_translated_trap(wasm_rt_trap_t why);
/* The number of this type of function, the same one for each type of the same words. Any thread. */
uint32_t aloft_translated_func_type(uint32_t parameters, uint32_t results, ...);
/* On the thread that instantiates a guest, and calls it: within the limits of that guest. */
void aloft_translated_allocate_memory(wasm_rt_memory_t* memory, uint32_t pages, uint32_t max_pages);
uint32_t aloft_translated_grow_memory(wasm_rt_memory_t* memory, uint32_t pages);
void aloft_translated_free_memory(wasm_rt_memory_t* memory);
void aloft_translated_allocate_funcref_table(wasm_rt_funcref_table_t* table, uint32_t elements,
                                             uint32_t max_elements);
uint32_t aloft_translated_grow_funcref_table(wasm_rt_funcref_table_t* table, uint32_t elements,
                                             wasm_rt_funcref_t value);
void aloft_translated_free_funcref_table(wasm_rt_funcref_table_t* table);
void aloft_translated_allocate_externref_table(wasm_rt_externref_table_t* table, uint32_t elements,
                                               uint32_t max_elements);
uint32_t aloft_translated_grow_externref_table(wasm_rt_externref_table_t* table, uint32_t elements,
                                               wasm_rt_externref_t value);
void aloft_translated_free_externref_table(wasm_rt_externref_table_t* table);

#ifdef __cplusplus
}
#endif

/* The rest is for the translated code alone, which is C. */
#ifndef __cplusplus

#define wasm_rt_trap aloft_translated_trap
#define wasm_rt_register_func_type aloft_translated_func_type
#define wasm_rt_allocate_memory aloft_translated_allocate_memory
#define wasm_rt_grow_memory aloft_translated_grow_memory
#define wasm_rt_free_memory aloft_translated_free_memory
#define wasm_rt_allocate_funcref_table aloft_translated_allocate_funcref_table
#define wasm_rt_grow_funcref_table aloft_translated_grow_funcref_table
#define wasm_rt_free_funcref_table aloft_translated_free_funcref_table
#define wasm_rt_allocate_externref_table aloft_translated_allocate_externref_table
#define wasm_rt_grow_externref_table aloft_translated_grow_externref_table
#define wasm_rt_free_externref_table aloft_translated_free_externref_table
#define wasm_rt_is_initialized() true

#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define wasm_rt_memcpy __builtin_memcpy
#define wasm_rt_unreachable __builtin_unreachable

#define WASM_RT_MEMCHECK_SIGNAL_HANDLER 0

/* A translated function begins with `if (++wasm_rt_call_stack_depth >
 * WASM_RT_MAX_CALL_STACK_DEPTH)` and ends with `--wasm_rt_call_stack_depth`. What is counted here
 * is no depth, but where the frame begins, upside down, since stacks grow downward; it is a value
 * of its own each time. A count would say nothing of how large the frames are. */
#define WASM_RT_USE_STACK_DEPTH_COUNT 1
#define wasm_rt_call_stack_depth (*(uintptr_t[1]){~(uintptr_t)__builtin_frame_address(0)})
#define WASM_RT_MAX_CALL_STACK_DEPTH (~aloft_translated_stack_end)

/* Of the guest that runs on this thread: set when it is entered. */
static _Thread_local uintptr_t aloft_translated_stack_end
    __attribute__((tls_model("initial-exec")));

#endif

#endif
