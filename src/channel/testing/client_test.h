// A fixture for tests of one link, as its end that connects has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "channel/io_thread.h"
#include "channel/tcp.h"
#include "channel/testing/recorder.h"

namespace aloft::channel::testing {

class ClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<Endpoint> connect(std::uint16_t port, EndpointOptions options = {}) {
    return connect_tcp(io, {"127.0.0.1", port}, std::move(options), client);
  }
  [[nodiscard]] bool up(std::size_t times = 1) {
    return client.wait([&] { return client.ups.size() >= times; });
  }
  [[nodiscard]] bool down(std::size_t times = 1) {
    return client.wait([&] { return client.downs.size() >= times; });
  }

  IoThread io;
  Recorder client;
};

}  // namespace aloft::channel::testing
