// Elastic functions through the public interface: bound and unbound, here and at an edge of the
// test's, lost and found.
#include <atomic>
#include <fstream>
#include <future>
#include <latch>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "device/testing/demo_module.h"
#include "inference/testing/onnx_writer.h"
#include <aloft/runtime.h>

namespace aloft {
namespace {

using namespace std::chrono_literals;
using function::testing::AutomaticEdge;
using ::testing::HasSubstr;

class RuntimeTest : public ::testing::Test {
 protected:
  ~RuntimeTest() override {
    demo::during_gate = [] {};
  }

  RuntimeOptions options() {
    RuntimeOptions made;
    made.call_timeout = 60s;
    made.on_call = [this](const CallRecord& record) {
      const std::lock_guard lock(mutex_);
      records_.push_back(record);
      threads_.push_back(std::this_thread::get_id());
    };
    made.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(line);
    };
    return made;
  }
  RuntimeOptions options(const AutomaticEdge& edge) {
    RuntimeOptions made = options();
    made.edges = {edge.address()};
    made.policy = remote_policy();
    return made;
  }
  void start(RuntimeOptions with) {
    const std::size_t edges = with.edges.size();
    auto made = Runtime::create(std::move(with));
    ASSERT_TRUE(made.has_value()) << made.error().message;
    runtime_ = *std::move(made);
    bind(*runtime_);
    for (std::size_t edge = 0; edge < edges; ++edge) {
      const auto ready = runtime_->wait_for_edge(10s, edge);
      ASSERT_TRUE(ready.has_value()) << ready.error().message;
    }
  }
  [[nodiscard]] std::vector<CallRecord> records() {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  [[nodiscard]] CallRecord last_record() { return records().back(); }
  [[nodiscard]] std::string log() {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (const std::string& line : lines_) all += line + "\n";
    return all;
  }

  const demo::Registered module_;
  std::mutex mutex_;
  std::vector<CallRecord> records_;
  std::vector<std::thread::id> threads_;
  std::vector<std::string> lines_;
  std::unique_ptr<Runtime> runtime_;
};

// --- Unbound
// -----------------------------------------------------------------------------------------------------

TEST_F(RuntimeTest, unbound_functions_are_plain_functions) {
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(demo::shout("hey"), "HEY");
  EXPECT_EQ(demo::twice(4), 8);
  EXPECT_THROW(demo::picky(0), std::out_of_range);
}

TEST_F(RuntimeTest, an_unbound_asynchronous_call_has_ended_when_it_returns) {
  auto sum = demo::add_async(1, 2);
  EXPECT_TRUE(sum.ready());
  EXPECT_EQ(sum.get().value(), 3);
  EXPECT_EQ(sum.record().place, Place::here);
  EXPECT_EQ(sum.record().reason.text(), "no runtime is bound");
  EXPECT_EQ(sum.get().error().code, Errc::invalid_argument) << "a result is taken once";
}

TEST_F(RuntimeTest, a_future_without_a_call_says_so) {
  Future<int> none;
  EXPECT_FALSE(none.valid());
  EXPECT_FALSE(none.ready());
  EXPECT_EQ(none.get().error().code, Errc::invalid_argument);
}

TEST_F(RuntimeTest, a_function_that_gives_up_throws_its_message_or_answers_it) {
  try {
    demo::picky(-1);
    FAIL() << "it does not give up";
  } catch (const CallFailed& failed) {
    EXPECT_STREQ(failed.what(), "negative");
    EXPECT_EQ(failed.error().code, Errc::trapped);
  }
  const auto result = demo::picky_async(-1).get();
  EXPECT_EQ(result.error().code, Errc::trapped);
  EXPECT_EQ(result.error().message, "negative");
}

// --- Bound, here
// -------------------------------------------------------------------------------------------------

TEST_F(RuntimeTest, bound_without_an_edge_everything_runs_here_and_is_recorded) {
  start(options());
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(demo::shout("hey"), "HEY");
  ASSERT_EQ(records().size(), 2U);
  EXPECT_EQ(records()[0].number, 0U);
  EXPECT_EQ(records()[0].function, "demo::add");
  EXPECT_EQ(records()[0].place, Place::here);
  EXPECT_EQ(records()[0].reason.text(), "local: always here");
  EXPECT_GT(records()[0].latency.count(), 0);
  EXPECT_EQ(records()[1].number, 1U);
  EXPECT_EQ(threads_[0], std::this_thread::get_id());
  EXPECT_FALSE(runtime_->edge_ready());
  EXPECT_EQ(runtime_->wait_for_edge(1s).error().code, Errc::invalid_argument);
}

TEST_F(RuntimeTest, calls_within_a_tagged_body_stay_in_place) {
  start(options());
  EXPECT_EQ(demo::twice(4), 8);
  ASSERT_EQ(records().size(), 1U);
  EXPECT_EQ(records()[0].function, "demo::twice");
  EXPECT_EQ(demo::add(1, 1), 2);
  EXPECT_EQ(records().size(), 2U) << "and only those within";
}

TEST_F(RuntimeTest, what_a_bound_function_throws_reaches_its_caller) {
  start(options());
  EXPECT_THROW(demo::picky(0), std::out_of_range);
  EXPECT_EQ(last_record().error->code, Errc::internal);
  EXPECT_THROW(demo::picky(-1), CallFailed);
  EXPECT_EQ(last_record().error->message, "negative");
  const auto thrown = demo::picky_async(0).get();
  EXPECT_EQ(thrown.error().code, Errc::internal);
  EXPECT_THAT(thrown.error().message, HasSubstr("zero"));
  EXPECT_EQ(demo::add(1, 1), 2) << "dispatch goes on after an exception";
  EXPECT_EQ(last_record().function, "demo::add");
}

TEST_F(RuntimeTest, asynchronous_calls_here_run_beside_their_caller_in_order) {
  start(options());
  std::latch entered(1);
  std::latch leave(1);
  std::atomic<bool> first_time = true;
  demo::during_gate = [&] {
    if (!first_time.exchange(false)) return;
    entered.count_down();
    leave.wait();
  };
  auto first = demo::gate_async(1);
  entered.wait();  // it runs, and this thread too
  auto second = demo::gate_async(2);
  auto third = demo::add_async(1, 2);
  EXPECT_FALSE(first.ready());
  EXPECT_FALSE(third.ready());
  leave.count_down();
  EXPECT_EQ(third.get().value(), 3);
  EXPECT_TRUE(second.ready());
  EXPECT_EQ(second.get().value(), 2);
  EXPECT_EQ(first.get().value(), 1);
  EXPECT_EQ(first.record().number, 0U);
  EXPECT_NE(threads_[0], std::this_thread::get_id());
}

TEST_F(RuntimeTest, a_future_given_up_while_its_call_waits_does_not_wait_for_others) {
  start(options());
  std::latch entered(1);
  std::latch leave(1);
  demo::during_gate = [&] {
    entered.count_down();
    leave.wait();
  };
  auto running = demo::gate_async(1);
  entered.wait();
  {
    const auto given_up = demo::add_async(1, 2);
  }
  EXPECT_EQ(last_record().error->code, Errc::cancelled);
  leave.count_down();
  EXPECT_EQ(running.get().value(), 1);
}

TEST_F(RuntimeTest, the_end_of_the_runtime_ends_asynchronous_calls_and_their_futures_outlive_it) {
  start(options());
  std::latch entered(1);
  std::latch leave(1);
  demo::during_gate = [&] {
    entered.count_down();
    leave.wait();
  };
  auto running = demo::gate_async(1);
  auto waiting = demo::gate_async(2);
  entered.wait();
  std::jthread ending([&] { runtime_.reset(); });
  EXPECT_EQ(waiting.get().error().code, Errc::cancelled) << "at once";
  leave.count_down();
  ending.join();
  EXPECT_EQ(running.get().value(), 1) << "what runs is waited for";
  EXPECT_EQ(demo::add(1, 2), 3) << "unbound again";
}

TEST_F(RuntimeTest, unbinding_waits_for_the_calls_that_go_through_the_runtime) {
  start(options());
  std::latch entered(1);
  std::latch leave(1);
  std::atomic<bool> left = false;
  demo::during_gate = [&] {
    entered.count_down();
    leave.wait();
    left = true;
  };
  std::jthread caller([] { EXPECT_EQ(demo::gate(5), 5); });
  entered.wait();
  std::jthread releasing([&] { leave.count_down(); });
  unbind();
  EXPECT_TRUE(left);
  caller.join();
}

TEST_F(RuntimeTest, a_place_scope_decides_for_its_thread_and_no_longer_than_it_lives) {
  start(options());
  {
    const PlaceScope edge(Place::edge);
    {
      const PlaceScope here(Place::here);
      EXPECT_EQ(demo::add(1, 2), 3);
      EXPECT_FALSE(last_record().fell_back);
      EXPECT_EQ(last_record().reason.text(), "asked for by the caller");
    }
    std::thread([] { EXPECT_EQ(demo::add(1, 2), 3); }).join();
    EXPECT_EQ(last_record().reason.text(), "local: always here");
    EXPECT_EQ(demo::add(1, 2), 3);
    EXPECT_TRUE(last_record().fell_back);
    EXPECT_EQ(last_record().remote_error->code, Errc::unreachable);
  }
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(last_record().reason.text(), "local: always here");
}

TEST_F(RuntimeTest, decisions_are_logged_at_debug_and_only_there) {
  RuntimeOptions with = options();
  with.log_level = LogLevel::debug;
  start(std::move(with));
  demo::add(1, 2);
  EXPECT_THAT(log(), HasSubstr("demo::add, call 0: here (local: always here)"));
}

TEST_F(RuntimeTest, runs_models_here_and_knows_what_they_were_given) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "aloft_runtime_doubler.onnx";
  const auto model = inference::testing::doubling_model({3});
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(model.data()),
             static_cast<std::streamsize>(model.size()));
  RuntimeOptions with = options();
  with.models = {{"doubler", path}};
  with.digest_tensors = true;
  start(std::move(with));
  const std::vector<float> numbers{1, 2, 3.5};
  EXPECT_EQ(demo::infer(numbers), (std::vector<float>{2, 4, 7}));
  EXPECT_EQ(last_record().tensor_digests,
            std::vector<std::string>{sha256(std::as_bytes(std::span(numbers))).hex()});
  EXPECT_EQ(runtime_->model_sha256("doubler"), sha256(model).hex());
  EXPECT_EQ(runtime_->model_sha256("other"), "");
  EXPECT_THAT(runtime_->inference_engine(), HasSubstr("onnxruntime"));
  std::filesystem::remove(path);
}

