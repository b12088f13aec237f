// How many connections a daemon may have: as many as the system lets it. The bound that programs
// start with is for those that use select(), and a few idle connections would use it up.
#pragma once

#include <sys/resource.h>

namespace aloft {

inline void allow_all_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace aloft
