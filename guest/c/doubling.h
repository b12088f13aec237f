// What both example guests do once they have a graph: double four numbers, and say them.
#pragma once

#include <stdio.h>

#include "wasi_nn.h"

// 0, or the first errno other than that.
static int32_t double_four_numbers(wasi_nn_graph graph) {
  wasi_nn_context context = 0;
  int32_t error = wasi_nn_init_execution_context(graph, &context);
  if (error != WASI_NN_OK) return error;

  const float input[4] = {1.0F, -2.5F, 0.0F, 21.0F};
  const uint32_t dims[2] = {1, 4};
  const wasi_nn_tensor tensor = {
      .dims = dims, .dims_length = 2, .type = WASI_NN_F32, .data = input, .size = sizeof input};
  error = wasi_nn_set_input(context, 0, &tensor);
  if (error != WASI_NN_OK) return error;
  error = wasi_nn_compute(context);
  if (error != WASI_NN_OK) return error;

  float output[4];
  uint32_t written = 0;
  error = wasi_nn_get_output(context, 0, output, sizeof output, &written);
  if (error != WASI_NN_OK) return error;
  printf("%u bytes: %g %g %g %g\n", (unsigned)written, (double)output[0], (double)output[1],
         (double)output[2], (double)output[3]);
  return WASI_NN_OK;
}
