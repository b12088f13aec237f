/* hello MANAGER KEYS MODULE: the same function, from C. */
#include <stdio.h>

#include <aloft/aloft_cluster.h>

static int failed(aloft_error* error) {
  fprintf(stderr, "error: %s\n", aloft_error_message(error));
  return 1;
}

int main(int argc, char** argv) {
  static const uint8_t ada[] = {0x91, 0xa3, 'A', 'd', 'a'};
  char authority[4096], certificate[4096], key[4096];
  aloft_error* error = NULL;
  aloft_module* module = NULL;
  aloft_runtime* runtime = NULL;
  aloft_result* result = NULL;
  if (argc != 4) return 2;
  snprintf(authority, sizeof authority, "%s/ca.pem", argv[2]);
  snprintf(certificate, sizeof certificate, "%s/tenant-default.pem", argv[2]);
  snprintf(key, sizeof key, "%s/tenant-default.key", argv[2]);

  aloft_options* options = aloft_options_new();
  if (aloft_module_open(argv[3], &module, &error) != ALOFT_OK) return failed(error);
  aloft_options_add_module(options, module);
  if (aloft_options_join_cluster(options, argv[1], authority, certificate, key, &error) != ALOFT_OK)
    return failed(error);
  if (aloft_runtime_new(options, &runtime, &error) != ALOFT_OK) return failed(error);
  if (aloft_runtime_wait(runtime, 30000, &error) != ALOFT_OK) return failed(error);
  if (aloft_call(runtime, "greet::greeting", ada, sizeof ada, NULL, &result, &error) != ALOFT_OK)
    return failed(error);
  /* A MessagePack string of 32 to 255 bytes, or a shorter one. */
  const uint8_t* bytes = aloft_result_data(result);
  const int head = bytes[0] == 0xd9 ? 2 : 1;
  printf("%.*s\n", (int)aloft_result_size(result) - head, (const char*)bytes + head);
  aloft_result_free(result);
  aloft_runtime_end(runtime);
  aloft_options_free(options);
  aloft_module_close(module);
  return 0;
}
