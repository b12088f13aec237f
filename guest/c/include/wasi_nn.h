// wasi-nn for guests in C: the imports of `wasi_ephemeral_nn` (core ABI;
// github.com/WebAssembly/wasi-nn). Needs nothing of aloft: a guest that includes this runs on any
// host with wasi-nn.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define WASI_NN_IMPORT(name) __attribute__((import_module("wasi_ephemeral_nn"), import_name(name)))

// What every function answers.
enum {
  WASI_NN_OK = 0,
  WASI_NN_INVALID_ARGUMENT = 1,
  WASI_NN_INVALID_ENCODING = 2,
  WASI_NN_MISSING_MEMORY = 3,
  WASI_NN_BUSY = 4,
  WASI_NN_RUNTIME_ERROR = 5,
  WASI_NN_UNSUPPORTED_OPERATION = 6,
  WASI_NN_TOO_LARGE = 7,
  WASI_NN_NOT_FOUND = 8,
};
enum { WASI_NN_ENCODING_ONNX = 1, WASI_NN_ENCODING_AUTODETECT = 5 };
enum { WASI_NN_TARGET_CPU = 0, WASI_NN_TARGET_GPU = 1, WASI_NN_TARGET_TPU = 2 };
enum {
  WASI_NN_F16 = 0,
  WASI_NN_F32 = 1,
  WASI_NN_F64 = 2,
  WASI_NN_U8 = 3,
  WASI_NN_I32 = 4,
  WASI_NN_I64 = 5
};

typedef uint32_t wasi_nn_graph;
typedef uint32_t wasi_nn_context;

// A piece of a model: ONNX is one piece.
typedef struct {
  const void* data;
  uint32_t size;
} wasi_nn_builder;

typedef struct {
  const uint32_t* dims;
  uint32_t dims_length;
  uint8_t type;
  const void* data;
  uint32_t size;  // bytes
} wasi_nn_tensor;
_Static_assert(sizeof(wasi_nn_tensor) == 20, "the layout that hosts read");

WASI_NN_IMPORT("load")
int32_t wasi_nn_load(const wasi_nn_builder* builders, uint32_t count, int32_t encoding,
                     int32_t target, wasi_nn_graph* graph);
WASI_NN_IMPORT("load_by_name")
int32_t wasi_nn_load_by_name(const char* name, uint32_t length, wasi_nn_graph* graph);
WASI_NN_IMPORT("init_execution_context")
int32_t wasi_nn_init_execution_context(wasi_nn_graph graph, wasi_nn_context* context);
// The tensor's bytes must stay as they are until wasi_nn_compute has returned.
WASI_NN_IMPORT("set_input")
int32_t wasi_nn_set_input(wasi_nn_context context, uint32_t index, const wasi_nn_tensor* tensor);
WASI_NN_IMPORT("compute")
int32_t wasi_nn_compute(wasi_nn_context context);
WASI_NN_IMPORT("get_output")
int32_t wasi_nn_get_output(wasi_nn_context context, uint32_t index, void* buffer, uint32_t size,
                           uint32_t* written);
