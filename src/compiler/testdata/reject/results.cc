#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <aloft/offload.h>

struct View {
  std::string_view text;
};

ALOFT_OFFLOAD void nothing(int) {}
ALOFT_OFFLOAD auto deduced(int x) { return x; }
ALOFT_OFFLOAD decltype(auto) deduced_exactly(int x) { return x; }
ALOFT_OFFLOAD const std::string constant(const std::string& x) { return x; }
ALOFT_OFFLOAD const std::string& reference(const std::string& x) { return x; }
ALOFT_OFFLOAD const char* pointer(int) { return ""; }
ALOFT_OFFLOAD std::string_view view(const std::string& x) { return x; }
ALOFT_OFFLOAD std::span<const int> span(const std::vector<int>& x) { return x; }
ALOFT_OFFLOAD std::vector<View> views(const std::string& x) { return {{x}}; }
ALOFT_OFFLOAD auto trailing(int x) -> int* {
  static int y = x;
  return &y;
}
