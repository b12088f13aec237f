// NVIDIA's driver (libcuda.so.1) as far as it is asked which GPUs there are, for machines that have
// none: with it a test comes past the driver, to what is looked for behind it, with ONNX Runtime
// itself. It computes nothing. ALOFT_TEST_DRIVER says what it finds: "broken" (it does not start),
// "one" (a GPU); else none.
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

bool is(const char* what) {
  const char* const said = std::getenv("ALOFT_TEST_DRIVER");
  return said != nullptr && std::strcmp(said, what) == 0;
}

}  // namespace

extern "C" {

int cuInit(unsigned) { return is("broken") ? 999 : 0; }

int cuDeviceGetCount(int* count) {
  *count = is("one") ? 1 : 0;
  return 0;
}

int cuDeviceGet(int* device, int index) {
  *device = index;
  return 0;
}

int cuDeviceGetName(char* name, int size, int) {
  std::snprintf(name, static_cast<std::size_t>(size), "a GPU of a test");
  return 0;
}

}  // extern "C"
