// What Wasmtime's C API leaves out and aloft needs; implemented in Rust in ../src/lib.rs.
//
// Strings are UTF-8, not NUL-terminated, and live until the callback that they were passed to
// returns. All functions are thread-safe in so far as the objects that they are given are.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <wasm.h>
#include <wasmtime.h>

#ifdef __cplusplus
extern "C" {
#endif

// Whether the DWARF sections of a module are kept in what is compiled from it, so that a trap names
// the file and line of the guest's source. Also holds for compiled modules that were serialized and
// are loaded again. Both the engine that compiles and the one that loads must have the same
// setting.
void aloft_wasmtime_config_backtrace_details_set(wasm_config_t* config, bool enable);

// Like wasm_engine_new_with_config, but a configuration that cannot be had on this machine is an
// error to handle, where that function aborts the process. Takes ownership of `config` in either
// case. `*engine` is written upon success only, and the caller owns it.
wasmtime_error_t* aloft_wasmtime_engine_new(wasm_config_t* config, wasm_engine_t** engine);

// A number that two engines share when each can load what the other has compiled: version,
// settings, target and CPU features. The key of a cache of compiled modules.
uint64_t aloft_wasmtime_engine_compatibility_hash(const wasm_engine_t* engine);

// A place in a guest's source. `file` is empty and `line` 0 where the module has no DWARF for it;
// `function` is empty where not even its name is known.
typedef struct aloft_wasmtime_symbol {
  const char* function;
  size_t function_size;
  const char* file;
  size_t file_size;
  uint32_t line;
  uint32_t column;
} aloft_wasmtime_symbol_t;

typedef void (*aloft_wasmtime_symbol_callback_t)(void* env, const aloft_wasmtime_symbol_t* symbol);

// Calls `callback` once for each source place of the guest's stack, innermost first; a call that
// was inlined is a place of its own. Not called at all where the trap or error carries no stack.
void aloft_wasmtime_trap_symbols(const wasm_trap_t* trap, aloft_wasmtime_symbol_callback_t callback,
                                 void* env);
void aloft_wasmtime_error_symbols(const wasmtime_error_t* error,
                                  aloft_wasmtime_symbol_callback_t callback, void* env);

// The message alone ("wasm trap: integer divide by zero"), without the stack that wasm_trap_message
// and wasmtime_error_message append. `callback` is called exactly once.
typedef void (*aloft_wasmtime_text_callback_t)(void* env, const char* text, size_t size);
void aloft_wasmtime_trap_text(const wasm_trap_t* trap, aloft_wasmtime_text_callback_t callback,
                              void* env);
void aloft_wasmtime_error_text(const wasmtime_error_t* error,
                               aloft_wasmtime_text_callback_t callback, void* env);

#ifdef __cplusplus
}
#endif
