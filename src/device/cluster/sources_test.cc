// Where managers are found: against a name server and an HTTPS server of the test's, over real
// sockets.
#include <array>
#include <map>
#include <thread>

#include <arpa/inet.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device/cluster/client_key.h"
#include "device/cluster/discovery.h"
#include "device/cluster/dns_sd.h"
#include "identity/certificate.h"

namespace aloft::device {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// --- DNS-SD

std::string wire_name(const std::string& name) {
  std::string bytes;
  for (std::size_t begin = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    bytes += static_cast<char>(end - begin);
    bytes += name.substr(begin, end - begin);
    begin = end + 1;
  }
  return bytes + '\0';
}

std::string u16(std::size_t value) {
  return {static_cast<char>(value >> 8U), static_cast<char>(value & 0xffU)};
}

// Answers questions with the records that it was given, and with NXDOMAIN others.
class NameServer {
 public:
  static constexpr unsigned kPtr = 12;
  static constexpr unsigned kSrv = 33;

  NameServer() : socket_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address_), size) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address_), &size) != 0)
      std::abort();
  }
  ~NameServer() {
    // A datagram without a question ends it.
    const int end = ::socket(AF_INET, SOCK_DGRAM, 0);
    (void)!::sendto(end, "", 0, 0, reinterpret_cast<sockaddr*>(&address_), sizeof address_);
    ::close(end);
    if (thread_.joinable()) thread_.join();
    ::close(socket_);
  }
  void add_ptr(const std::string& name, const std::string& target) {
    records_.emplace(std::pair(wire_name(name), kPtr), wire_name(target));
  }
  void add_srv(const std::string& name, unsigned priority, unsigned port,
               const std::string& target) {
    records_.emplace(std::pair(wire_name(name), kSrv),
                     u16(priority) + u16(0) + u16(port) + wire_name(target));
  }
  void start() {
    thread_ = std::thread([this] { serve(); });
  }
  [[nodiscard]] sockaddr_in address() const { return address_; }

 private:
  void serve() {
    std::array<char, 1024> bytes{};
    for (;;) {
      sockaddr_in from{};
      socklen_t from_size = sizeof from;
      const ssize_t size = ::recvfrom(socket_, bytes.data(), bytes.size(), 0,
                                      reinterpret_cast<sockaddr*>(&from), &from_size);
      constexpr std::size_t kHeader = 12;
      if (size < static_cast<ssize_t>(kHeader)) return;
      const std::string message(bytes.data(), static_cast<std::size_t>(size));
      const std::string name = message.substr(kHeader, message.find('\0', kHeader) + 1 - kHeader);
      const std::string question = message.substr(kHeader, name.size() + 4);
      const auto type = static_cast<unsigned char>(question[name.size() + 1]);
      const auto [begin, end] = records_.equal_range(std::pair(name, unsigned{type}));
      std::string answers;
      unsigned count = 0;
      for (auto record = begin; record != end; ++record, ++count)
        answers += name + u16(type) + u16(1) + u16(0) + u16(60) + u16(record->second.size()) +
                   record->second;
      const std::string answer = message.substr(0, 2) + u16(count > 0 ? 0x8180 : 0x8183) + u16(1) +
                                 u16(count) + u16(0) + u16(0) + question + answers;
      (void)!::sendto(socket_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from),
                      from_size);
    }
  }

  const int socket_;
  sockaddr_in address_{};
  std::multimap<std::pair<std::string, unsigned>, std::string> records_;
  std::thread thread_;
};

TEST(DnsSd, instances_are_found_in_the_order_of_their_priority) {
  NameServer server;
  server.add_ptr("_aloft._tcp.example.net", "second._aloft._tcp.example.net");
  server.add_ptr("_aloft._tcp.example.net", "first._aloft._tcp.example.net");
  server.add_srv("second._aloft._tcp.example.net", 20, 7400, "b.example.net");
  server.add_srv("first._aloft._tcp.example.net", 10, 7401, "a.example.net");
  server.start();
  const auto found = dns_sd_source_at("example.net", server.address())->find(10s);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_THAT(*found, ElementsAre("a.example.net:7401", "b.example.net:7400"));
}

TEST(DnsSd, a_zone_may_say_where_the_service_is_without_naming_instances) {
  NameServer server;
  server.add_srv("_aloft._tcp.example.net", 0, 7400, "a.example.net");
  server.start();
  const auto found = dns_sd_source_at("example.net", server.address())->find(10s);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_THAT(*found, ElementsAre("a.example.net:7400"));
}

TEST(DnsSd, a_domain_without_a_cluster_is_no_error_and_a_silent_server_is) {
  NameServer server;
  server.start();
  const auto found = dns_sd_source_at("example.net", server.address())->find(10s);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_THAT(*found, IsEmpty());
  const NameServer silent;
  const auto none = dns_sd_source_at("example.net", silent.address())->find(1s);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::unreachable);
}

// --- Simple Edge Discovery

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

