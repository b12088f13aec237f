#include "net/address.h"

#include <gtest/gtest.h>

namespace aloft::net {
namespace {

TEST(Address, a_host_and_a_port_are_read_and_written) {
  EXPECT_EQ(Address::parse("127.0.0.1:7411"), (Address{"127.0.0.1", 7411}));
  EXPECT_EQ(Address::parse("edge.example:0"), (Address{"edge.example", 0}));
  EXPECT_EQ(Address::parse("[::1]:65535"), (Address{"::1", 65535}));
  EXPECT_EQ((Address{"::1", 7}).to_string(), "[::1]:7");
  EXPECT_EQ((Address{"localhost", 7}).to_string(), "localhost:7");
}

TEST(Address, what_is_no_address_is_refused_with_the_reason) {
  const auto complaint = [](std::string_view text) {
    const auto address = Address::parse(text);
    return address ? "accepted" : address.error().message;
  };
  EXPECT_EQ(complaint("localhost"), "no address HOST:PORT: 'localhost' lacks a port");
  EXPECT_EQ(complaint("http://localhost:80"),
            "no address HOST:PORT: 'http://localhost:80' is a URL");
  EXPECT_EQ(complaint(":80"), "no address HOST:PORT: ':80' lacks a host");
  EXPECT_EQ(complaint("::1:80"),
            "no address HOST:PORT: '::1:80' has several colons; an IPv6 number stands in brackets");
  EXPECT_EQ(complaint("[::1]"), "no address HOST:PORT: '[::1]' lacks ']:' after an IPv6 number");
  for (const char* port : {"", "x", "65536", "-1", "80 ", "8 0", "+8"}) {
    EXPECT_EQ(complaint("h:" + std::string(port)),
              "no address HOST:PORT: 'h:" + std::string(port) +
                  "' has a port that is no number from 0 to 65535");
  }
  EXPECT_EQ(Address::parse("").error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace aloft::net
