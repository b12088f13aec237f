#include "aloft_message.h"

#include <string.h>
#include <wasi/api.h>

aloft_text aloft_text_of(const char* string) {
  return (aloft_text){string, (uint32_t)strlen(string)};
}

void aloft_say(const aloft_text* parts, size_t count) {
  __wasi_ciovec_t vectors[8];
  if (count > sizeof vectors / sizeof *vectors) __builtin_trap();
  for (size_t i = 0; i < count; ++i)
    vectors[i] = (__wasi_ciovec_t){(const uint8_t*)parts[i].data, parts[i].size};
  __wasi_size_t written = 0;
  // A host that does not take it is told by the trap.
  (void)__wasi_fd_write(2, vectors, count, &written);
}

void aloft_abort_text(const char* data, uint32_t size) {
  const aloft_text parts[] = {
      aloft_text_of("aloft: call aborted: "), {data, size}, aloft_text_of("\n")};
  aloft_say(parts, 3);
  __builtin_trap();
}

void aloft_abort(const char* message) { aloft_abort_text(message, (uint32_t)strlen(message)); }
