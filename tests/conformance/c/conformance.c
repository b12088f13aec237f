// The conformance guest in C.
#include <aloft_guest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi_nn.h>

ALOFT_FUNCTION(conformance_invert, 1) {
  const bool value = aloft_read_bool(in);
  if (aloft_decoded(in)) aloft_write_bool(out, !value);
}

#define NEXT(type, ctype, write)                           \
  ALOFT_FUNCTION(conformance_next_##type, 1) {             \
    const ctype value = aloft_read_##type(in);             \
    if (aloft_decoded(in)) write(out, (ctype)(value + 1)); \
  }
NEXT(i8, int8_t, aloft_write_i64)
NEXT(i16, int16_t, aloft_write_i64)
NEXT(u8, uint8_t, aloft_write_u64)
NEXT(u16, uint16_t, aloft_write_u64)
NEXT(u32, uint32_t, aloft_write_u64)
NEXT(u64, uint64_t, aloft_write_u64)

ALOFT_FUNCTION(conformance_next_i32, 1) {
  const int32_t value = aloft_read_i32(in);
  if (aloft_decoded(in)) aloft_write_i64(out, (int32_t)((uint32_t)value + 1));
}
ALOFT_FUNCTION(conformance_next_i64, 1) {
  const int64_t value = aloft_read_i64(in);
  if (aloft_decoded(in)) aloft_write_i64(out, (int64_t)((uint64_t)value + 1));
}

ALOFT_FUNCTION(conformance_next_char, 1) {
  const uint8_t value = aloft_read_u8(in);
  if (aloft_decoded(in)) aloft_write_u64(out, (uint8_t)(value + 1));
}
ALOFT_FUNCTION(conformance_complement, 1) {
  const uint8_t value = aloft_read_u8(in);
  if (aloft_decoded(in)) aloft_write_u64(out, (uint8_t)~value);
}

ALOFT_FUNCTION(conformance_half_f32, 1) {
  const float value = aloft_read_f32(in);
  if (aloft_decoded(in)) aloft_write_f32(out, value * 0.5F);
}
ALOFT_FUNCTION(conformance_half_f64, 1) {
  const double value = aloft_read_f64(in);
  if (aloft_decoded(in)) aloft_write_f64(out, value * 0.5);
}

ALOFT_FUNCTION(conformance_following, 1) {
  const int16_t colour = aloft_read_i16(in);
  if (!aloft_decoded(in)) return;
  switch (colour) {
    case -1: return aloft_write_i64(out, 0);
    case 0: return aloft_write_i64(out, 300);
    case 300: return aloft_write_i64(out, -1);
    default: aloft_abort("no such colour");
  }
}

static void reverse(const char* from, char* to, uint32_t size) {
  for (uint32_t i = 0; i < size; ++i) to[i] = from[size - 1 - i];
}

ALOFT_FUNCTION(conformance_reversed, 1) {
  const aloft_text text = aloft_read_string(in);
  if (!aloft_decoded(in)) return;
  char* const result = aloft_alloc(text.size);
  reverse(text.data, result, text.size);
  aloft_write_string(out, result, text.size);
}
ALOFT_FUNCTION(conformance_reversed_bytes, 1) {
  const aloft_bytes bytes = aloft_read_packed(in, 1);
  if (!aloft_decoded(in)) return;
  reverse((const char*)bytes.data, (char*)aloft_write_packed(out, bytes.size), bytes.size);
}

ALOFT_FUNCTION(conformance_sums, 1) {
  const aloft_bytes numbers = aloft_read_packed(in, sizeof(uint32_t));
  if (!aloft_decoded(in)) return;
  uint8_t* const result = aloft_write_packed(out, numbers.size);
  uint32_t sum = 0;
  for (uint32_t at = 0; at < numbers.size; at += sizeof sum) {
    uint32_t number = 0;
    memcpy(&number, numbers.data + at, sizeof number);
    sum += number;
    memcpy(result + at, &sum, sizeof sum);
  }
}
ALOFT_FUNCTION(conformance_halves, 1) {
  const aloft_bytes numbers = aloft_read_packed(in, sizeof(double));
  if (!aloft_decoded(in)) return;
  uint8_t* const result = aloft_write_packed(out, numbers.size);
  for (uint32_t at = 0; at < numbers.size; at += sizeof(double)) {
    double number = 0;
    memcpy(&number, numbers.data + at, sizeof number);
    number *= 0.5;
    memcpy(result + at, &number, sizeof number);
  }
}

