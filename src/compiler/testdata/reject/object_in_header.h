#pragma once

#include <aloft/object.h>

class ALOFT_OFFLOAD_OBJECT InHeader {
 public:
  ALOFT_OFFLOAD int add(int by) { return total_ += by; }
  ALOFT_OFFLOAD int get() const;

 private:
  long size_ = 0;
  int total_ = 0;
  ALOFT_STATE(total_, size_)
};
