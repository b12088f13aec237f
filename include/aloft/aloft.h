/* The device library for C, and for whatever can call C (Python by ctypes, Rust, C#, ...): load a
   module, make a runtime, call the module's functions with MessagePack bytes, here or at an edge.

     aloft_module *module = NULL;
     aloft_module_open("greet.wasm", &module, NULL);
     aloft_options *options = aloft_options_new();
     aloft_options_add_module(options, module);
     aloft_options_add_edge(options, "127.0.0.1:7411");
     aloft_runtime *runtime = NULL;
     if (aloft_runtime_new(options, &runtime, &error) != ALOFT_OK) ...
     aloft_runtime_wait(runtime, 5000, NULL);
     aloft_result *result = NULL;
     aloft_call(runtime, "demo::greet", arguments, size, NULL, &result, &error);

   What the bytes of arguments and results are, docs/guest-abi.md says: one MessagePack array with
   an element for each parameter, and one value. C++ programs use <aloft/runtime.h> in its place,
   which does all this with types.

   STABILITY. This interface only grows: what is in it stays, with its meaning, within
   ALOFT_C_API_VERSION. All symbols have the version ALOFT_C_1. Structures that a caller makes begin
   with their own size, so that they may grow, too.

   OWNERSHIP. Whatever a function makes (a `**` parameter, or the result of aloft_options_new) is
   the caller's, and ends with the function named _free, _close or _end of its type; NULL is allowed
   there. Strings and bytes that are handed in are copied unless it says otherwise. Those that come
   out belong to the object that they were asked of, and live as long as it does.

   THREADS. All functions may be called from any thread, for the same object as well, except where
   an object is being set up (aloft_options, aloft_module_set_native) or ended: one thread at a time
   there. Callbacks come from any thread, several at once; they must not block for long, must not
   throw or longjmp, and must not end the runtime.

   ERRORS. ALOFT_OK, or why not; with an `error` that is not NULL, a text as well, which is the
   caller's to free. What a function would have made is NULL then. No C++ exception comes out. */
#ifndef ALOFT_ALOFT_H
#define ALOFT_ALOFT_H

#include <stddef.h>
#include <stdint.h>

#define ALOFT_C_API_VERSION 1

#if defined(__GNUC__)
#define ALOFT_C_API __attribute__((visibility("default")))
#else
#define ALOFT_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Why something failed, coarse enough to act on; the numbers never change. <aloft/result.h> says
   more of each. */
typedef enum aloft_code {
  ALOFT_OK = 0,
  ALOFT_INVALID_ARGUMENT = 1,
  ALOFT_NOT_FOUND = 2,
  ALOFT_REFUSED = 3,
  ALOFT_UNREACHABLE = 4,
  ALOFT_VERSION_MISMATCH = 5,
  ALOFT_SIGNATURE_MISMATCH = 6,
  ALOFT_PROTOCOL = 7,
  ALOFT_CORRUPT = 8,
  ALOFT_OVERLOADED = 9,
  ALOFT_DEADLINE_EXCEEDED = 10,
  ALOFT_CANCELLED = 11,
  ALOFT_RESOURCE_EXHAUSTED = 12,
  ALOFT_TRAPPED = 13,
  ALOFT_INTERNAL = 14,
  ALOFT_INTERRUPTED = 15
} aloft_code;

typedef struct aloft_error aloft_error;
typedef struct aloft_module aloft_module;
typedef struct aloft_options aloft_options;
typedef struct aloft_runtime aloft_runtime;
typedef struct aloft_result aloft_result;
typedef struct aloft_future aloft_future;
typedef struct aloft_object aloft_object;
typedef struct aloft_reply aloft_reply;

/* ALOFT_C_API_VERSION of the library; its release, "0.1.0"; "not_found" of a code. */
ALOFT_C_API uint32_t aloft_api_version(void);
ALOFT_C_API const char* aloft_version(void);
ALOFT_C_API const char* aloft_code_name(aloft_code code);

ALOFT_C_API aloft_code aloft_error_code(const aloft_error* error);
/* For people: what was wrong and what to do. */
ALOFT_C_API const char* aloft_error_message(const aloft_error* error);
ALOFT_C_API void aloft_error_free(aloft_error* error);

/* --- Modules -------------------------------------------------------------------------------- */

/* A module file made by aloft-cc (or any that docs/guest-abi.md describes). NOT_FOUND, CORRUPT,
   INVALID_ARGUMENT (it has no manifest). */
ALOFT_C_API aloft_code aloft_module_open(const char* file, aloft_module** module,
                                         aloft_error** error);