ALOFT_FUNCTION(conformance_backwards, 1) {
  const uint32_t count = aloft_read_list(in, 1);
  aloft_text* const words = aloft_alloc(count * sizeof *words);
  for (uint32_t i = 0; i < count; ++i) words[i] = aloft_read_string(in);
  if (!aloft_decoded(in)) return;
  aloft_write_list(out, count);
  for (uint32_t i = count; i > 0; --i)
    aloft_write_string(out, words[i - 1].data, words[i - 1].size);
}

ALOFT_FUNCTION(conformance_rotated, 1) {
  const aloft_bytes numbers = aloft_read_packed(in, sizeof(float));
  if (numbers.size != 3 * sizeof(float)) aloft_fail(in, "an array of another length");
  if (!aloft_decoded(in)) return;
  uint8_t* const result = aloft_write_packed(out, numbers.size);
  memcpy(result, numbers.data + sizeof(float), 2 * sizeof(float));
  memcpy(result + 2 * sizeof(float), numbers.data, sizeof(float));
}

ALOFT_FUNCTION(conformance_opposite, 1) {
  const bool nothing = aloft_read_nil(in);
  const int32_t value = nothing ? 0 : aloft_read_i32(in);
  if (!aloft_decoded(in)) return;
  if (nothing) return aloft_write_i64(out, 0);
  if (value == 0) return aloft_write_nil(out);
  aloft_write_i64(out, (int32_t)-(uint32_t)value);
}

ALOFT_FUNCTION(conformance_swapped, 1) {
  if (!aloft_read_members(in, 2)) return;
  const int32_t number = aloft_read_i32(in);
  const aloft_text text = aloft_read_string(in);
  if (!aloft_decoded(in)) return;
  aloft_write_list(out, 2);
  aloft_write_string(out, text.data, text.size);
  aloft_write_i64(out, number);
}

struct pair {
  aloft_text key;
  int64_t value;
};

