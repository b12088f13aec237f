// What is said where Avahi's daemon cannot be reached. Private to this folder.
#pragma once

#include <string>

#include <avahi-common/error.h>

#include <aloft/result.h>

namespace aloft::mdns {

// `error`: Avahi's.
inline std::unexpected<Error> no_daemon(int error) {
  return fail(
      Errc::unreachable,
      std::string("Avahi, over the system bus (is avahi-daemon there?): ") + avahi_strerror(error));
}

}  // namespace aloft::mdns
