/* Elastic channels for C: messages go to a function, or to a method of an object, which runs here
   or at an edge and moves between them while messages are under way; results come back in the order
   of the messages. <aloft/channel.h> says more of what holds meanwhile. The rules on ownership,
   threads and errors are those of <aloft/aloft.h>, whose library this is in.

     aloft_channel *channel = NULL;
     aloft_channel_options options = ALOFT_CHANNEL_OPTIONS_INIT;
     options.start = 0;
     aloft_channel_open(runtime, "demo::correct", &options, &channel, &error);
     aloft_channel_send(channel, arguments, size, NULL, &error);
     aloft_received *received = NULL;
     if (aloft_channel_receive(channel, 50000000, &received, &error) == ALOFT_OK) ... */
#ifndef ALOFT_ALOFT_CHANNEL_H
#define ALOFT_ALOFT_CHANNEL_H

#include <aloft/aloft.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aloft_channel aloft_channel;
typedef struct aloft_received aloft_received;

/* Which messages are run: every one; no message that a newer one overtook before it left; none that
   had not left by its deadline. */
#define ALOFT_RELIABLE 0
#define ALOFT_LATEST 1
#define ALOFT_DEADLINE 2

/* Among all that shares a link. Strict: nothing goes while something more urgent waits. */
#define ALOFT_BULK 0
#define ALOFT_NORMAL 1
#define ALOFT_URGENT 2

typedef struct aloft_channel_options {
  size_t struct_size; /* sizeof(aloft_channel_options) */
  int32_t kind;
  int32_t priority;      /* a channel to an object has that of its object */
  int64_t deadline_ns;   /* of ALOFT_DEADLINE: from sending */
  uint32_t in_flight;    /* at the place, without a result; to an object: as its calls */
  uint32_t max_messages; /* sent, and their results not received yet */
  uint64_t max_bytes;    /* of these, encoded */
  int32_t start;         /* ALOFT_HERE, or an edge by its number */
} aloft_channel_options;
#define ALOFT_CHANNEL_OPTIONS_INIT \
  {sizeof(aloft_channel_options),  \
   ALOFT_RELIABLE,                 \
   ALOFT_NORMAL,                   \
   0,                              \
   4,                              \
   1024,                           \
   (uint64_t)32 << 20,             \
   ALOFT_HERE}

/* To a function that is compiled into the program, or one of a module of the runtime's. A message
   that is run here (the channel is here, or came back since its edge is lost) is the native
   version's; where there is none, it fails with REFUSED. NULL for the options: as
   ALOFT_CHANNEL_OPTIONS_INIT. NOT_FOUND (no such function), INVALID_ARGUMENT, and what kept it from
   going to `options->start`. */
ALOFT_C_API aloft_code aloft_channel_open(aloft_runtime* runtime, const char* function,
                                          const aloft_channel_options* options,
                                          aloft_channel** channel, aloft_error** error);
/* To a method of an object, which lives as long as the channel. Messages and calls of it are run in
   the order in which they were sent and made. The object stays where it is unless
   `options->start` is an edge. */
ALOFT_C_API aloft_code aloft_channel_open_object(aloft_object* object, const char* method,
                                                 const aloft_channel_options* options,
                                                 aloft_channel** channel, aloft_error** error);
/* What is under way ends with CANCELLED, which aloft_channel_receive still tells; then it says
   REFUSED. Any thread, any number of times. */
ALOFT_C_API void aloft_channel_close(aloft_channel* channel);
/* Closes it, too, and waits for its receiver if that is being called, which is not called any more
   then. Not by the receiver itself; before the runtime ends. */
ALOFT_C_API void aloft_channel_free(aloft_channel* channel);

/* `sequence`, where it is not NULL: the message's number, from 1, rising. OVERLOADED (too much is
   held: receive first), RESOURCE_EXHAUSTED (larger than max_bytes), REFUSED (closed, or the runtime
   ended), DEADLINE_EXCEEDED. */
ALOFT_C_API aloft_code aloft_channel_send(aloft_channel* channel, const uint8_t* arguments,
                                          size_t size, uint64_t* sequence, aloft_error** error);

/* The next result, in the order of the messages, of one that failed as well: then
   aloft_received_code() says how. Messages that were dropped have none. 0 does not wait; below 0:
   as long as it takes. DEADLINE_EXCEEDED (none within that time), REFUSED (closed). */
ALOFT_C_API aloft_code aloft_channel_receive(aloft_channel* channel, int64_t timeout_ns,
                                             aloft_received** received, aloft_error** error);
/* From now on results go to `receiver`, one at a time, on a thread of the runtime, which it must
   not block. What it is handed lives until it returns. */
typedef void (*aloft_receiver)(void* context, const aloft_received* received);
ALOFT_C_API aloft_code aloft_channel_receive_with(aloft_channel* channel, aloft_receiver receiver,
                                                  void* context, aloft_error** error);

ALOFT_C_API uint64_t aloft_received_sequence(const aloft_received* received);
/* ALOFT_OK, or how the message failed: TRAPPED, INTERRUPTED, CANCELLED, ...; and a text. */
ALOFT_C_API aloft_code aloft_received_code(const aloft_received* received);
ALOFT_C_API const char* aloft_received_message(const aloft_received* received);
ALOFT_C_API const uint8_t* aloft_received_data(const aloft_received* received);
ALOFT_C_API size_t aloft_received_size(const aloft_received* received);
/* Since it was sent; and where it was run. */
ALOFT_C_API int64_t aloft_received_age_ns(const aloft_received* received);
ALOFT_C_API int32_t aloft_received_place(const aloft_received* received);
ALOFT_C_API void aloft_received_free(aloft_received* received);

/* Moves the function, or the object, and waits until it runs there; messages go on meanwhile.
   UNREACHABLE, INVALID_ARGUMENT (no such place), and what kept the place from taking it: it is then
   where it was. */
ALOFT_C_API aloft_code aloft_channel_move(aloft_channel* channel, int32_t place,
                                          aloft_error** error);
ALOFT_C_API int32_t aloft_channel_place(const aloft_channel* channel);

/* Since the channel was opened; to an object: of all that shares it. */
typedef struct aloft_channel_statistics {
  size_t struct_size; /* the caller's sizeof(aloft_channel_statistics): no more is written */
  uint64_t sent;
  uint64_t answered;
  uint64_t dropped;     /* stale: never left */
  uint64_t repeated;    /* deliveries after a loss */
  uint64_t duplicates;  /* answers that came twice, and were told once */
  uint64_t interrupted; /* with effects: unknown whether they were run */
  uint64_t moves;
  uint64_t recoveries;
} aloft_channel_statistics;
ALOFT_C_API void aloft_channel_statistics_of(const aloft_channel* channel,
                                             aloft_channel_statistics* statistics);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ALOFT_ALOFT_CHANNEL_H */