static int by_key(const void* a, const void* b) {
  const aloft_text* const x = &((const struct pair*)a)->key;
  const aloft_text* const y = &((const struct pair*)b)->key;
  const int order = memcmp(x->data, y->data, x->size < y->size ? x->size : y->size);
  return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

ALOFT_FUNCTION(conformance_doubled, 1) {
  const uint32_t count = aloft_read_map(in, 2);
  struct pair* const pairs = aloft_alloc(count * sizeof *pairs);
  for (uint32_t i = 0; i < count; ++i) {
    pairs[i].key = aloft_read_string(in);
    pairs[i].value = aloft_read_i64(in);
  }
  if (!aloft_decoded(in)) return;
  qsort(pairs, count, sizeof *pairs, by_key);
  for (uint32_t i = 1; i < count; ++i) {
    if (by_key(&pairs[i - 1], &pairs[i]) == 0) return aloft_fail(in, "a key that was there before");
  }
  aloft_write_map(out, count);
  for (uint32_t i = 0; i < count; ++i) {
    aloft_write_string(out, pairs[i].key.data, pairs[i].key.size);
    aloft_write_i64(out, (int64_t)((uint64_t)pairs[i].value * 2));
  }
}

struct point {
  float x, y;
};
static struct point read_point(aloft_reader* in) {
  if (!aloft_read_members(in, 2)) return (struct point){};
  const float x = aloft_read_f32(in);
  return (struct point){x, aloft_read_f32(in)};
}
static void write_point(aloft_writer* out, struct point point) {
  aloft_write_list(out, 2);
  aloft_write_f32(out, point.x);
  aloft_write_f32(out, point.y);
}

ALOFT_FUNCTION(conformance_moved, 2) {
  if (!aloft_read_members(in, 5)) return;
  const uint64_t id = aloft_read_u64(in);
  const aloft_text label = aloft_read_string(in);
  const struct point at = read_point(in);
  const uint32_t count = aloft_read_list(in, 11);
  struct point* const path = aloft_alloc(count * sizeof *path);
  for (uint32_t i = 0; i < count; ++i) path[i] = read_point(in);
  const bool has_speed = !aloft_read_nil(in);
  const double speed = has_speed ? aloft_read_f64(in) : 0;
  const struct point by = read_point(in);
  if (!aloft_decoded(in)) return;

  aloft_write_list(out, 5);
  aloft_write_u64(out, id);
  aloft_write_string(out, label.data, label.size);
  write_point(out, (struct point){at.x + by.x, at.y + by.y});
  aloft_write_list(out, count + 1);
  for (uint32_t i = 0; i < count; ++i) write_point(out, path[i]);
  write_point(out, at);
  if (has_speed)
    aloft_write_f64(out, speed);
  else
    aloft_write_nil(out);
}

ALOFT_FUNCTION(conformance_negative, 1) {
  const aloft_image image = aloft_read_image(in);
  if (!aloft_decoded(in)) return;
  uint8_t* const pixels = aloft_write_image(out, image.width, image.height, image.format);
  for (uint32_t i = 0; i < image.pixels.size; ++i)
    pixels[i] = (uint8_t)(255 - image.pixels.data[i]);
}

ALOFT_FUNCTION(conformance_language, 0) {
  if (aloft_decoded(in)) aloft_write_string(out, "c", 1);
}

ALOFT_FUNCTION(conformance_say, 1) {
  const aloft_text text = aloft_read_string(in);
  if (!aloft_decoded(in)) return;
  printf("%.*s\n", (int)text.size, text.data);
  fflush(stdout);
  aloft_write_nil(out);
}

ALOFT_FUNCTION(conformance_give_up, 1) {
  const aloft_text message = aloft_read_string(in);
  if (aloft_decoded(in)) aloft_abort_text(message.data, message.size);
}

ALOFT_FUNCTION(conformance_quotient, 2) {
  const int32_t number = aloft_read_i32(in);
  volatile int32_t divisor = aloft_read_i32(in);
  if (aloft_decoded(in)) aloft_write_i64(out, number / divisor);
}

ALOFT_FUNCTION(conformance_spin, 1) {
  volatile uint32_t state = aloft_read_u32(in);
  if (!aloft_decoded(in)) return;
  while (true) state = state + 1;
}

ALOFT_FUNCTION(conformance_hoard, 1) {
  const uint32_t piece = aloft_read_u32(in);
  if (!aloft_decoded(in)) return;
  uint32_t pieces = 0;
  void** last = NULL;
  for (void** memory = NULL; (memory = malloc(piece)) != NULL; ++pieces) {
    *memory = last;
    last = memory;
  }
  // The instance goes on to serve.
  while (last != NULL) {
    void** const before = *last;
    free(last);
    last = before;
  }
  aloft_write_u64(out, pieces);
}

#pragma clang diagnostic ignored "-Winfinite-recursion"  // which is what it is for
static uint32_t fall(uint32_t depth) {
  volatile char frame[1024] = {};
  return fall(depth + 1) + (uint32_t)frame[depth % sizeof frame];
}
ALOFT_FUNCTION(conformance_fall, 1) {
  const uint32_t depth = aloft_read_u32(in);
  if (aloft_decoded(in)) aloft_write_u64(out, fall(depth));
}

static void require(int32_t error) {
  if (error != WASI_NN_OK) aloft_abort("the network cannot be computed");
}

ALOFT_FUNCTION(conformance_infer, 1) {
  const float number = aloft_read_f32(in);
  if (!aloft_decoded(in)) return;
  // Both stay valid for the instance's life.
  static wasi_nn_context context;
  static bool loaded;
  if (!loaded) {
    static const char kName[] = "doubling";
    wasi_nn_graph graph = 0;
    require(wasi_nn_load_by_name(kName, sizeof kName - 1, &graph));
    require(wasi_nn_init_execution_context(graph, &context));
    loaded = true;
  }
  const uint32_t dims[] = {1};
  const wasi_nn_tensor tensor = {
      .dims = dims, .dims_length = 1, .type = WASI_NN_F32, .data = &number, .size = sizeof number};
  require(wasi_nn_set_input(context, 0, &tensor));
  require(wasi_nn_compute(context));
  float result = 0;
  uint32_t written = 0;
  require(wasi_nn_get_output(context, 0, &result, sizeof result, &written));
  aloft_write_f32(out, result);
}

// --- The class
struct line {
  char* data;
  uint32_t size;
};
struct notebook {
  struct line* lines;
  uint32_t count;
  uint32_t capacity;
  int64_t weight;
};

static void* allocated(void* memory) {
  if (memory == NULL) aloft_abort("out of memory");
  return memory;
}

static void clear(struct notebook* notebook) {
  for (uint32_t i = 0; i < notebook->count; ++i) free(notebook->lines[i].data);
  notebook->count = 0;
  notebook->weight = 0;
}

static void append(struct notebook* notebook, aloft_text text) {
  if (notebook->count == notebook->capacity) {
    notebook->capacity = notebook->capacity * 2 + 4;
    notebook->lines =
        allocated(realloc(notebook->lines, notebook->capacity * sizeof *notebook->lines));
  }
  struct line* const line = &notebook->lines[notebook->count++];
  *line = (struct line){allocated(malloc(text.size + 1)), text.size};
  memcpy(line->data, text.data, text.size);
}

static void* make(void) { return allocated(calloc(1, sizeof(struct notebook))); }

static void destroy(void* object) {
  struct notebook* const notebook = object;
  clear(notebook);
  free(notebook->lines);
  free(notebook);
}

static void save(const void* object, aloft_writer* out) {
  const struct notebook* const notebook = object;
  aloft_write_list(out, notebook->count);
  for (uint32_t i = 0; i < notebook->count; ++i)
    aloft_write_string(out, notebook->lines[i].data, notebook->lines[i].size);
  aloft_write_i64(out, notebook->weight);
}

static void* load(aloft_reader* in) {
  const uint32_t count = aloft_read_list(in, 1);
  aloft_text* const lines = aloft_alloc(count * sizeof *lines);
  for (uint32_t i = 0; i < count; ++i) lines[i] = aloft_read_string(in);
  const int64_t weight = aloft_read_i64(in);
  if (!aloft_decoded(in)) return NULL;
  struct notebook* const notebook = make();
  for (uint32_t i = 0; i < count; ++i) append(notebook, lines[i]);
  notebook->weight = weight;
  return notebook;
}

static const aloft_class kNotebook = {.name = "conformance::Notebook",
                                      .make = make,
                                      .destroy = destroy,
                                      .fields = 2,
                                      .save = save,
                                      .load = load};
const aloft_class* const aloft_classes[] = {&kNotebook, NULL};

ALOFT_METHOD(kNotebook, conformance_Notebook_write, 2) {
  struct notebook* const notebook = self;
  const aloft_text line = aloft_read_string(in);
  const int64_t weight = aloft_read_i64(in);
  if (!aloft_decoded(in)) return;
  append(notebook, line);
  notebook->weight += weight;
  aloft_write_u64(out, notebook->count);
}
ALOFT_METHOD(kNotebook, conformance_Notebook_weight, 0) {
  const struct notebook* const notebook = self;
  if (aloft_decoded(in)) aloft_write_i64(out, notebook->weight);
}
ALOFT_METHOD(kNotebook, conformance_Notebook_line, 1) {
  const struct notebook* const notebook = self;
  const uint32_t number = aloft_read_u32(in);
  if (!aloft_decoded(in)) return;
  if (number >= notebook->count) aloft_abort("no such line");
  aloft_write_string(out, notebook->lines[number].data, notebook->lines[number].size);
}
ALOFT_METHOD(kNotebook, conformance_Notebook_clear, 0) {
  if (!aloft_decoded(in)) return;
  clear(self);
  aloft_write_nil(out);
}