TEST_F(RuntimeTest, a_function_without_its_model_gives_up_with_the_name_of_the_graph) {
  start(options());
  try {
    demo::infer({1});
    FAIL() << "it does not give up";
  } catch (const CallFailed& failed) {
    EXPECT_THAT(failed.what(), HasSubstr("doubler"));
  }
}

TEST_F(RuntimeTest, is_not_made_of_what_cannot_be) {
  const auto error_of = [&](auto change) {
    RuntimeOptions with = options();
    change(with);
    const auto made = Runtime::create(std::move(with));
    return made ? Error{} : made.error();
  };
  EXPECT_EQ(error_of([](auto& with) { with.edges = {"no port"}; }).code, Errc::invalid_argument);
  EXPECT_EQ(error_of([](auto& with) { with.max_in_flight = 0; }).code, Errc::invalid_argument);
  EXPECT_EQ(error_of([](auto& with) { with.inference_threads = 0; }).code, Errc::invalid_argument);
  const Error no_model =
      error_of([](auto& with) { with.models = {{"doubler", "/nonexistent.onnx"}}; });
  EXPECT_EQ(no_model.code, Errc::not_found);
  EXPECT_THAT(no_model.message, HasSubstr("/nonexistent.onnx"));
  const Error no_module = error_of([](auto& with) {
    with.edges = {"127.0.0.1:1"};
    with.modules = {{"demo", "/nonexistent.wasm"}};
  });
  EXPECT_EQ(no_module.code, Errc::not_found);
  const Error other_module = error_of([](auto& with) {
    with.edges = {"127.0.0.1:1"};
    with.modules = {{"other", "/nonexistent.wasm"}};
  });
  EXPECT_EQ(other_module.code, Errc::invalid_argument);
}

