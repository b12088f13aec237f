// What a TlsContext is made of; only for the sources of this folder.
#pragma once

#include <openssl/ssl.h>

#include "channel/tls.h"

namespace aloft::channel {

struct TlsContext::Impl {
  SSL_CTX* context = nullptr;
  bool connects = false;

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { SSL_CTX_free(context); }
};

}  // namespace aloft::channel
