// The part of guest ABI 1 that every module of aloft-cc exports alike: docs/guest-abi.md.

#include <cstdlib>

#include <aloft_guest/export.h>
#include <aloft_guest/stderr.h>

namespace aloft::guest {

static_assert(sizeof(void*) == sizeof(std::uint32_t), "descriptors hold addresses of 32 bits");

namespace {

constexpr std::size_t kBufferAlignment = 16;

std::uint32_t address(const void* p) {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(p));
}

}  // namespace

const std::uint32_t* Reply::describe(std::span<const std::span<const std::byte>> segments) {
  words_.reserve(2 + 2 * segments.size());
  words_.push_back(address(this));
  words_.push_back(static_cast<std::uint32_t>(segments.size()));
  for (const auto segment : segments) {
    words_.push_back(address(segment.data()));
    words_.push_back(static_cast<std::uint32_t>(segment.size()));
  }
  return words_.data() + 1;
}

void release(const std::uint32_t* descriptor) {
  delete reinterpret_cast<Reply*>(static_cast<std::uintptr_t>(descriptor[-1]));
}

void report_bad_arguments(std::string_view function, const Error& error) {
  const std::string_view parts[] = {"aloft: the arguments of ", function,
                                    " do not decode: ", error.message, "\n"};
  write_error(parts);
}

}  // namespace aloft::guest

extern "C" {

[[clang::export_name("aloft_abi_version")]] std::uint32_t aloft_abi_version() { return 1; }

[[clang::export_name("aloft_buffer")]] void* aloft_buffer(std::uint32_t size) {
  using aloft::guest::kBufferAlignment;
  const std::size_t rounded =
      (std::size_t{size} + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
  if (rounded < size) return nullptr;
  return std::aligned_alloc(kBufferAlignment, rounded == 0 ? kBufferAlignment : rounded);
}

[[clang::export_name("aloft_free_buffer")]] void aloft_free_buffer(void* buffer) {
  std::free(buffer);
}

[[clang::export_name("aloft_release")]] void aloft_release(const std::uint32_t* descriptor) {
  aloft::guest::release(descriptor);
}

}  // extern "C"
