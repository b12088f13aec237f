#include <csetjmp>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <aloft/offload.h>

namespace {

int parse(const std::string& text) {
  try {
    return std::stoi(text);
  } catch (const std::exception&) {
    return -1;
  }
}

struct Parser {
  int parse(const std::string& text) const { return text.empty() ? throw std::runtime_error("empty") : 1; }
};

template <class T>
T first(const std::vector<T>& values) {
  if (values.empty()) throw std::out_of_range("no values");
  return values[0];
}

std::jmp_buf place;

}  // namespace

ALOFT_OFFLOAD int throws(int x) {
  if (x < 0) throw std::invalid_argument("negative");
  return x;
}

ALOFT_OFFLOAD int calls(const std::string& text) { return parse(text) + Parser().parse(text); }
ALOFT_OFFLOAD int calls_again(const std::string& text) { return parse(text); }
ALOFT_OFFLOAD int calls_a_template(const std::vector<int>& values) { return first(values); }

ALOFT_OFFLOAD int whole(int x) try { return x; } catch (...) {
  return 0;
}

ALOFT_OFFLOAD int in_a_lambda(int x) {
  const auto check = [](int y) {
    if (y == 0) throw 1;
    return y;
  };
  return check(x);
}

ALOFT_OFFLOAD std::uint32_t assembly(std::uint32_t x) {
  asm("bswap %0" : "+r"(x));
  return x;
}

ALOFT_OFFLOAD int jumps(int x) {
  if (setjmp(place) != 0) return 0;
  if (x > 0) std::longjmp(place, 1);
  return x;
}
