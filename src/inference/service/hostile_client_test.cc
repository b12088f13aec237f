// Clients of the inference process that keep no rule: an Execution Handler that its guests have
// taken over. Each is refused or dropped, and another tenant notices nothing.
#include <atomic>
#include <functional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "inference/service/testing/both_sides.h"

namespace aloft::inference::service {
namespace {

using namespace testing;
using ::testing::HasSubstr;
namespace onnx = inference::testing;

// Speaks the protocol as it likes.
class RawClient {
 public:
  explicit RawClient(wire::Descriptor socket) : socket_(std::move(socket)) {}

  Result<void> send(const remote::Message& message) {
    return wire::send_packet(socket_.get(), remote::encode(message));
  }
  void send_bytes(std::span<const std::byte> bytes) {
    (void)wire::send_packet(socket_.get(), bytes);
  }
  // The next message of that kind; nothing: the connection has ended.
  template <class T>
  std::optional<T> next() {
    std::vector<std::byte> buffer(remote::kMaxPacket);
    while (true) {
      auto packet = wire::receive_packet(socket_.get(), buffer, wire::Wait::yes);
      if (!packet || !*packet) return std::nullopt;
      auto message = remote::decode(std::span(buffer).first((*packet)->size)).value();
      descriptor_ = std::move((*packet)->descriptor);
      if (auto* const found = std::get_if<T>(&message)) return std::move(*found);
    }
  }
  [[nodiscard]] bool is_dropped() { return !next<remote::Cancel>(); }

  // By the rules.
  std::uint32_t make_memory(std::uint64_t bytes) {
    (void)send(remote::MakeMemory{++call_, bytes});
    const auto memory = next<remote::Memory>();
    if (!memory) return 0;
    shared_ = SharedMemory::open(std::move(descriptor_), bytes).value();
    return memory->memory;
  }
  std::uint32_t load(const std::vector<std::byte>& model) {
    const auto memory = make_memory(model.size());
    std::memcpy(shared_.bytes().data(), model.data(), model.size());
    (void)send(remote::Load{++call_, memory, model.size()});
    const auto loaded = next<remote::Loaded>();
    return loaded ? loaded->graph : 0;
  }
  [[nodiscard]] std::span<std::byte> shared() { return shared_.bytes(); }
  void close() { socket_ = {}; }

