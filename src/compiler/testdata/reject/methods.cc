#include <string>
#include <vector>

#include <aloft/object.h>

#define BODY { return 1; }
#define UNNAMED (int)
#define NAME made_by_a_macro

namespace demo {

int calls = 0;
int next() { return ++calls; }

class ALOFT_OFFLOAD_OBJECT Tracker {
 public:
  Tracker() : next_(next()) {}
  ALOFT_OFFLOAD static int no_object();
  ALOFT_OFFLOAD_ONCE int effects();
  ALOFT_OFFLOAD int qualified() &;
  ALOFT_OFFLOAD int of_a_macro();
  ALOFT_OFFLOAD int unnamed UNNAMED;
  ALOFT_OFFLOAD int NAME();
  ALOFT_OFFLOAD const std::vector<int>& reference() const;
  ALOFT_OFFLOAD int writes_through(int& x);
  ALOFT_OFFLOAD int points(const int* x);
  ALOFT_OFFLOAD Tracker& itself();
  ALOFT_OFFLOAD int takes(const Tracker& other);
  ALOFT_OFFLOAD int operator()(int x);
  ALOFT_OFFLOAD int reads_a_global();
  ALOFT_OFFLOAD int throws();
  ALOFT_OFFLOAD constexpr int computed() { return 1; }
  template <class T>
  ALOFT_OFFLOAD T any(T x) {
    return x;
  }

 private:
  ALOFT_OFFLOAD int hidden();
  int deep();
  std::vector<int> values_;
  int next_;
  ALOFT_STATE(values_, next_)
};

int Tracker::no_object() { return 1; }
int Tracker::effects() { return 1; }
int Tracker::qualified() & { return 1; }
int Tracker::of_a_macro() BODY
int Tracker::unnamed UNNAMED { return 1; }
int Tracker::NAME() { return 1; }
const std::vector<int>& Tracker::reference() const { return values_; }
int Tracker::writes_through(int& x) { return x = 1; }
int Tracker::points(const int* x) { return *x; }
Tracker& Tracker::itself() { return *this; }
int Tracker::takes(const Tracker& other) { return other.next_; }
int Tracker::operator()(int x) { return x; }
int Tracker::reads_a_global() { return calls + deep(); }
int Tracker::throws() { throw 1; }
int Tracker::hidden() { return 1; }
int Tracker::deep() {
  static int last = 0;
  return ++last;
}

// Not an object: its methods stay where it is.
class Plain {
 public:
  ALOFT_OFFLOAD int get();
};
int Plain::get() { return 1; }

}  // namespace demo
