// How a guest ends a call that cannot go on: a line on stderr that says why, then a trap.
//
// libc++ and libc++abi end here too (bad_alloc, out_of_range, a failed check, a pure virtual call).
// Their own versions format with printf, which would make up most of a small module.

#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <cstring>

#include <aloft_guest/stderr.h>
#include <wasi/api.h>

#include <aloft/offload.h>

namespace aloft::guest {

void write_error(std::span<const std::string_view> parts) {
  __wasi_ciovec_t vectors[6];
  std::size_t count = 0;
  for (const std::string_view part : parts) {
    if (count < std::size(vectors))
      vectors[count++] = {reinterpret_cast<const std::uint8_t*>(part.data()), part.size()};
  }
  __wasi_size_t written = 0;
  (void)__wasi_fd_write(2, vectors, count,
                        &written);  // a host that does not take it is told by the trap
}

namespace {

[[noreturn]] void trap(std::string_view kind, std::string_view message) {
  const std::string_view parts[] = {"aloft: ", kind, message, "\n"};
  write_error(parts);
  __builtin_trap();
}

// Fills in the strings; what else the library formats is left as it stands.
[[noreturn]] void trap_formatted(const char* format, va_list arguments) {
  char message[256];
  std::size_t size = 0;
  const auto append = [&](const char* text, std::size_t length) {
    length = std::min(length, sizeof(message) - size);
    std::memcpy(message + size, text, length);
    size += length;
  };
  for (const char* at = format; *at != '\0'; ++at) {
    if (at[0] == '%' && at[1] == 's') {
      const char* text = va_arg(arguments, const char*);
      append(text, std::strlen(text));
      ++at;
    } else if (*at != '\n') {
      append(at, 1);
    }
  }
  trap("", std::string_view(message, size));
}

}  // namespace

}  // namespace aloft::guest

namespace aloft {

void abort_call(std::string_view message) { guest::trap("call aborted: ", message); }

}  // namespace aloft

_LIBCPP_BEGIN_NAMESPACE_STD

void __libcpp_verbose_abort(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  aloft::guest::trap_formatted(format, arguments);
}

_LIBCPP_END_NAMESPACE_STD

extern "C" [[noreturn]] void abort_message(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  aloft::guest::trap_formatted(format, arguments);
}
