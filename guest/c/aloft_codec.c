// No length is believed beyond the bytes that are there.
#include "aloft_codec.h"

#include <stdlib.h>
#include <string.h>

// --- Reading
void aloft_fail(aloft_reader* in, const char* why) {
  if (in->failure == NULL) in->failure = why;
}

static uint32_t remaining(const aloft_reader* in) { return (uint32_t)(in->end - in->at); }

// The next tag, which stays; 0xc1, which nothing has, after a failure or at the end.
static uint8_t peek(aloft_reader* in) {
  if (in->failure == NULL && remaining(in) == 0) aloft_fail(in, "the bytes end too early");
  return in->failure == NULL ? *in->at : 0xc1;
}

// The big-endian number of `width` bytes behind a tag; takes both.
static uint64_t number(aloft_reader* in, uint32_t width) {
  if (remaining(in) < 1 + width) {
    aloft_fail(in, "the bytes end within a number");
    return 0;
  }
  uint64_t value = 0;
  for (uint32_t i = 1; i <= width; ++i) value = value << 8 | in->at[i];
  in->at += 1 + width;
  return value;
}

static uint64_t integer(aloft_reader* in, bool* negative) {
  const uint8_t tag = peek(in);
  *negative = false;
  if (tag < 0x80 || tag >= 0xe0) {
    ++in->at;
    *negative = tag >= 0xe0;
    return (uint64_t)(int64_t)(int8_t)tag;
  }
  if (tag < 0xcc || tag > 0xd3) {
    aloft_fail(in, "not an integer");
    return 0;
  }
  const uint32_t width = 1U << ((tag - 0xcc) & 3);
  uint64_t bits = number(in, width);
  const uint64_t sign = 1ULL << (8 * width - 1);
  *negative = tag >= 0xd0 && (bits & sign) != 0;
  if (*negative) bits |= ~(sign - 1);
  return bits;
}

static int64_t signed_integer(aloft_reader* in, int64_t min, int64_t max) {
  bool negative = false;
  const uint64_t bits = integer(in, &negative);
  const bool fits = negative ? (int64_t)bits >= min : bits <= (uint64_t)max;
  if (!fits) aloft_fail(in, "an integer outside of its type's range");
  return fits && in->failure == NULL ? (int64_t)bits : 0;
}

static uint64_t unsigned_integer(aloft_reader* in, uint64_t max) {
  bool negative = false;
  const uint64_t bits = integer(in, &negative);
  const bool fits = !negative && bits <= max;
  if (!fits) aloft_fail(in, "an integer outside of its type's range");
  return fits && in->failure == NULL ? bits : 0;
}

int8_t aloft_read_i8(aloft_reader* in) { return (int8_t)signed_integer(in, INT8_MIN, INT8_MAX); }
int16_t aloft_read_i16(aloft_reader* in) {
  return (int16_t)signed_integer(in, INT16_MIN, INT16_MAX);
}
int32_t aloft_read_i32(aloft_reader* in) {
  return (int32_t)signed_integer(in, INT32_MIN, INT32_MAX);
}
int64_t aloft_read_i64(aloft_reader* in) { return signed_integer(in, INT64_MIN, INT64_MAX); }
uint8_t aloft_read_u8(aloft_reader* in) { return (uint8_t)unsigned_integer(in, UINT8_MAX); }
uint16_t aloft_read_u16(aloft_reader* in) { return (uint16_t)unsigned_integer(in, UINT16_MAX); }
uint32_t aloft_read_u32(aloft_reader* in) { return (uint32_t)unsigned_integer(in, UINT32_MAX); }
uint64_t aloft_read_u64(aloft_reader* in) { return unsigned_integer(in, UINT64_MAX); }

bool aloft_read_bool(aloft_reader* in) {
  const uint8_t tag = peek(in);
  if (tag != 0xc2 && tag != 0xc3) {
    aloft_fail(in, "not a boolean");
    return false;
  }
  ++in->at;
  return tag == 0xc3;
}

float aloft_read_f32(aloft_reader* in) {
  if (peek(in) != 0xca) {
    aloft_fail(in, "not a float of 32 bits");
    return 0;
  }
  const uint32_t bits = (uint32_t)number(in, 4);
  float value = 0;
  memcpy(&value, &bits, sizeof value);
  return value;
}