// --- With an edge
// ------------------------------------------------------------------------------------------------

TEST_F(RuntimeTest, a_call_at_the_edge_is_computed_there) {
  AutomaticEdge edge(demo::answer);
  start(options(edge));
  EXPECT_EQ(demo::add(1, 2), 1003);
  const CallRecord record = last_record();
  EXPECT_EQ(record.place, Place::edge);
  EXPECT_EQ(record.reason.text(), "remote: always at the edge");
  EXPECT_FALSE(record.fell_back);
  EXPECT_EQ(record.edge_run, 70us);
  EXPECT_EQ(record.edge_queue, 5us);
  EXPECT_EQ(record.edge_inference, 60us);
  EXPECT_GT(record.tx_bytes, 0U);
  EXPECT_GT(record.rx_bytes, 0U);
  EXPECT_EQ(runtime_->wasm_engine(), "automatic 1.0");
  EXPECT_GT(runtime_->link_bytes().tx, record.tx_bytes);
  const std::string text(100'000, 'x');  // borrowed by the encoder, not copied
  EXPECT_EQ(demo::shout_async(text).get().value(), std::string(100'000, 'X') + "!");
}

TEST_F(RuntimeTest, every_second_span_of_calls_is_at_the_edge) {
  AutomaticEdge edge(demo::answer);
  RuntimeOptions with = options(edge);
  with.policy = every_policy(3);
  start(std::move(with));
  std::vector<int> sums;
  for (int i = 0; i < 9; ++i) sums.push_back(demo::add(i, 0));
  EXPECT_EQ(sums, (std::vector<int>{0, 1, 2, 1003, 1004, 1005, 6, 7, 8}));
  runtime_->set_policy(remote_policy());
  EXPECT_EQ(demo::add(1, 2), 1003);
  runtime_->set_policy(nullptr);
  EXPECT_EQ(demo::add(1, 2), 3);
}

TEST_F(RuntimeTest, one_frame_is_computed_in_both_places_to_compare_them) {
  AutomaticEdge edge(demo::answer);
  RuntimeOptions with = options(edge);
  with.digest_tensors = true;
  start(std::move(with));
  const auto in = [](Place place) {
    const PlaceScope scope(place);
    return demo::add(1, 2);
  };
  EXPECT_EQ(in(Place::here), 3);
  EXPECT_TRUE(last_record().tensor_digests.empty());
  EXPECT_EQ(in(Place::edge), 1003);
  EXPECT_EQ(last_record().tensor_digests, std::vector<std::string>{"digest of the edge"});
}

TEST_F(RuntimeTest, many_asynchronous_calls_are_on_the_way_at_once) {
  AutomaticEdge edge(demo::answer);
  start(options(edge));
  std::vector<Future<int>> sums;
  for (int i = 0; i < 20; ++i) sums.push_back(demo::add_async(i, 0));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(sums[static_cast<std::size_t>(i)].get().value(), 1000 + i);
}

TEST_F(RuntimeTest, a_trap_at_the_edge_is_the_callers_and_is_not_tried_again_here) {
  AutomaticEdge edge(demo::answer);
  start(options(edge));
  try {
    demo::picky(5);  // here it would return
    FAIL() << "it does not trap";
  } catch (const CallFailed& failed) {
    EXPECT_EQ(failed.error().code, Errc::trapped);
    EXPECT_STREQ(failed.what(), "negative");
  }
  EXPECT_EQ(last_record().place, Place::edge);
  EXPECT_EQ(demo::picky_async(5).get().error().code, Errc::trapped);
  EXPECT_THAT(log(),
              HasSubstr("demo::picky, call 0: trapped at the edge: negative\npicky at demo.cc:12"));
}

TEST_F(RuntimeTest, what_the_edge_cannot_do_is_done_here) {
  AutomaticEdge edge(demo::answer);
  start(options(edge));
  EXPECT_EQ(demo::twice(4), 8);
  const CallRecord record = last_record();
  EXPECT_EQ(record.place, Place::here);
  EXPECT_TRUE(record.fell_back);
  EXPECT_EQ(record.remote_error->message, "not in this edge");
  EXPECT_FALSE(record.takeover.has_value()) << "the edge is still there";
  EXPECT_GT(record.tx_bytes, 0U);
}

TEST_F(RuntimeTest, a_result_that_cannot_be_read_is_computed_here) {
  AutomaticEdge edge([](const function::Call&, const function::testing::Bytes&) {
    return AutomaticEdge::Answer{.head = {}, .body = {std::byte{0xc1}}};
  });
  start(options(edge));
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(last_record().remote_error->code, Errc::protocol);
  EXPECT_EQ(demo::add_async(1, 2).get().value(), 3);
}

TEST_F(RuntimeTest, an_edge_that_takes_too_long_is_replaced_here) {
  AutomaticEdge edge(demo::answer);
  RuntimeOptions with = options(edge);
  with.call_timeout = 20ms;
  start(std::move(with));
  EXPECT_EQ(demo::gate(1), 1);  // never answered there
  EXPECT_EQ(last_record().remote_error->code, Errc::deadline_exceeded);
  EXPECT_GE(last_record().latency, 20ms);
  auto later = demo::gate_async(2);
  EXPECT_EQ(later.get().value(), 2);
  EXPECT_EQ(later.record().remote_error->code, Errc::deadline_exceeded);
}

TEST_F(RuntimeTest, a_future_given_up_ends_its_call_at_the_edge) {
  AutomaticEdge edge(demo::answer);
  start(options(edge));
  {
    auto given_up = demo::gate_async(1);
    edge.wait_for_unanswered_call();
    EXPECT_FALSE(given_up.ready());
  }
  EXPECT_EQ(last_record().error->code, Errc::cancelled);
  EXPECT_FALSE(last_record().fell_back);
}

TEST_F(RuntimeTest, a_lost_edge_is_taken_over_at_once) {
  AutomaticEdge edge(demo::answer);
  start(options(edge));
  auto first = demo::gate_async(1);
  auto second = demo::gate_async(2);
  edge.wait_for_unanswered_call();
  edge.wait_for_unanswered_call();
  edge.drop_link();
  EXPECT_EQ(first.get().value(), 1);
  EXPECT_EQ(second.get().value(), 2);
  EXPECT_EQ(first.record().remote_error->code, Errc::unreachable);
  EXPECT_TRUE(first.record().fell_back);
  ASSERT_TRUE(first.record().takeover.has_value());
  EXPECT_LT(*first.record().takeover, 250ms);
  EXPECT_FALSE(second.record().takeover.has_value()) << "told of the first one only";
}

TEST_F(RuntimeTest, a_synchronous_call_whose_edge_is_lost_runs_here) {
  AutomaticEdge edge(demo::answer);
  start(options(edge));
  std::jthread killer([&] {
    edge.wait_for_unanswered_call();
    edge.drop_link();
  });
  EXPECT_EQ(demo::gate(7), 7);
  EXPECT_TRUE(last_record().fell_back);
  EXPECT_TRUE(last_record().takeover.has_value());
}

TEST_F(RuntimeTest,
       an_edge_lost_between_calls_is_taken_over_by_the_next_and_used_again_when_it_is_back) {
  std::optional<AutomaticEdge> edge(std::in_place, demo::answer);
  const std::uint16_t port = edge->port();
  start(options(*edge));
  EXPECT_EQ(demo::add(1, 2), 1003);
  edge.reset();
  while (runtime_->edge_ready()) std::this_thread::yield();
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(last_record().reason.text(), "remote: here, since no edge is ready");
  EXPECT_TRUE(last_record().takeover.has_value());
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_FALSE(last_record().takeover.has_value());
  edge.emplace(demo::answer, port);
  ASSERT_TRUE(runtime_->wait_for_edge(10s).has_value());
  EXPECT_EQ(demo::add(1, 2), 1003);
}

TEST_F(RuntimeTest, an_edge_lost_while_calls_run_here_anyhow_is_no_takeover) {
  AutomaticEdge edge(demo::answer);
  RuntimeOptions with = options(edge);
  with.policy = every_policy(2);
  start(std::move(with));
  demo::add(1, 2);
  edge.drop_link();
  while (runtime_->edge_ready()) std::this_thread::yield();
  demo::add(1, 2);
  EXPECT_FALSE(last_record().takeover.has_value());
}

TEST_F(RuntimeTest,
       calls_of_many_threads_survive_an_edge_that_comes_and_goes_and_a_runtime_that_ends) {
  AutomaticEdge edge(demo::answer);
  start(options(edge));
  std::atomic<int> calls = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        for (int j = 0; j < 200; ++j, ++calls) {
          const int sum = i % 2 == 0 ? demo::add(j, 0) : demo::add_async(j, 0).get().value_or(j);
          EXPECT_EQ(sum % 1000, j);
        }
      });
    }
    while (calls < 200) std::this_thread::yield();
    edge.drop_link();
    while (calls < 500) std::this_thread::yield();
    runtime_.reset();
  }
  EXPECT_EQ(calls, 800);
}

