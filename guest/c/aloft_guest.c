// The guest ABI: docs/guest-abi.md. What arguments and results are made of is in aloft_codec.c.
#include "aloft_guest.h"

#include <stdlib.h>

static_assert(sizeof(void*) == sizeof(uint32_t), "descriptors hold addresses of 32 bits");

// --- Memory of a call: blocks in a chain
struct block {
  struct block* next;
  max_align_t data[];
};
static struct block* blocks;

void* aloft_alloc(size_t size) {
  struct block* const block = size > SIZE_MAX - sizeof *block ? NULL : malloc(sizeof *block + size);
  if (block == NULL) aloft_abort("out of memory");
  block->next = blocks;
  blocks = block;
  return block->data;
}

static void free_blocks(void) {
  while (blocks != NULL) {
    struct block* const next = blocks->next;
    free(blocks);
    blocks = next;
  }
}

// --- Calls
// A result descriptor with one segment: what the host reads, and what is freed.
struct reply {
  uint32_t count;
  uint8_t* data;
  uint32_t size;
};

static const uint32_t* reply_with(aloft_writer* out) {
  struct reply* const reply = malloc(sizeof *reply);
  if (reply == NULL) aloft_abort("out of memory");
  *reply = (struct reply){1, out->data, out->size};
  return (const uint32_t*)reply;
}

static aloft_reader reader_of(const uint8_t* data, uint32_t size) {
  return (aloft_reader){data, data, data + size, NULL};
}

// Says why these are no arguments, and frees what was written.
static const uint32_t* refuse(const char* name, const char* why, aloft_writer* out) {
  const aloft_text parts[] = {aloft_text_of("aloft: the arguments of "), aloft_text_of(name),
                              aloft_text_of(" do not decode: "), aloft_text_of(why),
                              aloft_text_of("\n")};
  aloft_say(parts, 5);
  free(out->data);
  return NULL;
}

// The instance's object, and what the host knows its class by.
static const aloft_class* object_class;
static void* object;

const uint32_t* aloft_call_method(const char* name, const aloft_class* of, aloft_method* method,
                                  uint32_t parameters, const uint8_t* arguments, uint32_t size) {
  aloft_writer out = {};
  if (object_class != of || object == NULL)
    return refuse(name, "there is no object of its class", &out);
  aloft_reader in = reader_of(arguments, size);
  if (aloft_read_members(&in, parameters)) method(object, &in, &out);
  free_blocks();
  if (!aloft_decoded(&in)) return refuse(name, in.failure, &out);
  return reply_with(&out);
}

const uint32_t* aloft_call(const char* name, aloft_function* function, uint32_t parameters,
                           const uint8_t* arguments, uint32_t size) {
  aloft_writer out = {};
  aloft_reader in = reader_of(arguments, size);
  if (aloft_read_members(&in, parameters)) function(&in, &out);
  free_blocks();
  if (!aloft_decoded(&in)) return refuse(name, in.failure, &out);
  return reply_with(&out);
}

// --- The exports that every guest has
#define EXPORT(name) __attribute__((export_name(#name)))

EXPORT(aloft_abi_version) uint32_t aloft_abi_version(void) { return 1; }

EXPORT(aloft_buffer) void* aloft_buffer(uint32_t size) {
  const uint32_t rounded = (size + 15U) & ~15U;
  return rounded < size ? NULL : aligned_alloc(16, rounded == 0 ? 16 : rounded);
}

EXPORT(aloft_free_buffer) void aloft_free_buffer(void* buffer) { free(buffer); }

EXPORT(aloft_release) void aloft_release(const uint32_t* descriptor) {
  struct reply* const reply = (struct reply*)descriptor;
  free(reply->data);
  free(reply);
}

// --- Objects
__attribute__((weak)) const aloft_class* const aloft_classes[] = {NULL};

static void replace_object(const aloft_class* of, void* with) {
  if (object != NULL) object_class->destroy(object);
  object_class = of;
  object = with;
}

EXPORT(aloft_object_make) uint32_t aloft_object_make(uint32_t index) {
  uint32_t count = 0;
  while (aloft_classes[count] != NULL) ++count;
  if (index >= count) return 0;
  replace_object(aloft_classes[index], aloft_classes[index]->make());
  return 1;
}

EXPORT(aloft_state_save) const uint32_t* aloft_state_save(void) {
  if (object == NULL) return NULL;
  aloft_writer out = {};
  aloft_write_list(&out, object_class->fields);
  object_class->save(object, &out);
  return reply_with(&out);
}

EXPORT(aloft_state_load) uint32_t aloft_state_load(const uint8_t* state, uint32_t size) {
  if (object == NULL) return 0;
  aloft_reader in = reader_of(state, size);
  void* const loaded =
      aloft_read_members(&in, object_class->fields) ? object_class->load(&in) : NULL;
  free_blocks();
  if (loaded == NULL) {
    const aloft_text parts[] = {aloft_text_of("aloft: this is no state of "),
                                aloft_text_of(object_class->name), aloft_text_of(": "),
                                aloft_text_of(in.failure == NULL ? "it was refused" : in.failure),
                                aloft_text_of("\n")};
    aloft_say(parts, 5);
    return 0;
  }
  replace_object(object_class, loaded);
  return 1;
}
