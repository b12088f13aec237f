// Arguments as they come, and results as they go: MessagePack, as far as the types that cross need
// it (docs/guest-abi.md). <aloft_guest.h> has it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aloft_message.h"

// --- Reading arguments. What is read points into them, and is valid until the call ends.
typedef struct {
  const uint8_t* begin;
  const uint8_t* at;
  const uint8_t* end;
  const char* failure;  // null: none
} aloft_reader;

typedef struct {
  const uint8_t* data;
  uint32_t size;
} aloft_bytes;
typedef struct {
  uint32_t width;
  uint32_t height;
  uint8_t format;  // 1 gray8, 2 bgr8, 3 rgb8, 4 bgra8, 5 rgba8
  aloft_bytes pixels;
} aloft_image;

bool aloft_read_bool(aloft_reader* in);
int8_t aloft_read_i8(aloft_reader* in);
int16_t aloft_read_i16(aloft_reader* in);
int32_t aloft_read_i32(aloft_reader* in);
int64_t aloft_read_i64(aloft_reader* in);
uint8_t aloft_read_u8(aloft_reader* in);  // char and std::byte, too
uint16_t aloft_read_u16(aloft_reader* in);
uint32_t aloft_read_u32(aloft_reader* in);
uint64_t aloft_read_u64(aloft_reader* in);
float aloft_read_f32(aloft_reader* in);
double aloft_read_f64(aloft_reader* in);
aloft_text aloft_read_string(aloft_reader* in);
// A list of numbers, each of `width` bytes, little endian and not aligned: copy them out with
// memcpy.
aloft_bytes aloft_read_packed(aloft_reader* in, uint32_t width);
aloft_image aloft_read_image(aloft_reader* in);
// Whether an optional has nothing; takes the nil then.
bool aloft_read_nil(aloft_reader* in);
// The number of elements of a list that is not packed, or of pairs of a map; each takes at least
// `min_bytes` (1 is always true). They follow.
uint32_t aloft_read_list(aloft_reader* in, uint32_t min_bytes);
uint32_t aloft_read_map(aloft_reader* in, uint32_t min_bytes);
// A tuple's or struct's begin: false unless it has this many members. They follow.
bool aloft_read_members(aloft_reader* in, uint32_t count);

// Makes the reader fail: for what the types do not say. `why` is a literal.
void aloft_fail(aloft_reader* in, const char* why);
// Whether everything was read, and nothing is left. From here on the values can be trusted.
bool aloft_decoded(aloft_reader* in);

// --- Writing a result
typedef struct {
  uint8_t* data;
  uint32_t size;
  uint32_t capacity;
} aloft_writer;

void aloft_write_nil(aloft_writer* out);
void aloft_write_bool(aloft_writer* out, bool value);
void aloft_write_i64(aloft_writer* out, int64_t value);   // every signed integer
void aloft_write_u64(aloft_writer* out, uint64_t value);  // every unsigned one, char and std::byte
void aloft_write_f32(aloft_writer* out, float value);
void aloft_write_f64(aloft_writer* out, double value);
void aloft_write_string(aloft_writer* out, const char* data, uint32_t size);
// A list of numbers: room for them, `size` bytes, valid until the next call that writes.
uint8_t* aloft_write_packed(aloft_writer* out, uint32_t size);
// Room for the pixels of an image.
uint8_t* aloft_write_image(aloft_writer* out, uint32_t width, uint32_t height, uint8_t format);
// The begin of a list that is not packed, of a tuple or struct; and of a map, whose pairs come in
// the keys' order.
void aloft_write_list(aloft_writer* out, uint32_t count);
void aloft_write_map(aloft_writer* out, uint32_t count);
