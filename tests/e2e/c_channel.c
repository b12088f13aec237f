/* Channels in C, which check what <aloft/aloft_channel.h> says: c_api_test.cc runs these scenarios.

     c_channel SCENARIO MODULES EDGE     of a folder of modules and HOST:PORT */
#include <pthread.h>
#include <stdint.h>

#include "c_checks.h"
#include <aloft/aloft_channel.h>

static const int64_t kLong = INT64_C(30000000000); /* nanoseconds */
static const uint8_t five[] = {0x91, 0x05};
static const uint8_t no_arguments[] = {0x90};
enum { kMessages = 20 };

/* tally::version(5) at the edge is 1. */
static aloft_channel* to_version(aloft_runtime* runtime) {
  aloft_error* error = NULL;
  aloft_channel* channel = NULL;
  aloft_channel_options options = ALOFT_CHANNEL_OPTIONS_INIT;
  options.start = 0;
  CHECK_CODE(ALOFT_OK, aloft_channel_open(runtime, "tally::version", &options, &channel, &error));
  return channel;
}

/* The next one is this message's. */
static aloft_received* expect_received(aloft_channel* channel, uint64_t sequence) {
  aloft_error* error = NULL;
  aloft_received* received = NULL;
  CHECK_CODE(ALOFT_OK, aloft_channel_receive(channel, kLong, &received, &error));
  CHECK(aloft_received_sequence(received) == sequence);
  CHECK(aloft_received_age_ns(received) > 0);
  return received;
}

static void to_a_function(void) {
  aloft_error* error = NULL;
  aloft_received* received = NULL;
  uint64_t sequence = 0;
  aloft_channel_statistics statistics = {.struct_size = sizeof statistics};
  aloft_module* tally = open_module("tally");
  aloft_runtime* runtime = make_runtime(tally, NULL);
  aloft_module_close(tally);
  wait_ready(runtime);
  aloft_channel* channel = to_version(runtime);
  CHECK(aloft_channel_place(channel) == 0);
  CHECK_CODE(ALOFT_DEADLINE_EXCEEDED, aloft_channel_receive(channel, 0, &received, &error));
  aloft_error_free(error);

  for (uint64_t i = 1; i <= kMessages; ++i) {
    CHECK_CODE(ALOFT_OK, aloft_channel_send(channel, five, sizeof five, &sequence, &error));
    CHECK(sequence == i);
  }
  for (uint64_t i = 1; i <= kMessages; ++i) {
    received = expect_received(channel, i);
    CHECK(aloft_received_code(received) == ALOFT_OK && aloft_received_message(received)[0] == 0);
    CHECK(aloft_received_size(received) == 1 && aloft_received_data(received)[0] == 1);
    CHECK(aloft_received_place(received) == 0);
    aloft_received_free(received);
  }

  /* One that fails is told like any other, and the channel goes on. */
  CHECK_CODE(ALOFT_OK, aloft_channel_send(channel, no_arguments, 1, &sequence, &error));
  received = expect_received(channel, sequence);
  CHECK(aloft_received_code(received) == ALOFT_PROTOCOL);
  CHECK(aloft_received_message(received)[0] != 0 && aloft_received_size(received) == 0);
  aloft_received_free(received);

  /* Here, there is nothing to run it. */
  CHECK_CODE(ALOFT_OK, aloft_channel_move(channel, ALOFT_HERE, &error));
  CHECK(aloft_channel_place(channel) == ALOFT_HERE);
  CHECK_CODE(ALOFT_OK, aloft_channel_send(channel, five, sizeof five, &sequence, &error));
  received = expect_received(channel, sequence);
  CHECK(aloft_received_code(received) == ALOFT_REFUSED);
  CHECK(strstr(aloft_received_message(received), "move it to an edge") != NULL);
  CHECK(aloft_received_place(received) == ALOFT_HERE);
  aloft_received_free(received);
  CHECK_CODE(ALOFT_OK, aloft_channel_move(channel, 0, &error));
  CHECK_CODE(ALOFT_OK, aloft_channel_send(channel, five, sizeof five, NULL, &error));
  received = expect_received(channel, kMessages + 3);
  CHECK(aloft_received_code(received) == ALOFT_OK && aloft_received_place(received) == 0);
  aloft_received_free(received);

  aloft_channel_statistics_of(channel, &statistics);
  CHECK(statistics.sent == kMessages + 3 && statistics.answered == kMessages + 3);
  CHECK(statistics.moves == 3 && statistics.interrupted == 0);
  aloft_channel_close(channel);
  CHECK_CODE(ALOFT_REFUSED, aloft_channel_receive(channel, kLong, &received, &error));
  CHECK(received == NULL);
  aloft_error_free(error);
  CHECK_CODE(ALOFT_REFUSED, aloft_channel_send(channel, five, sizeof five, NULL, &error));
  expect_words(&error, "closed");
  aloft_channel_free(channel);
  aloft_runtime_end(runtime);
}

