#include <aloft/offload.h>

#define NAME made_by_a_macro
#define TWO_PARTS(a, b) a##b

namespace demo {

template <class T>
ALOFT_OFFLOAD T a_template(T x) {
  return x;
}

struct Thing {
  ALOFT_OFFLOAD int member(int x) const { return x; }
  ALOFT_OFFLOAD virtual int overridable(int x) { return x; }
  ALOFT_OFFLOAD static int of_the_class(int x) { return x; }
  ALOFT_OFFLOAD int defined_elsewhere(int x);
  ALOFT_OFFLOAD bool operator==(const Thing&) const { return true; }
};

ALOFT_OFFLOAD inline int an_inline(int x) { return x; }
ALOFT_OFFLOAD static int a_static(int x) { return x; }
ALOFT_OFFLOAD constexpr int a_constexpr(int x) { return x; }
ALOFT_OFFLOAD consteval int a_consteval(int x) { return x; }
ALOFT_OFFLOAD int variadic(int x, ...) { return x; }
ALOFT_OFFLOAD int labelled(int x) asm("other_name");
int labelled(int x) { return x; }
ALOFT_OFFLOAD int operator+(const Thing&, int x) { return x; }
ALOFT_OFFLOAD int NAME(int x) { return x; }
ALOFT_OFFLOAD int TWO_PARTS(pas, ted)(int x) { return x; }
ALOFT_OFFLOAD int only_declared(int x);
int defaults(int x, int y);
ALOFT_OFFLOAD int deleted(int x) = delete;

namespace {
ALOFT_OFFLOAD int anonymous(int x) { return a_static(x); }
}  // namespace

int use(int x) { return anonymous(x); }

}  // namespace demo

ALOFT_OFFLOAD int demo::defaults(int x, int y = 2) { return x + y; }

ALOFT_OFFLOAD int main() { return 0; }
