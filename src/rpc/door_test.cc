#include "rpc/door.h"

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/socket.h>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "base/descriptor.h"
#include "net/testing/loopback.h"

namespace aloft::rpc {
namespace {

using namespace std::chrono_literals;

class Pings final : public v1::OffloadManager::Service {
  grpc::Status Ping(grpc::ServerContext* context, const v1::PingRequest*,
                    v1::PingResponse* response) override {
    response->set_cluster(context->peer());
    return grpc::Status::OK;
  }
};

class DoorTest : public ::testing::Test {
 protected:
  void serve(const std::string& address) {
    auto made = Door::listen(address);
    ASSERT_TRUE(made) << made.error().message;
    door_ = *std::move(made);
    grpc::ServerBuilder builder;
    door_->lead_to(builder, grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    door_->open();
  }
  std::shared_ptr<grpc::Channel> channel(const std::string& host) const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    return grpc::CreateCustomChannel(host + ":" + std::to_string(door_->port()),
                                     grpc::InsecureChannelCredentials(), arguments);
  }
  // Whom the server sees; empty: no answer.
  static std::string ping(const std::shared_ptr<grpc::Channel>& channel,
                          std::chrono::seconds limit = 30s) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + limit);
    v1::PingResponse response;
    const auto status = v1::OffloadManager::NewStub(channel)->Ping(&context, {}, &response);
    return status.ok() ? response.cluster() : "";
  }
  Descriptor connect() const { return net::testing::connect_to(door_->port()); }

  Pings service_;
  std::unique_ptr<Door> door_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(DoorTest, clients_are_served_and_seen_with_their_address) {
  serve("127.0.0.1:0");
  EXPECT_TRUE(ping(channel("127.0.0.1")).starts_with("ipv4:127.0.0.1:"));
}

TEST_F(DoorTest, every_address_of_a_name_is_listened_on_at_one_port) {
  serve("localhost:0");
  EXPECT_FALSE(ping(channel("127.0.0.1")).empty());
  addrinfo* other = nullptr;
  addrinfo hints{};
  hints.ai_family = AF_INET6;
  if (::getaddrinfo("localhost", nullptr, &hints, &other) != 0)
    GTEST_SKIP() << "this machine's name has one address";
  ::freeaddrinfo(other);
  EXPECT_FALSE(ping(channel("[::1]")).empty());
}

TEST_F(DoorTest, those_who_say_nothing_or_leave_without_a_word_keep_nobody_out) {
  serve("127.0.0.1:0");
  std::vector<Descriptor> silent;
  for (int i = 0; i < 500; ++i) {
    (void)connect();
    silent.push_back(connect());
    ASSERT_TRUE(silent.back()) << "connection " << i;
  }
  EXPECT_FALSE(ping(channel("127.0.0.1")).empty());
}

TEST_F(DoorTest, a_closed_door_takes_nobody_in_and_those_inside_are_served_to_the_end) {
  serve("127.0.0.1:0");
  const auto inside = channel("127.0.0.1");
  ASSERT_FALSE(ping(inside).empty());
  door_->close();
  door_->close();
  EXPECT_FALSE(ping(inside).empty());
  EXPECT_FALSE(connect());
}

TEST_F(DoorTest, what_cannot_be_listened_on_is_told) {
  serve("127.0.0.1:0");
  const std::string same = "127.0.0.1:" + std::to_string(door_->port());
  const auto taken = Door::listen(same);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::unreachable);
  EXPECT_EQ(taken.error().message, "cannot listen on " + same + ": Address already in use");

  const auto elsewhere = Door::listen("203.0.113.1:1");
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().message,
            "cannot listen on 203.0.113.1:1: Cannot assign requested address");

  for (const std::string wrong : {"", "127.0.0.1", "127.0.0.1:"}) {
    const auto none = Door::listen(wrong);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Errc::invalid_argument) << wrong;
  }
  EXPECT_FALSE(Door::listen("127.0.0.1:http-alt"));
}

}  // namespace
}  // namespace aloft::rpc