// Answers one request over TLS.
class Operator {
 public:
  Operator(http::status status, std::string body)
      : authority_(identity::Authority::create("operator").value()),
        acceptor_(context_, {asio::ip::address_v4::loopback(), 0}) {
    const auto issued = authority_
                            .issue({.identity = {.cluster = "operator",
                                                 .role = identity::Role::manager,
                                                 .name = "api"},
                                    .hosts = {"127.0.0.1"}})
                            .value();
    tls_.use_certificate_chain(asio::buffer(issued.certificate_pem));
    tls_.use_private_key(asio::buffer(issued.key_pem), asio::ssl::context::pem);
    thread_ = std::thread([this, status, body = std::move(body)] { serve(status, body); });
  }
  ~Operator() {
    boost::system::error_code ignored;
    tcp::socket(context_).connect(acceptor_.local_endpoint(), ignored);  // if nobody came
    thread_.join();
  }
  [[nodiscard]] CamaraOptions options() const {
    CamaraOptions made;
    made.url = "https://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) +
               "/simple-edge-discovery/v1/";
    made.authority = authority_.certificate_pem();
    made.token = "secret";
    made.phone_number = "+123456789";
    made.zones = {{"London", "10.0.0.1:7400"}, {"Paris", "10.0.1.1:7400"}};
    return made;
  }
  // After find().
  [[nodiscard]] const http::request<http::string_body>& request() {
    thread_.join();
    thread_ = std::thread([] {});
    return request_;
  }

 private:
  void serve(http::status status, const std::string& body) {
    boost::system::error_code error;
    asio::ssl::stream<tcp::socket> stream(acceptor_.accept(), tls_);
    stream.handshake(asio::ssl::stream_base::server, error);
    beast::flat_buffer buffer;
    if (!error) http::read(stream, buffer, request_, error);
    if (error) return;
    http::response<http::string_body> response(status, 11, body);
    response.set(http::field::content_type, "application/json");
    response.prepare_payload();
    http::write(stream, response, error);
    stream.shutdown(error);
  }

  const identity::Authority authority_;
  asio::io_context context_;
  asio::ssl::context tls_{asio::ssl::context::tls_server};
  tcp::acceptor acceptor_;
  http::request<http::string_body> request_;
  std::thread thread_;
};

TEST(Camara, the_closest_zone_leads_to_its_manager) {
  Operator api(http::status::ok,
               R"([{"edgeCloudZoneId": "4f0b", "edgeCloudZoneName": "Paris",
                    "edgeCloudProvider": "somebody"}])");
  const auto found = camara_source(api.options())->find(10s);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_THAT(*found, ElementsAre("10.0.1.1:7400"));
  const auto& request = api.request();
  EXPECT_EQ(request.target(), "/simple-edge-discovery/v1/edge-cloud-zones?filter=closest");
  EXPECT_EQ(request["Authorization"], "Bearer secret");
  EXPECT_EQ(request["Phone-Number"], "+123456789");
  EXPECT_EQ(request["x-correlator"].size(), 36U);
}

TEST(Camara, a_zone_that_nobody_knows_is_named) {
  Operator api(http::status::ok, R"({"edgeCloudZones": [{"edgeCloudZoneName": "Rome"}]})");
  const auto found = camara_source(api.options())->find(10s);
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().message, HasSubstr("Rome"));
}

TEST(Camara, what_the_operator_says_of_a_request_is_told) {
  Operator api(http::status::forbidden,
               R"({"status": 403, "code": "PERMISSION_DENIED", "message": "not your number"})");
  const auto found = camara_source(api.options())->find(10s);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::refused);
  EXPECT_THAT(found.error().message, HasSubstr("HTTP 403: not your number"));
}

TEST(Camara, what_is_no_list_of_zones_is_said_to_be_none) {
  Operator api(http::status::ok, "<html>");
  const auto found = camara_source(api.options())->find(10s);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::protocol);
}

TEST(Camara, an_operator_without_trust_gets_no_token) {
  Operator api(http::status::ok, "[]");
  CamaraOptions options = api.options();
  options.authority = identity::Authority::create("other").value().certificate_pem();
  const auto found = camara_source(std::move(options))->find(10s);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::unreachable);
  EXPECT_TRUE(api.request()["Authorization"].empty());
}

// --- Keys, distances

TEST(ClientKey, a_key_that_was_made_is_that_of_its_certificate) {
  const auto made = make_client_key();
  ASSERT_TRUE(made) << made.error().message;
  const auto read = client_key_of(made->certificate, made->key);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->public_key, made->public_key);
  EXPECT_EQ(identity::public_key_digest(made->certificate).value(), made->public_key);
  EXPECT_NE(make_client_key().value().public_key, made->public_key);
}

TEST(Distance, a_session_moves_for_a_cluster_that_is_really_closer_only) {
  EXPECT_TRUE(is_worth_moving(30ms, 10ms));
  EXPECT_FALSE(is_worth_moving(10ms, 30ms));
  EXPECT_FALSE(is_worth_moving(10ms, 9ms));
  EXPECT_FALSE(is_worth_moving(2ms, 1ms)) << "that is noise";
}

}  // namespace
}  // namespace aloft::device
