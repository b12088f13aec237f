#include <aloft/object.h>

namespace demo {

class ALOFT_OFFLOAD_OBJECT Counter {
 public:
  ALOFT_OFFLOAD int add(int by);

 private:
  int total_ = 0;
  ALOFT_STATE(total_)
};
int Counter::add(int by) { return total_ += by; }

int copy(Counter& counter) {
  Counter other = counter;
  other = counter;
  return other.add(1);
}

}  // namespace demo