double aloft_read_f64(aloft_reader* in) {
  const uint8_t tag = peek(in);
  if (tag == 0xca) return aloft_read_f32(in);
  if (tag != 0xcb) {
    aloft_fail(in, "not a float");
    return 0;
  }
  const uint64_t bits = number(in, 8);
  double value = 0;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// The tags of one kind of length; 0 where the kind has no such form.
struct lengths {
  uint8_t fix, fix_mask, tag8, tag16, tag32;
  const char* failure;
};

// A length, of which the bytes that are there can hold so many times `min_bytes`.
static uint32_t length(aloft_reader* in, const struct lengths* forms, uint32_t min_bytes) {
  const uint8_t tag = peek(in);
  uint64_t size = 0;
  if (forms->fix_mask != 0 && (tag & forms->fix_mask) == forms->fix) {
    ++in->at;
    size = (uint8_t)(tag & ~forms->fix_mask);
  } else if (forms->tag8 != 0 && tag == forms->tag8) {
    size = number(in, 1);
  } else if (tag == forms->tag16) {
    size = number(in, 2);
  } else if (tag == forms->tag32) {
    size = number(in, 4);
  } else {
    aloft_fail(in, forms->failure);
  }
  if (min_bytes != 0 && size > remaining(in) / min_bytes)
    aloft_fail(in, "a length that the bytes cannot back");
  return in->failure == NULL ? (uint32_t)size : 0;
}

static const uint8_t* take(aloft_reader* in, uint32_t size) {
  const uint8_t* const data = in->at;
  in->at += size;
  return data;
}

aloft_text aloft_read_string(aloft_reader* in) {
  static const struct lengths kForms = {0xa0, 0xe0, 0xd9, 0xda, 0xdb, "not a string"};
  const uint32_t size = length(in, &kForms, 1);
  return (aloft_text){(const char*)take(in, size), size};
}

aloft_bytes aloft_read_packed(aloft_reader* in, uint32_t width) {
  static const struct lengths kForms = {0, 0, 0xc4, 0xc5, 0xc6, "not packed numbers"};
  uint32_t size = length(in, &kForms, 1);
  if (size % width != 0) {
    aloft_fail(in, "bytes that are no whole number of elements");
    size = 0;
  }
  return (aloft_bytes){take(in, size), size};
}

bool aloft_read_nil(aloft_reader* in) {
  if (peek(in) != 0xc0) return false;
  ++in->at;
  return true;
}

uint32_t aloft_read_list(aloft_reader* in, uint32_t min_bytes) {
  static const struct lengths kForms = {0x90, 0xf0, 0, 0xdc, 0xdd, "not a list"};
  return length(in, &kForms, min_bytes);
}

uint32_t aloft_read_map(aloft_reader* in, uint32_t min_bytes) {
  static const struct lengths kForms = {0x80, 0xf0, 0, 0xde, 0xdf, "not a map"};
  return length(in, &kForms, min_bytes);
}

bool aloft_read_members(aloft_reader* in, uint32_t count) {
  if (aloft_read_list(in, 0) != count)
    aloft_fail(in, "another number of values than there are members");
  return in->failure == NULL;
}

static uint32_t channels(uint8_t format) {
  static const uint8_t kChannels[] = {0, 1, 3, 3, 4, 4};
  return format < sizeof kChannels ? kChannels[format] : 0;
}

aloft_image aloft_read_image(aloft_reader* in) {
  aloft_image image = {};
  if (!aloft_read_members(in, 4)) return image;
  image.width = aloft_read_u32(in);
  image.height = aloft_read_u32(in);
  image.format = aloft_read_u8(in);
  image.pixels = aloft_read_packed(in, 1);
  const uint64_t stride = (uint64_t)image.width * channels(image.format);
  const uint64_t size = image.pixels.size;
  if (channels(image.format) == 0) aloft_fail(in, "an image of an unknown pixel format");
  if (stride == 0 ? size != 0 : size % stride != 0 || size / stride != image.height)
    aloft_fail(in, "an image whose pixels do not have its width and height");
  return in->failure == NULL ? image : (aloft_image){};
}

bool aloft_decoded(aloft_reader* in) {
  if (in->failure == NULL && remaining(in) != 0) aloft_fail(in, "more bytes than the value has");
  return in->failure == NULL;
}

// --- Writing
static uint8_t* room(aloft_writer* out, uint32_t size) {
  if (out->capacity - out->size < size) {
    const uint64_t wanted = (uint64_t)out->size + size;
    uint64_t capacity = out->capacity < 64 ? 64 : (uint64_t)out->capacity * 2;
    if (capacity < wanted) capacity = wanted;
    uint8_t* const data = capacity > UINT32_MAX ? NULL : realloc(out->data, (size_t)capacity);
    if (data == NULL) aloft_abort("out of memory");
    out->data = data;
    out->capacity = (uint32_t)capacity;
  }
  uint8_t* const at = out->data + out->size;
  out->size += size;
  return at;
}

static void byte(aloft_writer* out, uint8_t value) { *room(out, 1) = value; }

static void tagged(aloft_writer* out, uint8_t tag, uint32_t width, uint64_t value) {
  uint8_t* const at = room(out, 1 + width);
  at[0] = tag;
  for (uint32_t i = width; i > 0; --i, value >>= 8) at[i] = (uint8_t)value;
}

void aloft_write_nil(aloft_writer* out) { byte(out, 0xc0); }
void aloft_write_bool(aloft_writer* out, bool value) { byte(out, value ? 0xc3 : 0xc2); }

void aloft_write_u64(aloft_writer* out, uint64_t value) {
  if (value < 0x80) return byte(out, (uint8_t)value);
  if (value <= UINT8_MAX) return tagged(out, 0xcc, 1, value);
  if (value <= UINT16_MAX) return tagged(out, 0xcd, 2, value);
  if (value <= UINT32_MAX) return tagged(out, 0xce, 4, value);
  tagged(out, 0xcf, 8, value);
}

void aloft_write_i64(aloft_writer* out, int64_t value) {
  if (value >= 0) return aloft_write_u64(out, (uint64_t)value);
  if (value >= -32) return byte(out, (uint8_t)value);
  if (value >= INT8_MIN) return tagged(out, 0xd0, 1, (uint64_t)value);
  if (value >= INT16_MIN) return tagged(out, 0xd1, 2, (uint64_t)value);
  if (value >= INT32_MIN) return tagged(out, 0xd2, 4, (uint64_t)value);
  tagged(out, 0xd3, 8, (uint64_t)value);
}

void aloft_write_f32(aloft_writer* out, float value) {
  uint32_t bits = 0;
  memcpy(&bits, &value, sizeof bits);
  tagged(out, 0xca, 4, bits);
}

void aloft_write_f64(aloft_writer* out, double value) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof bits);
  tagged(out, 0xcb, 8, bits);
}

