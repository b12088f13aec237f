/* A device in C, which checks what <aloft/aloft.h> and <aloft/aloft_cluster.h> say: c_api_test.cc
   runs its scenarios.

     c_device SCENARIO MODULES EDGE     of a folder of modules and HOST:PORT */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "c_checks.h"
#include <aloft/aloft_cluster.h>

/* tally::version(5) is 1 in the module, and 42 in this program. */
static const uint8_t five[] = {0x91, 0x05};
static void answer_42(void* context, const uint8_t* arguments, size_t size, aloft_reply* reply) {
  static const uint8_t forty_two[] = {42};
  CHECK(size == sizeof five && memcmp(arguments, five, size) == 0);
  *(int*)context += 1;
  aloft_reply_set(reply, forty_two, sizeof forty_two);
}
static void give_up(void* context, const uint8_t* arguments, size_t size, aloft_reply* reply) {
  (void)context;
  (void)arguments;
  (void)size;
  aloft_reply_fail(reply, ALOFT_TRAPPED, "I had rather not");
}

static void at_the_edge(void) {
  aloft_error* error = NULL;
  aloft_result* result = NULL;
  aloft_statistics statistics = {.struct_size = sizeof statistics};
  aloft_module* tally = open_module("tally");
  aloft_runtime* runtime = make_runtime(tally, NULL);

  CHECK(strcmp(aloft_module_name(tally), "tally") == 0);
  CHECK(strncmp(aloft_module_digest(tally), "sha256:", 7) == 0);
  CHECK(aloft_module_function_count(tally) == 3);
  CHECK(strcmp(aloft_module_function_name(tally, 0), "tally::version") == 0);
  CHECK(strcmp(aloft_module_function_signature(tally, 0), "tally::version(u32)->u32") == 0);
  CHECK(aloft_module_function_name(tally, 3) == NULL);
  aloft_module_close(tally); /* the runtime goes on with it */

  wait_ready(runtime);
  CHECK_CODE(ALOFT_OK,
             aloft_call(runtime, "tally::version", five, sizeof five, NULL, &result, &error));
  expect_bytes(result, "\x01", 1);
  CHECK(aloft_result_place(result) == 0);
  CHECK(aloft_result_latency_ns(result) > 0);
  CHECK(aloft_result_guest_ns(result) > 0);
  CHECK(aloft_result_sent_bytes(result) > 0 && aloft_result_received_bytes(result) > 0);
  CHECK(aloft_result_reason(result)[0] != '\0');
  aloft_result_free(result);

  aloft_runtime_statistics(runtime, &statistics);
  CHECK(statistics.calls_at_edge == 1 && statistics.calls_here == 0);
  CHECK(statistics.sent_bytes > 0 && statistics.received_bytes > 0);
  CHECK(statistics.edges == 1 && statistics.edges_ready == 1);
  aloft_runtime_end(runtime);
}

static void with_a_native_version(void) {
  aloft_error* error = NULL;
  aloft_result* result = NULL;
  int calls = 0;
  aloft_call_options options = ALOFT_CALL_OPTIONS_INIT;
  aloft_module* tally = open_module("tally");
  CHECK_CODE(ALOFT_OK,
             aloft_module_set_native(tally, "tally::version", &answer_42, &calls, &error));
  aloft_runtime* runtime = make_runtime(tally, "local");
  wait_ready(runtime);

  CHECK_CODE(ALOFT_OK,
             aloft_call(runtime, "tally::version", five, sizeof five, NULL, &result, &error));
  expect_bytes(result, "\x2a", 1);
  CHECK(aloft_result_place(result) == ALOFT_HERE && calls == 1);
  aloft_result_free(result);

  options.place = ALOFT_ANY_EDGE;
  CHECK_CODE(ALOFT_OK,
             aloft_call(runtime, "tally::version", five, sizeof five, &options, &result, &error));
  expect_bytes(result, "\x01", 1);
  aloft_result_free(result);

  CHECK_CODE(ALOFT_OK, aloft_runtime_set_policy(runtime, "remote", &error));
  CHECK_CODE(ALOFT_OK,
             aloft_call(runtime, "tally::version", five, sizeof five, NULL, &result, &error));
  CHECK(aloft_result_place(result) == 0 && calls == 1);
  aloft_result_free(result);
  aloft_runtime_end(runtime);

  /* A runtime has the native versions that its module had when it was made. */
  CHECK_CODE(ALOFT_OK, aloft_module_set_native(tally, "tally::version", &give_up, NULL, &error));
  runtime = make_runtime(tally, "local");
  CHECK_CODE(ALOFT_TRAPPED,
             aloft_call(runtime, "tally::version", five, sizeof five, NULL, &result, &error));
  CHECK(result == NULL);
  expect_words(&error, "I had rather not");
  aloft_runtime_end(runtime);
  aloft_module_close(tally);
}

