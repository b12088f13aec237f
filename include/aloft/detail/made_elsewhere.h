// The version in this process of a function whose module was made in another language: there is
// none. aloft-cc writes a call of this as its body.
#pragma once

#include <string>
#include <string_view>

#include <aloft/detail/elastic_call.h>
#include <aloft/result.h>

namespace aloft::detail {

// Ends the call with `refused`. Calls come here when they are made unbound, when the policy or a
// fallback chose this device, or when no edge was ready.
[[noreturn]] inline void no_version_here(std::string_view function) {
  throw CallFailed({Errc::refused, std::string(function) +
                                       " has no version for this device, since its module was not "
                                       "made from C++: it runs at an edge only; have one ready "
                                       "(Runtime::wait_for_edge), a policy that goes there "
                                       "(remote_policy), and Fallback::none to be told why an edge "
                                       "failed"});
}

}  // namespace aloft::detail
