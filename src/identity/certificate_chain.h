// Whether a certificate, its key and the authorities that a cluster trusts belong together: asked
// before they are used, so that a mistake in a folder of keys is told with its reason, and not by
// every handshake that fails later.
#pragma once

#include <string_view>

#include <aloft/result.h>

namespace aloft::identity {

// `certificate`: the one that is shown first, then those between it and an authority; all PEM.
// Errors: corrupt (no certificate, no key, or one with a passphrase), refused (the key is another
// one's; not good by these authorities, with OpenSSL's reason).
[[nodiscard]] Result<void> check_chain(std::string_view certificate, std::string_view key,
                                       std::string_view authorities);

}  // namespace aloft::identity