/* A native version of tally::version: 42. */
static void answer_42(void* context, const uint8_t* arguments, size_t size, aloft_reply* reply) {
  static const uint8_t forty_two[] = {42};
  (void)context;
  CHECK(size == sizeof five && memcmp(arguments, five, size) == 0);
  aloft_reply_set(reply, forty_two, sizeof forty_two);
}

static void to_a_native_version(void) {
  aloft_error* error = NULL;
  aloft_module* tally = open_module("tally");
  CHECK_CODE(ALOFT_OK, aloft_module_set_native(tally, "tally::version", &answer_42, NULL, &error));
  aloft_runtime* runtime = make_runtime(tally, NULL);
  wait_ready(runtime);
  aloft_channel* channel = to_version(runtime);
  /* There, here, and there. */
  for (uint64_t i = 1; i <= 3; ++i) {
    if (i > 1) CHECK_CODE(ALOFT_OK, aloft_channel_move(channel, i == 2 ? ALOFT_HERE : 0, &error));
    CHECK_CODE(ALOFT_OK, aloft_channel_send(channel, five, sizeof five, NULL, &error));
    aloft_received* received = expect_received(channel, i);
    CHECK(aloft_received_size(received) == 1);
    CHECK(aloft_received_data(received)[0] == (i == 2 ? 42 : 1));
    CHECK(aloft_received_place(received) == (i == 2 ? ALOFT_HERE : 0));
    aloft_received_free(received);
  }
  aloft_channel_free(channel);
  aloft_runtime_end(runtime);
  aloft_module_close(tally);
}

static void to_an_object(void) {
  static const uint8_t state[] = {0x92, 0, 0};
  aloft_error* error = NULL;
  aloft_object* object = NULL;
  aloft_channel* channel = NULL;
  aloft_result* result = NULL;
  aloft_channel_options options = ALOFT_CHANNEL_OPTIONS_INIT;
  aloft_module* tally = open_module("tally");
  aloft_runtime* runtime = make_runtime(tally, NULL);
  aloft_module_close(tally);
  wait_ready(runtime);

  CHECK_CODE(ALOFT_OK,
             aloft_object_new(runtime, "tally::Tally", state, sizeof state, &object, &error));
  options.start = 0;
  CHECK_CODE(ALOFT_OK,
             aloft_channel_open_object(object, "tally::Tally::add", &options, &channel, &error));
  for (int i = 0; i < 3; ++i)
    CHECK_CODE(ALOFT_OK, aloft_channel_send(channel, five, sizeof five, NULL, &error));
  for (uint8_t i = 1; i <= 3; ++i) {
    const uint8_t sums[] = {0x93, 1, i, (uint8_t)(5 * i)}; /* version, count, sum */
    aloft_received* received = NULL;
    CHECK_CODE(ALOFT_OK, aloft_channel_receive(channel, kLong, &received, &error));
    CHECK(aloft_received_size(received) == sizeof sums);
    CHECK(memcmp(aloft_received_data(received), sums, sizeof sums) == 0);
    aloft_received_free(received);
  }
  CHECK_CODE(ALOFT_OK, aloft_channel_move(channel, ALOFT_HERE, &error));
  CHECK_CODE(ALOFT_OK, aloft_object_state(object, &result, &error));
  expect_bytes(result, "\x92\x03\x0f", 3);
  aloft_result_free(result);
  aloft_channel_free(channel);
  aloft_object_free(object);
  aloft_runtime_end(runtime);
}

typedef struct tally_of_results {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  uint64_t last; /* sequence */
} tally_of_results;

static void count(void* context, const aloft_received* received) {
  tally_of_results* results = context;
  pthread_mutex_lock(&results->mutex);
  CHECK(aloft_received_sequence(received) == results->last + 1);
  results->last += 1;
  pthread_cond_signal(&results->changed);
  pthread_mutex_unlock(&results->mutex);
}

