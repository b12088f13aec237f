// A guest whose model the host has under a name: wasi-nn's `load_by_name`.
#include "doubling.h"

__attribute__((export_name("run"))) int32_t run(void) {
  static const char kName[] = "doubling";
  wasi_nn_graph graph = 0;
  const int32_t error = wasi_nn_load_by_name(kName, sizeof kName - 1, &graph);
  return error != WASI_NN_OK ? error : double_four_numbers(graph);
}
