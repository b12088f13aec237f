#include <cstdint>

#include <aloft/object.h>

class ALOFT_OFFLOAD_OBJECT Counter {
 public:
  ALOFT_OFFLOAD int add(int by);

 private:
  std::int_fast16_t total_ = 0;
  ALOFT_STATE(total_)
};
int Counter::add(int by) { return static_cast<int>(total_ += by); }