static void with_a_receiver(void) {
  aloft_error* error = NULL;
  tally_of_results results = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
  aloft_module* tally = open_module("tally");
  aloft_runtime* runtime = make_runtime(tally, NULL);
  aloft_module_close(tally);
  wait_ready(runtime);
  aloft_channel* channel = to_version(runtime);
  CHECK_CODE(ALOFT_OK, aloft_channel_receive_with(channel, &count, &results, &error));
  for (int i = 0; i < kMessages; ++i)
    CHECK_CODE(ALOFT_OK, aloft_channel_send(channel, five, sizeof five, NULL, &error));
  pthread_mutex_lock(&results.mutex);
  while (results.last < kMessages) pthread_cond_wait(&results.changed, &results.mutex);
  pthread_mutex_unlock(&results.mutex);
  aloft_channel_free(channel);
  aloft_runtime_end(runtime);
}

static void mistakes(void) {
  aloft_error* error = NULL;
  aloft_channel* channel = NULL;
  aloft_channel_options options = {0};
  aloft_module* tally = open_module("tally");
  aloft_runtime* runtime = make_runtime(tally, NULL);
  aloft_module_close(tally);
  wait_ready(runtime);

  CHECK_CODE(ALOFT_NOT_FOUND, aloft_channel_open(runtime, "tally::sum", NULL, &channel, &error));
  expect_words(&error, "tally::version");
  CHECK_CODE(ALOFT_INVALID_ARGUMENT,
             aloft_channel_open(runtime, "tally::Tally::add", NULL, &channel, &error));
  expect_words(&error, "aloft_channel_open_object");
  CHECK_CODE(ALOFT_INVALID_ARGUMENT,
             aloft_channel_open(runtime, "tally::version", &options, &channel, &error));
  expect_words(&error, "ALOFT_CHANNEL_OPTIONS_INIT");
  options = (aloft_channel_options)ALOFT_CHANNEL_OPTIONS_INIT;
  options.kind = 9;
  CHECK_CODE(ALOFT_INVALID_ARGUMENT,
             aloft_channel_open(runtime, "tally::version", &options, &channel, &error));
  expect_words(&error, "ALOFT_LATEST");
  options.kind = ALOFT_DEADLINE;
  CHECK_CODE(ALOFT_INVALID_ARGUMENT,
             aloft_channel_open(runtime, "tally::version", &options, &channel, &error));
  expect_words(&error, "needs a deadline");
  options.kind = ALOFT_RELIABLE;
  options.start = 7;
  CHECK_CODE(ALOFT_INVALID_ARGUMENT,
             aloft_channel_open(runtime, "tally::version", &options, &channel, &error));
  expect_words(&error, "no place 7");
  CHECK(channel == NULL);

  options.start = 0;
  options.max_messages = 1;
  CHECK_CODE(ALOFT_OK, aloft_channel_open(runtime, "tally::version", &options, &channel, &error));
  CHECK_CODE(ALOFT_INVALID_ARGUMENT, aloft_channel_move(channel, ALOFT_ANY_EDGE, &error));
  aloft_error_free(error);
  CHECK_CODE(ALOFT_OK, aloft_channel_send(channel, five, sizeof five, NULL, &error));
  CHECK_CODE(ALOFT_OVERLOADED, aloft_channel_send(channel, five, sizeof five, NULL, &error));
  aloft_error_free(error);
  CHECK_CODE(ALOFT_INVALID_ARGUMENT, aloft_channel_send(NULL, five, sizeof five, NULL, &error));
  expect_words(&error, "channel is NULL");
  CHECK_CODE(ALOFT_INVALID_ARGUMENT, aloft_channel_receive_with(channel, NULL, NULL, &error));
  expect_words(&error, "receiver is NULL");
  aloft_channel_free(channel);
  aloft_channel_free(NULL);
  aloft_channel_close(NULL);
  aloft_received_free(NULL);
  aloft_runtime_end(runtime);
}

int main(int argc, char** argv) {
  static const scenario scenarios[] = {
      {"to_a_function", to_a_function}, {"to_a_native_version", to_a_native_version},
      {"to_an_object", to_an_object},   {"with_a_receiver", with_a_receiver},
      {"mistakes", mistakes},           {NULL, NULL}};
  return play(argc, argv, scenarios);
}