/* Runtimes and objects that use it go on. */
ALOFT_C_API void aloft_module_close(aloft_module* module);
ALOFT_C_API const char* aloft_module_name(const aloft_module* module);
ALOFT_C_API const char* aloft_module_digest(const aloft_module* module); /* "sha256:..." */
ALOFT_C_API size_t aloft_module_function_count(const aloft_module* module);
/* NULL where there is none: "demo::add" and "demo::add(i32,i32)->i32". */
ALOFT_C_API const char* aloft_module_function_name(const aloft_module* module, size_t index);
ALOFT_C_API const char* aloft_module_function_signature(const aloft_module* module, size_t index);

/* A function of the caller's own that computes here what the module's function computes at an edge.
   `arguments` live until it returns. It answers by one of aloft_reply_set and aloft_reply_fail. */
typedef void (*aloft_native)(void* context, const uint8_t* arguments, size_t size,
                             aloft_reply* reply);
ALOFT_C_API void aloft_reply_set(aloft_reply* reply, const uint8_t* result, size_t size);
ALOFT_C_API void aloft_reply_fail(aloft_reply* reply, aloft_code code, const char* message);
/* For runtimes that are made after it. A function without one runs at edges only, whatever the
   policy says. INVALID_ARGUMENT for one that the module does not have, or for a method. */
ALOFT_C_API aloft_code aloft_module_set_native(aloft_module* module, const char* function,
                                               aloft_native native, void* context,
                                               aloft_error** error);

/* --- A runtime ------------------------------------------------------------------------------ */

/* What a runtime is made with; it may be freed, or used again, once one is made. NULL: no memory.
   What is wrong with a value, aloft_runtime_new says. */
ALOFT_C_API aloft_options* aloft_options_new(void);
ALOFT_C_API void aloft_options_free(aloft_options* options);
ALOFT_C_API void aloft_options_add_module(aloft_options* options, const aloft_module* module);
ALOFT_C_API void aloft_options_add_edge(aloft_options* options, const char* host_and_port);
/* A model by the name that modules use, and its ONNX file. */
ALOFT_C_API void aloft_options_add_model(aloft_options* options, const char* graph,
                                         const char* file);
/* PEM files, or NULL: whom to trust, and what this device shows. Without any, all is in clear. */
ALOFT_C_API void aloft_options_set_tls(aloft_options* options, const char* authority,
                                       const char* certificate, const char* key);
/* As policy_by_name() of <aloft/policy.h>: "remote" (unless set), "local", "every:50",
   "min_latency", ... */
ALOFT_C_API void aloft_options_set_policy(aloft_options* options, const char* policy);
/* An edge that takes longer than this has failed a call; 5000 unless set. */
ALOFT_C_API void aloft_options_set_call_timeout(aloft_options* options, uint32_t milliseconds);
/* Lines of the log, in place of standard error: 0 debug, 1 info, 2 warning, 3 error; what is below
   `lowest` is left out. `line` lives until it returns. */
typedef void (*aloft_log)(void* context, int level, const char* line);
ALOFT_C_API void aloft_options_set_log(aloft_options* options, aloft_log log, void* context,
                                       int lowest);

/* Starts connecting to the edges. Of this interface's runtimes one at a time lives in a process:
   REFUSED for a second one. INVALID_ARGUMENT, NOT_FOUND, and what is wrong with a model. */
ALOFT_C_API aloft_code aloft_runtime_new(const aloft_options* options, aloft_runtime** runtime,
                                         aloft_error** error);
/* Ends what is under way with CANCELLED, and waits for it. Futures are still to be freed. */
ALOFT_C_API void aloft_runtime_end(aloft_runtime* runtime);
/* Until an edge has opened every module. Its own reason at once where it refuses one, else
   UNREACHABLE. */
ALOFT_C_API aloft_code aloft_runtime_wait(aloft_runtime* runtime, uint32_t milliseconds,
                                          aloft_error** error);
ALOFT_C_API aloft_code aloft_runtime_set_policy(aloft_runtime* runtime, const char* policy,
                                                aloft_error** error);

/* Since the runtime was made. `struct_size` is the caller's sizeof(aloft_statistics): no more than
   that is written. */
typedef struct aloft_statistics {
  size_t struct_size;
  uint64_t calls_here;
  uint64_t calls_at_edge;
  uint64_t calls_fell_back; /* of those here: an edge should have run them, and failed */
  uint64_t calls_failed;    /* have no result */
  uint64_t sent_bytes;      /* on the links, all of it */
  uint64_t received_bytes;
  uint32_t edges;
  uint32_t edges_ready;
} aloft_statistics;
ALOFT_C_API void aloft_runtime_statistics(const aloft_runtime* runtime,
                                          aloft_statistics* statistics);

