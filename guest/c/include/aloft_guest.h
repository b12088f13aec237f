// The guest SDK for C: what a module in C is made of. docs/languages.md says how it is built and
// sealed, docs/guest-abi.md what goes on underneath.
//
//   #include <aloft_guest.h>
//
//   // ALOFT_OFFLOAD double demo::scaled(double value, std::string_view unit);
//   ALOFT_FUNCTION(demo_scaled, 2) {
//     const double value = aloft_read_f64(in);
//     const aloft_text unit = aloft_read_string(in);
//     if (!aloft_decoded(in)) return;
//     aloft_write_f64(out, value * factor_of(unit));
//   }
//
// The name is the function's qualified one with '_' for "::"; the number is that of its parameters.
// A reader's first failure is kept: what is read after it is 0 or empty, and the caller is told
// that its arguments were none. A guest has one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "aloft_codec.h"
#include "aloft_message.h"

// --- In a call
// Memory until the call ends. Ends the call where there is none.
void* aloft_alloc(size_t size);
// How one ends a call oneself is in aloft_message.h; networks are in wasi_nn.h.

// --- Objects. Their classes, in the order in which the interface declares them; a module without
// classes has none of this.
typedef struct {
  const char* name;  // for messages
  void* (*make)(void);
  void (*destroy)(void* object);
  // The fields that ALOFT_STATE names, in that order.
  uint32_t fields;
  void (*save)(const void* object, aloft_writer* out);
  // A new object with these fields. What it is made of is read, and aloft_decoded() asked, before
  // anything is kept; null where that is no state.
  void* (*load)(aloft_reader* in);
} aloft_class;
extern const aloft_class* const aloft_classes[];  // the last one is null

// --- What the macros are made of
typedef void aloft_function(aloft_reader* in, aloft_writer* out);
typedef void aloft_method(void* self, aloft_reader* in, aloft_writer* out);
const uint32_t* aloft_call(const char* name, aloft_function* function, uint32_t parameters,
                           const uint8_t* arguments, uint32_t size);
const uint32_t* aloft_call_method(const char* name, const aloft_class* of, aloft_method* method,
                                  uint32_t parameters, const uint8_t* arguments, uint32_t size);

#define ALOFT_FUNCTION(name, parameters)                                         \
  static void aloft_body_##name(aloft_reader* in, aloft_writer* out);            \
  __attribute__((export_name(#name)))                                            \
  const uint32_t* aloft_export_##name(const uint8_t* arguments, uint32_t size) { \
    return aloft_call(#name, aloft_body_##name, parameters, arguments, size);    \
  }                                                                              \
  static void aloft_body_##name([[maybe_unused]] aloft_reader* in,               \
                                [[maybe_unused]] aloft_writer* out)

// The same of a method of the class `of` (an aloft_class); its object is `self`.
#define ALOFT_METHOD(of, name, parameters)                                                      \
  static void aloft_body_##name(void* self, aloft_reader* in, aloft_writer* out);               \
  __attribute__((export_name(#name)))                                                           \
  const uint32_t* aloft_export_##name(const uint8_t* arguments, uint32_t size) {                \
    return aloft_call_method(#name, &of, aloft_body_##name, parameters, arguments, size);       \
  }                                                                                             \
  static void aloft_body_##name([[maybe_unused]] void* self, [[maybe_unused]] aloft_reader* in, \
                                [[maybe_unused]] aloft_writer* out)