/* The edge's address is one where nobody listens. */
static void without_an_edge(void) {
  aloft_error* error = NULL;
  aloft_result* result = NULL;
  int calls = 0;
  aloft_statistics statistics = {.struct_size = sizeof statistics};
  aloft_module* tally = open_module("tally");
  aloft_runtime* runtime = make_runtime(tally, NULL);
  CHECK_CODE(ALOFT_UNREACHABLE, aloft_runtime_wait(runtime, 100, &error));
  expect_words(&error, edge);
  CHECK_CODE(ALOFT_UNREACHABLE,
             aloft_call(runtime, "tally::version", five, sizeof five, NULL, &result, &error));
  CHECK(result == NULL);
  aloft_error_free(error);
  /* Whoever wants no text gets the code alone. */
  CHECK(aloft_call(runtime, "tally::version", five, sizeof five, NULL, &result, NULL) ==
        ALOFT_UNREACHABLE);
  aloft_runtime_statistics(runtime, &statistics);
  CHECK(statistics.calls_failed == 2 && statistics.edges_ready == 0);
  aloft_runtime_end(runtime);

  CHECK_CODE(ALOFT_OK,
             aloft_module_set_native(tally, "tally::version", &answer_42, &calls, &error));
  runtime = make_runtime(tally, "remote");
  CHECK_CODE(ALOFT_OK,
             aloft_call(runtime, "tally::version", five, sizeof five, NULL, &result, &error));
  CHECK(aloft_result_place(result) == ALOFT_HERE && calls == 1);
  aloft_result_free(result);
  aloft_runtime_end(runtime);
  aloft_module_close(tally);
}

static void mistakes(void) {
  static const uint8_t no_arguments[] = {0x90};
  aloft_error* error = NULL;
  aloft_result* result = NULL;
  aloft_module* none = NULL;
  aloft_object* object = NULL;
  aloft_runtime* second = NULL;
  aloft_call_options options = {0};
  aloft_module* tally = open_module("tally");
  aloft_options* made = aloft_options_new();

  CHECK_CODE(ALOFT_NOT_FOUND, aloft_module_open("/no/such/module.wasm", &none, &error));
  expect_words(&error, "/no/such/module.wasm");
  CHECK_CODE(ALOFT_CORRUPT, aloft_module_open("/proc/self/exe", &none, &error));
  CHECK(none == NULL);
  aloft_error_free(error);
  CHECK_CODE(ALOFT_INVALID_ARGUMENT, aloft_module_open(NULL, &none, &error));
  expect_words(&error, "file is NULL");
  CHECK_CODE(ALOFT_INVALID_ARGUMENT,
             aloft_module_set_native(tally, "tally::Tally::add", &give_up, NULL, &error));
  expect_words(&error, "method");
  CHECK_CODE(ALOFT_INVALID_ARGUMENT,
             aloft_module_set_native(tally, "tally::sum", &give_up, NULL, &error));
  expect_words(&error, "no function 'tally::sum'");

  aloft_options_set_policy(made, "hopeful");
  CHECK_CODE(ALOFT_INVALID_ARGUMENT, aloft_runtime_new(made, &second, &error));
  expect_words(&error, "min_latency"); /* which ones there are */
  aloft_options_free(made);

  aloft_runtime* runtime = make_runtime(tally, NULL);
  made = aloft_options_new();
  CHECK_CODE(ALOFT_REFUSED, aloft_runtime_new(made, &second, &error));
  expect_words(&error, "aloft_runtime_end");
  CHECK(second == NULL);
  aloft_options_free(made);

  wait_ready(runtime);
  CHECK_CODE(ALOFT_NOT_FOUND,
             aloft_call(runtime, "tally::sum", five, sizeof five, NULL, &result, &error));
  expect_words(&error, "tally::version");
  CHECK_CODE(ALOFT_PROTOCOL,
             aloft_call(runtime, "tally::version", no_arguments, 1, NULL, &result, &error));
  aloft_error_free(error);
  CHECK_CODE(ALOFT_INVALID_ARGUMENT,
             aloft_call(runtime, "tally::version", five, sizeof five, &options, &result, &error));
  expect_words(&error, "ALOFT_CALL_OPTIONS_INIT");
  options = (aloft_call_options)ALOFT_CALL_OPTIONS_INIT;
  options.place = 7;
  CHECK_CODE(ALOFT_INVALID_ARGUMENT,
             aloft_call(runtime, "tally::version", five, sizeof five, &options, &result, &error));
  expect_words(&error, "no place 7");
  options.place = ALOFT_HERE;
  CHECK_CODE(ALOFT_REFUSED,
             aloft_call(runtime, "tally::version", five, sizeof five, &options, &result, &error));
  expect_words(&error, "no native version");
  CHECK_CODE(ALOFT_INVALID_ARGUMENT,
             aloft_call(runtime, "tally::Tally::add", five, sizeof five, NULL, &result, &error));
  expect_words(&error, "aloft_object_call");
  CHECK_CODE(ALOFT_NOT_FOUND,
             aloft_object_new(runtime, "tally::Sum", five, sizeof five, &object, &error));
  expect_words(&error, "tally::Sum");
  CHECK_CODE(ALOFT_INVALID_ARGUMENT, aloft_runtime_set_policy(runtime, "hopeful", &error));
  aloft_error_free(error);

  /* What ends nothing does nothing. */
  aloft_error_free(NULL);
  aloft_result_free(NULL);
  aloft_future_free(NULL);
  aloft_object_free(NULL);
  aloft_options_free(NULL);
  aloft_module_close(NULL);
  aloft_runtime_end(NULL);
  aloft_runtime_end(runtime);
  aloft_module_close(tally);
}

