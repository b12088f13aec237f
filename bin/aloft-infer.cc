// aloft-infer: the inference process of a host, which owns its models and its accelerator.
// aloft-host starts it; people never do.
#include <cstdio>
#include <string_view>

#include "host/infer_worker.h"
#include "ops/log.h"

int main(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--help") {
    std::puts(
        "aloft-infer: owns the models and the accelerator of a host, and infers for its tenants.\n"
        "aloft-host starts it where its configuration says inference = \"process\"; its settings "
        "are\nthere (aloft-host --help, inference.*).");
    return 0;
  }
  if (first != "--host") {
    std::fputs("error: aloft-host starts aloft-infer; there is nothing to start by hand\n", stderr);
    return 2;
  }
  aloft::ops::start_logging("aloft-infer", argc > 2 ? argv[2] : "info",
                            aloft::ops::parse_log_format(argc > 3 ? argv[3] : "text"));
  return aloft::host::serve_inference();
}
