#include <aloft/nn.h>
#include <aloft/offload.h>

constexpr const char* kName = "detector";
const aloft::nn::Graph named_elsewhere{kName};
aloft::nn::Graph mutable_graph{"detector"};

ALOFT_OFFLOAD int f(int x) { return named_elsewhere.context() && mutable_graph.context() ? x : 0; }
