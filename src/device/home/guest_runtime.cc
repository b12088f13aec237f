#include "device/home/guest_runtime.h"

#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include <pthread.h>
#include <sys/mman.h>

namespace aloft::device {
namespace {

constexpr std::uint64_t kPage = 65536;  // bytes of a page of linear memory
constexpr std::uint32_t kFailed = 0xffffffff;

// What a guest may use of a stack, what is left to host functions, and the least to begin with.
constexpr std::uintptr_t kGuestStack = std::uintptr_t{2} << 20;
constexpr std::uintptr_t kHostStack = std::uintptr_t{256} << 10;
constexpr std::uintptr_t kLeastStack = std::uintptr_t{128} << 10;

struct Entry {
  std::jmp_buf target;
  GuestLimits limits;
  GuestExit exit;
};

constinit thread_local Entry* current = nullptr;

struct Stack {
  std::uintptr_t low = 0;
  std::uintptr_t high = 0;
};

Stack stack_of_this_thread() {
  Stack stack;
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return stack;
  void* low = nullptr;
  std::size_t size = 0;
  if (::pthread_attr_getstack(&attributes, &low, &size) == 0) {
    stack.low = reinterpret_cast<std::uintptr_t>(low);
    stack.high = stack.low + size;
  }
  ::pthread_attr_destroy(&attributes);
  return stack;
}

}  // namespace

GuestExit enter_guest(const GuestLimits& limits, void (*body)(void*), void* argument) {
  Entry entry{.target = {}, .limits = limits, .exit = {}};
  current = &entry;
  if (setjmp(entry.target) == 0) body(argument);  // NOLINT(cert-err52-cpp)
  current = nullptr;
  return entry.exit;
}

Result<std::uintptr_t> guest_stack_end() {
  thread_local const Stack stack = stack_of_this_thread();
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  if (here < stack.low || here >= stack.high) {
    return fail(Errc::refused,
                "a module in another language runs here on a stack that its thread began with, and "
                "this is none: call it from another thread, or asynchronously");
  }
  const std::uintptr_t room = here - stack.low;
  if (room < kHostStack + kLeastStack) {
    return fail(Errc::resource_exhausted,
                "the thread has " + std::to_string(room / 1024) +
                    " KiB of stack left, a module in another language needs " +
                    std::to_string((kHostStack + kLeastStack) / 1024) +
                    " KiB to run here: give the thread more, or call it asynchronously");
  }
  return here - std::min(room - kHostStack, kGuestStack);
}

}  // namespace aloft::device

using aloft::device::current;
using aloft::device::kFailed;
using aloft::device::kPage;

extern "C" {

void aloft_translated_trap(wasm_rt_trap_t why) {
  current->exit.trap = why;
  std::longjmp(current->target, 1);  // NOLINT(cert-err52-cpp)
}

uint32_t aloft_translated_func_type(uint32_t parameters, uint32_t results, ...) {
  // Never destroyed: types are numbered as long as guests are.
  static std::mutex& mutex = *new std::mutex;
  static auto& numbers = *new std::map<std::string, std::uint32_t>;
  std::string words;
  std::va_list types;
  va_start(types, results);
  for (std::uint32_t i = 0; i < parameters + results; ++i) {
    if (i == parameters) words += '>';
    words += static_cast<char>('0' + va_arg(types, int));
  }
  va_end(types);
  const std::lock_guard lock(mutex);
  return numbers.try_emplace(words, static_cast<std::uint32_t>(numbers.size() + 1)).first->second;
}

void aloft_translated_allocate_memory(wasm_rt_memory_t* memory, uint32_t pages,
                                      uint32_t max_pages) {
  const std::uint64_t limit = current->limits.memory_bytes / kPage * kPage;
  if (pages * kPage > limit) {
    current->exit.over_limit = true;
    aloft_translated_trap(WASM_RT_TRAP_OOB);
  }
  // All of it at once: what has the address of a buffer, keeps it when the memory grows.
  const std::uint64_t reserved = std::min(std::max(max_pages, 1U) * kPage, limit);
  void* const data =
      ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED || ::mprotect(data, pages * kPage, PROT_READ | PROT_WRITE) != 0) {
    if (data != MAP_FAILED) ::munmap(data, reserved);
    current->exit.over_limit = true;
    aloft_translated_trap(WASM_RT_TRAP_OOB);
  }
  *memory = {.data = static_cast<std::uint8_t*>(data),
             .pages = pages,
             .max_pages = static_cast<std::uint32_t>(reserved / kPage),
             .size = static_cast<std::uint32_t>(pages * kPage),
             .reserved = reserved};
}

uint32_t aloft_translated_grow_memory(wasm_rt_memory_t* memory, uint32_t pages) {
  const std::uint32_t before = memory->pages;
  if (pages > memory->max_pages - before) return kFailed;
  if (pages != 0 &&
      ::mprotect(memory->data + before * kPage, pages * kPage, PROT_READ | PROT_WRITE) != 0)
    return kFailed;
  memory->pages += pages;
  memory->size = static_cast<std::uint32_t>(memory->pages * kPage);
  return before;
}

void aloft_translated_free_memory(wasm_rt_memory_t* memory) {
  if (memory->data != nullptr) ::munmap(memory->data, memory->reserved);
  memory->data = nullptr;
}

}  // extern "C"

namespace {

template <class Table>
void allocate_table(Table* table, std::uint32_t elements, std::uint32_t max_elements) {
  const std::uint32_t limit = current->limits.table_elements;
  if (elements > limit) {
    current->exit.over_limit = true;
    aloft_translated_trap(WASM_RT_TRAP_OOB);
  }
  table->max_size = std::min(max_elements, limit);
  table->data = static_cast<decltype(table->data)>(
      std::calloc(std::max(table->max_size, 1U), sizeof(*table->data)));
  if (table->data == nullptr) {
    current->exit.over_limit = true;
    aloft_translated_trap(WASM_RT_TRAP_OOB);
  }
  table->size = elements;
}

template <class Table, class Value>
std::uint32_t grow_table(Table* table, std::uint32_t elements, Value value) {
  const std::uint32_t before = table->size;
  if (elements > table->max_size - before) return kFailed;
  std::fill_n(table->data + before, elements, value);
  table->size += elements;
  return before;
}

template <class Table>
void free_table(Table* table) {
  std::free(table->data);
  table->data = nullptr;
}

}  // namespace

extern "C" {

void aloft_translated_allocate_funcref_table(wasm_rt_funcref_table_t* table, uint32_t elements,
                                             uint32_t max_elements) {
  allocate_table(table, elements, max_elements);
}
uint32_t aloft_translated_grow_funcref_table(wasm_rt_funcref_table_t* table, uint32_t elements,
                                             wasm_rt_funcref_t value) {
  return grow_table(table, elements, value);
}
void aloft_translated_free_funcref_table(wasm_rt_funcref_table_t* table) { free_table(table); }

void aloft_translated_allocate_externref_table(wasm_rt_externref_table_t* table, uint32_t elements,
                                               uint32_t max_elements) {
  allocate_table(table, elements, max_elements);
}
uint32_t aloft_translated_grow_externref_table(wasm_rt_externref_table_t* table, uint32_t elements,
                                               wasm_rt_externref_t value) {
  return grow_table(table, elements, value);
}
void aloft_translated_free_externref_table(wasm_rt_externref_table_t* table) { free_table(table); }

}  // extern "C"