static void objects(void) {
  static const uint8_t state[] = {0x92, 0, 0};
  static const uint8_t seven[] = {0x91, 0x07};
  aloft_error* error = NULL;
  aloft_result* result = NULL;
  aloft_object* object = NULL;
  aloft_module* tally = open_module("tally");
  aloft_runtime* runtime = make_runtime(tally, NULL);
  aloft_module_close(tally);
  wait_ready(runtime);

  CHECK_CODE(ALOFT_OK,
             aloft_object_new(runtime, "tally::Tally", state, sizeof state, &object, &error));
  CHECK_CODE(ALOFT_REFUSED, aloft_object_call(object, "tally::Tally::add", five, sizeof five, NULL,
                                              &result, &error));
  expect_words(&error, "aloft_object_move");
  CHECK_CODE(ALOFT_OK, aloft_object_move(object, 0, &error));
  CHECK_CODE(ALOFT_OK, aloft_object_call(object, "tally::Tally::add", five, sizeof five, NULL,
                                         &result, &error));
  expect_bytes(result, "\x93\x01\x01\x05", 4); /* version, count, sum */
  CHECK(aloft_result_place(result) == 0);
  aloft_result_free(result);
  CHECK_CODE(ALOFT_OK, aloft_object_call(object, "tally::Tally::add", seven, sizeof seven, NULL,
                                         &result, &error));
  expect_bytes(result, "\x93\x01\x02\x0c", 4);
  aloft_result_free(result);

  CHECK_CODE(ALOFT_OK, aloft_object_move(object, ALOFT_HERE, &error));
  CHECK_CODE(ALOFT_OK, aloft_object_state(object, &result, &error));
  expect_bytes(result, "\x92\x02\x0c", 3);
  aloft_result_free(result);
  CHECK_CODE(ALOFT_REFUSED, aloft_object_call(object, "tally::Tally::add", five, sizeof five, NULL,
                                              &result, &error));
  aloft_error_free(error);
  CHECK_CODE(ALOFT_OK, aloft_object_move(object, 0, &error));
  CHECK_CODE(ALOFT_OK, aloft_object_call(object, "tally::Tally::add", five, sizeof five, NULL,
                                         &result, &error));
  expect_bytes(result, "\x93\x01\x03\x11", 4);
  aloft_result_free(result);
  CHECK_CODE(ALOFT_INVALID_ARGUMENT, aloft_object_move(object, ALOFT_ANY_EDGE, &error));
  aloft_error_free(error);
  CHECK_CODE(ALOFT_INVALID_ARGUMENT,
             aloft_object_call(object, "tally::version", five, sizeof five, NULL, &result, &error));
  expect_words(&error, "no method");
  aloft_object_free(object);
  aloft_runtime_end(runtime);
}

