/* What the test programs in C share: claims, and a program that plays one of its scenarios. Each
   program is one file, so that all here is static. */
#ifndef ALOFT_TESTS_C_CHECKS_H
#define ALOFT_TESTS_C_CHECKS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <aloft/aloft.h>

/* A folder of modules, and HOST:PORT: the program's arguments. */
static const char* modules;
static const char* edge;

/* Ends the program with a line that says which claim does not hold. */
#define CHECK(claim)                                                     \
  do {                                                                   \
    if (!(claim)) {                                                      \
      fprintf(stderr, "error: line %d: not so: %s\n", __LINE__, #claim); \
      exit(1);                                                           \
    }                                                                    \
  } while (0)
#define CHECK_CODE(expected, call)                                                          \
  do {                                                                                      \
    const aloft_code is = (call);                                                           \
    if (is != (expected)) {                                                                 \
      fprintf(stderr, "error: line %d: %s: %s: %s\n", __LINE__, #call, aloft_code_name(is), \
              aloft_error_message(error));                                                  \
      exit(1);                                                                              \
    }                                                                                       \
  } while (0)

/* Takes the error that is there: its text has these words. */
static void expect_words(aloft_error** error, const char* words) {
  CHECK(*error != NULL);
  if (strstr(aloft_error_message(*error), words) == NULL) {
    fprintf(stderr, "error: not about '%s': %s\n", words, aloft_error_message(*error));
    exit(1);
  }
  aloft_error_free(*error);
  *error = NULL;
}

static aloft_module* open_module(const char* name) {
  char path[4096];
  aloft_error* error = NULL;
  aloft_module* module = NULL;
  snprintf(path, sizeof path, "%s/%s.wasm", modules, name);
  CHECK_CODE(ALOFT_OK, aloft_module_open(path, &module, &error));
  return module;
}

static aloft_runtime* make_runtime(aloft_module* module, const char* policy) {
  aloft_error* error = NULL;
  aloft_runtime* runtime = NULL;
  aloft_options* options = aloft_options_new();
  aloft_options_add_module(options, module);
  aloft_options_add_edge(options, edge);
  if (policy != NULL) aloft_options_set_policy(options, policy);
  CHECK_CODE(ALOFT_OK, aloft_runtime_new(options, &runtime, &error));
  aloft_options_free(options);
  return runtime;
}

static void wait_ready(aloft_runtime* runtime) {
  aloft_error* error = NULL;
  CHECK_CODE(ALOFT_OK, aloft_runtime_wait(runtime, 30000, &error));
}

static void expect_bytes(const aloft_result* result, const char* bytes, size_t size) {
  CHECK(aloft_result_size(result) == size);
  CHECK(memcmp(aloft_result_data(result), bytes, size) == 0);
}

typedef struct scenario {
  const char* name;
  void (*run)(void);
} scenario;

/* main() of PROGRAM SCENARIO MODULES EDGE; the last scenario has no name. */
static int play(int argc, char** argv, const scenario* scenarios) {
  CHECK(argc == 4);
  modules = argv[2];
  edge = argv[3];
  for (; scenarios->name != NULL; ++scenarios) {
    if (strcmp(scenarios->name, argv[1]) != 0) continue;
    scenarios->run();
    printf("ok\n");
    return 0;
  }
  fprintf(stderr, "error: there is no scenario %s\n", argv[1]);
  return 2;
}

#endif /* ALOFT_TESTS_C_CHECKS_H */
