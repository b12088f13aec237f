#include "host/end_runner.h"

#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "host/end_table.h"
#include "runtime/engine.h"
#include "runtime/testing/wat.h"

namespace aloft::host {
namespace {

using namespace std::chrono_literals;

// Keeps what is sent; nobody is there.
class Recorder final : public channel::Endpoint {
 public:
  Result<void> send(const channel::Outgoing& message) override {
    auto head = function::decode_end(message.head, message.body.empty() ? 0 : 1);
    if (!head) return std::unexpected(head.error());
    const std::lock_guard lock(mutex_);
    said_.push_back(std::move(head->message.content));
    changed_.notify_all();
    return {};
  }
  Result<channel::Sending> send_quietly(const channel::Outgoing& message) override {
    if (auto sent = send(message); !sent) return std::unexpected(sent.error());
    return channel::Sending::done;
  }
  void grant(channel::StreamId, std::uint64_t) override {}
  void reset(channel::StreamId, const Error&) override {}
  void close(const Error&) override {}
  [[nodiscard]] channel::EndpointStats stats() const override { return {}; }

  template <class Content>
  std::optional<Content> wait() {
    std::unique_lock lock(mutex_);
    std::optional<Content> found;
    (void)changed_.wait_for(lock, 15s, [&] {
      for (const auto& content : said_) {
        if (const auto* one = std::get_if<Content>(&content)) found = *one;
      }
      return found.has_value();
    });
    return found;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<decltype(channel::EndMessage::content)> said_;
};

// A network that computes until the test lets it go, whatever it is told.
class StubbornGraph final : public inference::Graph {
 public:
  const std::vector<inference::TensorInfo>& inputs() const override { return none_; }
  const std::vector<inference::TensorInfo>& outputs() const override { return none_; }
  Result<std::unique_ptr<inference::Execution>> make_execution() override {
    return std::make_unique<Execution>(*this);
  }
  // The completion of the computation, once it is under way.
  inference::Completion taken() { return computing_.get_future().get(); }

 private:
  class Execution final : public inference::Execution {
   public:
    explicit Execution(StubbornGraph& graph) : graph_(graph) {}
    Result<void> set_input(std::uint32_t, const nn::TensorView&) override { return {}; }
    void compute(inference::Completion done) override {
      graph_.computing_.set_value(std::move(done));
    }
    void cancel() override {}
    Result<nn::TensorView> output(std::uint32_t) const override {
      return fail(Errc::invalid_argument, "not computed");
    }

   private:
    StubbornGraph& graph_;
  };

  std::vector<inference::TensorInfo> none_;
  std::promise<inference::Completion> computing_;
};

constexpr std::string_view kInferringGuest = R"WAT(
(module
  (import "wasi_ephemeral_nn" "load_by_name" (func $named (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "init_execution_context" (func $init (param i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 80) "net")
  (func (export "aloft_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "aloft_free_buffer") (param i32))
  (func (export "aloft_release") (param i32))
  (func (export "fn_infer") (param i32 i32) (result i32)
    (drop (call $named (i32.const 80) (i32.const 3) (i32.const 200)))
    (drop (call $init (i32.load (i32.const 200)) (i32.const 204)))
    (drop (call $compute (i32.load (i32.const 204))))
    (unreachable)))
)WAT";

TEST(EndRunnerTest, an_inference_that_does_not_end_is_seen_and_answered_in_its_place) {
  const auto engine = runtime::Engine::create({.max_instances = 4}).value();
  const auto module = engine->load(runtime::testing::wat(kInferringGuest)).value();
  const auto graph = std::make_shared<StubbornGraph>();
  const Digest model = sha256(std::as_bytes(std::span("a model", 7)));
  Recorder endpoint;
  EndTable table({});
  constexpr EndKey kKey{.end = {std::byte{1}}, .epoch = 1};
  const function::AttachTerms terms{.module_id = 1, .object_class = {}};
  const auto runner = table
                          .add(kKey,
                               {.session = 3,
                                .turns = std::make_shared<InferenceTurns>(),
                                .module = module,
                                .exports = {"fn_infer"},
                                .models = {{"net", model, graph}},
                                .instance_limits = {.memory_bytes = 1U << 20U},
                                .call_limit = 50ms,
                                .end_grace = 50ms,
                                .max_body = 1U << 20U},
                               terms)
                          .value();
  const auto binding = std::make_shared<EndBinding>(
      endpoint, EndBinding::Terms{.key = kKey, .streams = {100, 101}, .delivery_size = 100},
      table.held(), runner);
  ASSERT_TRUE(runner->bind(binding, {.epoch = 1, .content = channel::Attach{}}));
  runner->start();
  ASSERT_TRUE(endpoint.wait<channel::Attached>());
  binding->control({.epoch = 1,
                    .content = channel::Deliver{
                        .sequence = 1, .method = 0, .body = std::make_shared<channel::Bytes>()}});
  const inference::Completion done = graph->taken();

  EXPECT_FALSE(table.overdue(Clock::now() - 1h));
  const auto overdue = table.overdue(Clock::now() + 1h);
  ASSERT_TRUE(overdue);
  EXPECT_EQ(overdue->key, kKey);
  EXPECT_EQ(overdue->session, 3U);
  EXPECT_EQ(overdue->sequence, 1U);
  EXPECT_EQ(overdue->model, model);

  table.give_up(kKey, {Errc::deadline_exceeded, "it does not end"});
  const auto answer = endpoint.wait<channel::Answer>();
  ASSERT_TRUE(answer && answer->error);
  EXPECT_EQ(answer->sequence, 1U);
  EXPECT_EQ(answer->error->code, Errc::deadline_exceeded);
  ASSERT_TRUE(endpoint.wait<channel::Lost>());

  // What is told to end stays in sight as long as it runs.
  ASSERT_TRUE(binding->down());
  std::thread closing([&] { table.close(); });
  while (table.size() != 0) std::this_thread::yield();
  EXPECT_TRUE(table.overdue(Clock::now() + 1h));
  done(fail(Errc::cancelled, "let go"));
  closing.join();
  EXPECT_FALSE(table.overdue(Clock::now() + 1h));
}

}  // namespace
}  // namespace aloft::host