void aloft_write_string(aloft_writer* out, const char* data, uint32_t size) {
  if (size < 32)
    byte(out, (uint8_t)(0xa0 | size));
  else if (size <= UINT8_MAX)
    tagged(out, 0xd9, 1, size);
  else if (size <= UINT16_MAX)
    tagged(out, 0xda, 2, size);
  else
    tagged(out, 0xdb, 4, size);
  uint8_t* const at = room(out, size);
  if (size != 0) memcpy(at, data, size);
}

uint8_t* aloft_write_packed(aloft_writer* out, uint32_t size) {
  if (size <= UINT8_MAX)
    tagged(out, 0xc4, 1, size);
  else if (size <= UINT16_MAX)
    tagged(out, 0xc5, 2, size);
  else
    tagged(out, 0xc6, 4, size);
  return room(out, size);
}

static void count_of(aloft_writer* out, uint8_t fix, uint8_t tag16, uint32_t count) {
  if (count < 16)
    byte(out, (uint8_t)(fix | count));
  else if (count <= UINT16_MAX)
    tagged(out, tag16, 2, count);
  else
    tagged(out, (uint8_t)(tag16 + 1), 4, count);
}

void aloft_write_list(aloft_writer* out, uint32_t count) { count_of(out, 0x90, 0xdc, count); }
void aloft_write_map(aloft_writer* out, uint32_t count) { count_of(out, 0x80, 0xde, count); }

uint8_t* aloft_write_image(aloft_writer* out, uint32_t width, uint32_t height, uint8_t format) {
  const uint64_t stride = (uint64_t)width * channels(format);
  if (stride != 0 && height > UINT32_MAX / stride) aloft_abort("an image of more than 4 GiB");
  aloft_write_list(out, 4);
  aloft_write_u64(out, width);
  aloft_write_u64(out, height);
  aloft_write_u64(out, format);
  return aloft_write_packed(out, (uint32_t)(stride * height));
}