/* --- Calls ---------------------------------------------------------------------------------- */

/* Places: an edge by its number (0: the first that was added), or one of these. */
#define ALOFT_HERE (-1)
#define ALOFT_ANY_EDGE (-2)
#define ALOFT_BY_POLICY (-3)

typedef struct aloft_call_options {
  size_t struct_size; /* sizeof(aloft_call_options) */
  int32_t place;
  int64_t deadline_ns; /* from now to the result; 0: none */
} aloft_call_options;
#define ALOFT_CALL_OPTIONS_INIT {sizeof(aloft_call_options), ALOFT_BY_POLICY, 0}

/* Runs `function`, of a module of the runtime's or of one that is compiled into the program, to its
   end. Options of NULL: by policy. Errors are those of aloft::Future::get(); NOT_FOUND (no such
   function), UNREACHABLE (it has no native version, and no edge is ready). */
ALOFT_C_API aloft_code aloft_call(aloft_runtime* runtime, const char* function,
                                  const uint8_t* arguments, size_t size,
                                  const aloft_call_options* options, aloft_result** result,
                                  aloft_error** error);
ALOFT_C_API const uint8_t* aloft_result_data(const aloft_result* result);
ALOFT_C_API size_t aloft_result_size(const aloft_result* result);
/* Where it was computed: ALOFT_HERE or an edge; why the call went where it was sent first; from the
   call to the result; of that, in the guest (0 here); on the wire. */
ALOFT_C_API int32_t aloft_result_place(const aloft_result* result);
ALOFT_C_API const char* aloft_result_reason(const aloft_result* result);
ALOFT_C_API int64_t aloft_result_latency_ns(const aloft_result* result);
ALOFT_C_API int64_t aloft_result_guest_ns(const aloft_result* result);
ALOFT_C_API uint64_t aloft_result_sent_bytes(const aloft_result* result);
ALOFT_C_API uint64_t aloft_result_received_bytes(const aloft_result* result);
ALOFT_C_API void aloft_result_free(aloft_result* result);

/* The same, begun only. */
ALOFT_C_API aloft_code aloft_call_start(aloft_runtime* runtime, const char* function,
                                        const uint8_t* arguments, size_t size,
                                        const aloft_call_options* options, aloft_future** future,
                                        aloft_error** error);
/* 1: aloft_future_get would not wait. */
ALOFT_C_API int aloft_future_ready(const aloft_future* future);
/* Waits, and takes the result; once. */
ALOFT_C_API aloft_code aloft_future_get(aloft_future* future, aloft_result** result,
                                        aloft_error** error);
ALOFT_C_API void aloft_future_cancel(aloft_future* future);
/* Gives up what has not ended, and waits until nothing of it is under way. */
ALOFT_C_API void aloft_future_free(aloft_future* future);

/* --- Objects that move ---------------------------------------------------------------------- */

/* An object of a class of a module of the runtime's ("demo::Counter"), which begins here, with this
   state: a MessagePack array of its fields. Its methods run at edges, so move it before the first
   call; the runtime keeps a copy of the state, and goes on from it where an edge is lost. */
ALOFT_C_API aloft_code aloft_object_new(aloft_runtime* runtime, const char* class_name,
                                        const uint8_t* state, size_t size, aloft_object** object,
                                        aloft_error** error);
/* `method`: "demo::Counter::add". A method changes the object's state: the calls of one object run
   one after the other. `options->place` is not looked at. */
ALOFT_C_API aloft_code aloft_object_call(aloft_object* object, const char* method,
                                         const uint8_t* arguments, size_t size,
                                         const aloft_call_options* options, aloft_result** result,
                                         aloft_error** error);
/* To an edge, or ALOFT_HERE; waits until it is there. Calls go on meanwhile. UNREACHABLE, REFUSED,
   and what kept the place from taking it: the object is then where it was. */
ALOFT_C_API aloft_code aloft_object_move(aloft_object* object, int32_t place, aloft_error** error);
/* The state that is here: as it was when the object was here last. */
ALOFT_C_API aloft_code aloft_object_state(const aloft_object* object, aloft_result** state,
                                          aloft_error** error);
/* Before its runtime ends. */
ALOFT_C_API void aloft_object_free(aloft_object* object);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ALOFT_ALOFT_H */
