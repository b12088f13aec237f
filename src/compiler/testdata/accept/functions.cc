#include <string>
#include <utility>
#include <vector>

#include <aloft/offload.h>

#define MODULE_API __attribute__((visibility("default")))

namespace outer {
inline namespace v1 {
namespace inner {

[[nodiscard]] ALOFT_OFFLOAD int declared_before(int x);
ALOFT_OFFLOAD int tagged_in_declaration_only(int x);

}  // namespace inner
}  // namespace v1
}  // namespace outer

// Calls before the definition, and one in a default argument.
int before(int x) { return outer::inner::declared_before(x); }

int outer::inner::declared_before(int x) { return x + 1; }

namespace outer::inline v1::inner {

int tagged_in_declaration_only(const int x) { return x + declared_before(x); }

	ALOFT_OFFLOAD [[nodiscard]] MODULE_API std::string after_a_tab(const std::string& text,
	                                                                     int times = 2 /* default */) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

ALOFT_OFFLOAD auto trailing(int x, std::vector<int> values) -> std::pair<int, int> { return {x, values.empty() ? 0 : values[0]}; }

ALOFT_OFFLOAD int /* comment */ on_one_line(int x) { return x; } int next_to_it(int x) { return on_one_line(x); }

ALOFT_OFFLOAD
int
split
(
  int x
)
{
  return x < 2 ? x : split(x - 1) + split(x - 2);
}

ALOFT_OFFLOAD int overloaded(int x) { return x; }
ALOFT_OFFLOAD int overloaded(double x) { return static_cast<int>(x); }
int overloaded(const char*) { return 0; }

ALOFT_OFFLOAD bool never_throws(int x) noexcept { return x > 0; }
ALOFT_OFFLOAD bool may_throw(int x) noexcept(false) { return x > 0; }

}  // namespace outer::inline v1::inner

extern "C" ALOFT_OFFLOAD int with_c_linkage(int x) { return x; }

int with_defaults() { return outer::inner::after_a_tab("ab").size() + static_cast<int>(outer::inner::overloaded(2.5)); }