TEST_F(RuntimeTest, images_for_an_edge_that_says_that_it_decodes_none_go_as_they_are) {
  AutomaticEdge edge(demo::answer);
  RuntimeOptions with = options(edge);
  with.functions["demo::weigh"].images = ImageCodec::jpeg(80);
  start(std::move(with));
  EXPECT_EQ(demo::weigh(Image(200, 100, PixelFormat::bgr8)), 60'000);
  EXPECT_EQ(last_record().place, Place::edge);
  EXPECT_EQ(last_record().images.coding, ImageCoding());
}

TEST_F(RuntimeTest, an_automatic_image_codec_that_cannot_be_is_refused) {
  const auto why = [&](const char* function, ImageCodec codec) {
    RuntimeOptions with = options();
    with.functions[function].images = std::move(codec);
    const auto made = Runtime::create(std::move(with));
    if (made) return std::string("taken");
    EXPECT_EQ(made.error().code, Errc::invalid_argument);
    return made.error().message;
  };
  const auto none = [](const std::int32_t&, const std::int32_t&) { return 0.0; };
  const auto of_texts = [](const std::string&, const std::string&) { return 0.0; };
  EXPECT_EQ(why("demo::weigh", ImageCodec::automatic(none)), "taken");
  EXPECT_THAT(why("demo::weigh", ImageCodec::automatic(of_texts)), HasSubstr("another type"));
  EXPECT_THAT(why("demo::weigh", ImageCodec::automatic(none, 1.5)), HasSubstr("0 to 1"));
  EXPECT_THAT(why("demo::charge", ImageCodec::automatic(none)), HasSubstr("run it twice"));
  EXPECT_THAT(why("demo::add", ImageCodec::automatic(none)), HasSubstr("build it again"));
}

TEST_F(RuntimeTest, an_image_codec_that_cannot_be_is_refused) {
  for (const int quality : {0, 101, -5}) {
    RuntimeOptions with = options();
    with.functions["demo::weigh"].images = ImageCodec::jpeg(quality);
    const auto made = Runtime::create(std::move(with));
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code, Errc::invalid_argument);
    EXPECT_THAT(made.error().message, HasSubstr("1 to 100"));
  }
}

}  // namespace
}  // namespace aloft