static void begun_calls(void) {
  static const uint8_t a_while[] = {0x91, 0xce, 0x00, 0x01, 0x00, 0x00};     /* 65,536 rounds */
  static const uint8_t for_ever[] = {0x91, 0xcf, 0, 0xff, 0, 0, 0, 0, 0, 0}; /* centuries */
  enum { kCalls = 20 };
  aloft_future* futures[kCalls];
  aloft_future* long_one = NULL;
  aloft_error* error = NULL;
  aloft_result* result = NULL;
  aloft_call_options options = ALOFT_CALL_OPTIONS_INIT;
  aloft_module* tally = open_module("tally");
  aloft_runtime* runtime = make_runtime(tally, NULL);
  wait_ready(runtime);

  for (int i = 0; i < kCalls; ++i) {
    CHECK_CODE(ALOFT_OK, aloft_call_start(runtime, "tally::spin", a_while, sizeof a_while, NULL,
                                          &futures[i], &error));
  }
  for (int i = 0; i < kCalls; ++i) {
    CHECK_CODE(ALOFT_OK, aloft_future_get(futures[i], &result, &error));
    CHECK(aloft_result_size(result) > 2 && aloft_result_data(result)[0] == 0x92);
    aloft_result_free(result);
    CHECK(aloft_future_ready(futures[i]) == 1);
    CHECK_CODE(ALOFT_INVALID_ARGUMENT, aloft_future_get(futures[i], &result, &error));
    expect_words(&error, "taken before");
    aloft_future_free(futures[i]);
  }

  CHECK_CODE(ALOFT_OK, aloft_call_start(runtime, "tally::spin", for_ever, sizeof for_ever, NULL,
                                        &long_one, &error));
  CHECK(aloft_future_ready(long_one) == 0);
  aloft_future_cancel(long_one);
  CHECK_CODE(ALOFT_CANCELLED, aloft_future_get(long_one, &result, &error));
  aloft_error_free(error);
  aloft_future_free(long_one);

  options.deadline_ns = 50 * 1000 * 1000;
  CHECK_CODE(ALOFT_DEADLINE_EXCEEDED, aloft_call(runtime, "tally::spin", for_ever, sizeof for_ever,
                                                 &options, &result, &error));
  aloft_error_free(error);

  /* The runtime's end is the call's; the future is the caller's still. */
  CHECK_CODE(ALOFT_OK, aloft_call_start(runtime, "tally::spin", for_ever, sizeof for_ever, NULL,
                                        &long_one, &error));
  aloft_runtime_end(runtime);
  aloft_module_close(tally);
  CHECK_CODE(ALOFT_CANCELLED, aloft_future_get(long_one, &result, &error));
  aloft_error_free(error);
  aloft_future_free(long_one);
}

/* `edge` is a manager's address, with the folder of the cluster's keys behind a comma. */
static void in_a_cluster(void) {
  char manager[256], authority[4096], certificate[4096], key[4096];
  const char* keys = strchr(edge, ',');
  aloft_error* error = NULL;
  aloft_result* result = NULL;
  aloft_runtime* runtime = NULL;
  aloft_options* options = aloft_options_new();
  aloft_module* tally = open_module("tally");
  CHECK(keys != NULL);
  snprintf(manager, sizeof manager, "%.*s", (int)(keys - edge), edge);
  snprintf(authority, sizeof authority, "%s/ca.pem", keys + 1);
  snprintf(certificate, sizeof certificate, "%s/tenant-default.pem", keys + 1);
  snprintf(key, sizeof key, "%s/tenant-default.key", keys + 1);

  CHECK_CODE(ALOFT_NOT_FOUND,
             aloft_options_join_cluster(options, manager, "/no/ca.pem", certificate, key, &error));
  expect_words(&error, "/no/ca.pem");
  CHECK_CODE(ALOFT_OK,
             aloft_options_join_cluster(options, manager, authority, certificate, key, &error));
  aloft_options_add_module(options, tally);
  aloft_module_close(tally);
  CHECK_CODE(ALOFT_OK, aloft_runtime_new(options, &runtime, &error));
  aloft_options_free(options);
  wait_ready(runtime);
  CHECK_CODE(ALOFT_OK,
             aloft_call(runtime, "tally::version", five, sizeof five, NULL, &result, &error));
  expect_bytes(result, "\x01", 1);
  CHECK(aloft_result_place(result) >= 0);
  aloft_result_free(result);
  aloft_runtime_end(runtime);
}

int main(int argc, char** argv) {
  static const scenario scenarios[] = {{"at_the_edge", at_the_edge},
                                       {"with_a_native_version", with_a_native_version},
                                       {"without_an_edge", without_an_edge},
                                       {"mistakes", mistakes},
                                       {"objects", objects},
                                       {"begun_calls", begun_calls},
                                       {"in_a_cluster", in_a_cluster},
                                       {NULL, NULL}};
  CHECK(aloft_api_version() == ALOFT_C_API_VERSION);
  return play(argc, argv, scenarios);
}