 private:
  wire::Descriptor socket_;
  wire::Descriptor descriptor_;
  SharedMemory shared_;
  std::uint32_t call_ = 0;
};

class HostileClient : public ::testing::Test {
 protected:
  // A request that keeps the rules, for a doubling model of four numbers.
  static remote::Compute good(std::uint32_t graph, std::uint32_t memory) {
    return {.call = 77,
            .graph = graph,
            .memory = memory,
            .inputs = {{.name = {}, .type = 1, .dims = {4}, .offset = 0, .size = 16}},
            .room = 64,
            .room_at = 64};
  }
  void expect_others_work() {
    EXPECT_EQ(infer(*others_graph_, {1, 2, 3, 4}, {4}).value(), (std::vector<float>{2, 4, 6, 8}));
  }
  const std::vector<std::byte> model_ = onnx::doubling_model({4});
  Server server_;
  std::unique_ptr<RemoteEngine> others_ = server_.engine("other");
  std::shared_ptr<Graph> others_graph_ = others_->load_onnx(model_).value();
};

TEST_F(HostileClient, one_that_keeps_the_rules_is_served) {
  RawClient client(server_.connect());
  const auto graph = client.load(model_);
  const auto memory = client.make_memory(4096);
  const std::vector<float> x{1, 2, 3, 4};
  std::memcpy(client.shared().data(), x.data(), 16);
  (void)client.send(good(graph, memory));
  const auto computed = client.next<remote::Computed>();
  ASSERT_TRUE(computed);
  std::vector<float> y(4);
  std::memcpy(y.data(), &client.shared()[64], 16);
  EXPECT_EQ(y, (std::vector<float>{2, 4, 6, 8}));
}

TEST_F(HostileClient, a_lie_about_places_and_sizes_ends_its_connection) {
  using Lie = std::function<void(remote::Compute&)>;
  const std::vector<std::pair<std::string, Lie>> lies{
      {"another's graph", [](auto& c) { c.graph = 1'000'000; }},
      {"memory that there is not", [](auto& c) { c.memory = 1'000'000; }},
      {"a tensor behind the end", [](auto& c) { c.inputs[0].offset = 4096; }},
      {"a tensor across the end", [](auto& c) { c.inputs[0].offset = 4088; }},
      {"an offset that wraps", [](auto& c) { c.inputs[0].offset = ~std::uint64_t{7}; }},
      {"a size that wraps", [](auto& c) { c.inputs[0].size = ~std::uint64_t{0}; }},
      {"a size that is not the shape's", [](auto& c) { c.inputs[0].size = 12; }},
      {"another shape", [](auto& c) { c.inputs[0].dims = {1U << 30U, 1U << 30U, 16}; }},
      {"another type", [](auto& c) { c.inputs[0].type = 5; }},
      {"no type at all", [](auto& c) { c.inputs[0].type = 200; }},
      {"no inputs", [](auto& c) { c.inputs.clear(); }},
      {"more inputs than the model has", [](auto& c) { c.inputs.resize(200, c.inputs[0]); }},
      {"room behind the end", [](auto& c) { c.room_at = 4096; }},
      {"room that wraps", [](auto& c) { c.room = ~std::uint64_t{0}; }}};
  for (const auto& [what, lie] : lies) {
    RawClient client(server_.connect());
    const auto graph = client.load(model_);
    const auto memory = client.make_memory(4096);
    auto request = good(graph, memory);
    lie(request);
    (void)client.send(request);
    EXPECT_TRUE(client.is_dropped()) << what;
    expect_others_work();
  }
}

TEST_F(HostileClient, what_is_no_message_ends_its_connection) {
  const std::vector<std::byte> garbage(3000, std::byte{0xc1});
  const std::vector<std::byte> huge(remote::kMaxPacket + 1, std::byte{0});
  std::vector<std::byte> cut = remote::encode(good(1, 1));
  cut.resize(cut.size() / 2);
  const auto from_a_server = remote::encode(remote::Computed{});
  const auto without_memory = remote::encode(remote::Load{1, 99, 10});
  for (const auto& packet : {garbage, huge, cut, from_a_server, without_memory}) {
    RawClient client(server_.connect());
    client.send_bytes(packet);
    EXPECT_TRUE(client.is_dropped());
    expect_others_work();
  }
}

TEST_F(HostileClient, a_model_that_is_none_is_refused_and_the_client_stays) {
  RawClient client(server_.connect());
  const auto memory = client.make_memory(4096);
  (void)client.send(remote::Load{5, memory, 4096});
  const auto failed = client.next<remote::Failed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(static_cast<Errc>(failed->code), Errc::corrupt);
  EXPECT_NE(client.load(model_), 0U);
}

TEST_F(HostileClient, more_than_the_tenant_may_have_is_refused) {
  RawClient client(server_.connect("acme", {.memory = 1 << 20U, .models = 100, .memories = 3}));
  (void)client.send(remote::MakeMemory{1, (1U << 20U) + 1});
  EXPECT_EQ(client.next<remote::Failed>().value().code,
            static_cast<std::uint32_t>(Errc::resource_exhausted));
  const auto memory = client.make_memory(4096);
  (void)client.send(remote::Load{2, memory, 4096});
  EXPECT_THAT(client.next<remote::Failed>().value().why, HasSubstr("models of the tenant acme"));
  EXPECT_NE(client.make_memory(4096), 0U);
  EXPECT_NE(client.make_memory(4096), 0U);
  (void)client.send(remote::MakeMemory{3, 4096});
  EXPECT_THAT(client.next<remote::Failed>().value().why, HasSubstr("12288 of 1048576"));
  // What is given back can be had again.
  (void)client.send(remote::DropMemory{memory});
  EXPECT_NE(client.make_memory(4096), 0U);
}

TEST_F(HostileClient, two_inferences_in_one_memory_end_its_connection) {
  RawClient client(server_.connect());
  const auto endless = client.load(onnx::endless_model({4}));
  const auto memory = client.make_memory(4096);
  (void)client.send(good(endless, memory));
  (void)client.send(good(endless, memory));
  EXPECT_TRUE(client.is_dropped());
  expect_others_work();
}

// -x first, and x again later: a kernel that saw two values would leave a difference.
TEST_F(HostileClient, one_that_changes_a_tensor_while_it_is_read_changes_nothing) {
  constexpr std::uint32_t kCount = 1U << 20U;
  const auto zero =
      onnx::model(onnx::graph("zero",
                              {{.op = "Neg", .inputs = {"x"}, .outputs = {"minus"}},
                               {.op = "Neg", .inputs = {"minus"}, .outputs = {"plus"}},
                               {.op = "Sub", .inputs = {"plus", "x"}, .outputs = {"y"}}},
                              {onnx::value_info("x", onnx::OnnxType::f32, {kCount})},
                              {onnx::value_info("y", onnx::OnnxType::f32, {kCount})}));
  RawClient client(server_.connect());
  const auto graph = client.load(zero);
  const auto memory = client.make_memory(8 * kCount);
  const std::span<float> x(reinterpret_cast<float*>(client.shared().data()), kCount);
  const std::span<const float> y(x.data() + kCount, kCount);
  const std::jthread changing([&](const std::stop_token& stop) {
    for (float value = 1; !stop.stop_requested(); value += 1) std::ranges::fill(x, value);
  });
  for (int i = 0; i < 20; ++i) {
    (void)client.send(remote::Compute{
        .call = 1,
        .graph = graph,
        .memory = memory,
        .inputs = {{.name = {}, .type = 1, .dims = {kCount}, .offset = 0, .size = 4 * kCount}},
        .room = 4 * kCount,
        .room_at = 4 * kCount});
    ASSERT_TRUE(client.next<remote::Computed>());
    ASSERT_TRUE(std::ranges::all_of(y, [](float value) { return value == 0; })) << i;
  }
}

TEST_F(HostileClient, one_that_leaves_in_the_middle_leaves_its_place_to_others) {
  for (int i = 0; i < 20; ++i) {
    RawClient client(server_.connect("acme", {}, {.inferences = 8}));
    const auto graph = client.load(onnx::endless_model({4}));
    for (int k = 0; k < 4; ++k) (void)client.send(good(graph, client.make_memory(4096)));
    client.close();
    expect_others_work();
  }
}

TEST_F(HostileClient, one_whose_inferences_never_end_does_not_keep_others_from_theirs) {
  RawClient client(server_.connect("acme", {}, {.inferences = 8}));
  const auto graph = client.load(onnx::endless_model({4}));
  for (int k = 0; k < 8; ++k) (void)client.send(good(graph, client.make_memory(4096)));
  for (int i = 0; i < 50; ++i) expect_others_work();
}

TEST_F(HostileClient, one_that_floods_and_does_not_read_does_not_keep_others_waiting) {
  RawClient client(server_.connect());
  std::atomic<std::uint64_t> sent = 0;
  const std::jthread flooding([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      (void)client.send(remote::Cancel{1});
      ++sent;
    }
  });
  const std::jthread asking([&](const std::stop_token& stop) {
    // Answers that nobody reads: it is dropped when they no longer fit.
    while (!stop.stop_requested()) {
      RawClient deaf(server_.connect());
      Result<void> sent;
      while (sent || sent.error().code != Errc::unreachable)
        sent = deaf.send(remote::MakeMemory{1, 0});
    }
  });
  for (int i = 0; i < 200; ++i) expect_others_work();
  EXPECT_GT(sent, 0U);
}

TEST_F(HostileClient, a_model_in_quarantine_is_loaded_by_nobody) {
  server_.service().forbid(sha256(onnx::doubling_model({5})));
  const auto refused = others_->load_onnx(onnx::doubling_model({5}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_THAT(refused.error().message, HasSubstr("quarantine"));
}

}  // namespace
}  // namespace aloft::inference::service
