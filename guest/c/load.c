// A guest that brings its model along: wasi-nn's `load` with the bytes of an ONNX file.
#include "doubling.h"

static const unsigned char kModel[] = {
#embed "doubling.onnx"
};

__attribute__((export_name("run"))) int32_t run(void) {
  const wasi_nn_builder builder = {.data = kModel, .size = sizeof kModel};
  wasi_nn_graph graph = 0;
  const int32_t error =
      wasi_nn_load(&builder, 1, WASI_NN_ENCODING_ONNX, WASI_NN_TARGET_CPU, &graph);
  return error != WASI_NN_OK ? error : double_four_numbers(graph);
}
