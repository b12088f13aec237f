// What a guest says, and how it ends a call that cannot go on. <aloft_guest.h> has it.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
  const char* data;  // any bytes, which no 0 ends
  uint32_t size;
} aloft_text;

// The text of a string, of which it is a view.
aloft_text aloft_text_of(const char* string);
// Writes the parts, at most 8, one behind the other, to the caller's log. What is printed (stdio.h)
// is there as well.
void aloft_say(const aloft_text* parts, size_t count);
// Says why, and ends the call: its caller gets the error `trapped`, and the message is in its log.
[[noreturn]] void aloft_abort(const char* message);
[[noreturn]] void aloft_abort_text(const char* data, uint32_t size);
