// Whose turn it is, and who shares an inference.
#include "inference/service/batch_queue.h"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/service/testing/both_sides.h"

namespace aloft::inference::service {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using Clock = BatchQueue::Clock;
namespace onnx = inference::testing;

const std::vector<std::vector<std::uint32_t>> kRow{{1, 4}};

std::shared_ptr<ServedModel> served(const std::vector<std::byte>& model, Batching batching,
                                    Vouched vouched = Vouched::no) {
  static const auto engine = make_cpu_engine({}).value();
  return std::make_shared<ServedModel>(sha256(model), engine->load_onnx(model).value(), batching, 8,
                                       vouched);
}

std::shared_ptr<ServedModel> rows_of_four(Vouched vouched = Vouched::no) {
  return served(onnx::doubling_model({-1, 4}), Batching::any_bits, vouched);
}

class BatchQueueTest : public ::testing::Test {
 protected:
  std::shared_ptr<Job> push(const std::string& tenant, const std::shared_ptr<ServedModel>& model) {
    auto job = std::make_shared<Job>();
    job->tenant = tenant;
    job->model = model;
    job->shape = kRow;
    job->arrived = now_;
    queue_.push(job);
    return job;
  }
  // The tenants of the next batch.
  std::string next() {
    batches_.push_back(queue_.look(now_).batch);
    std::string tenants;
    for (const auto& job : batches_.back()) tenants += job->tenant;
    return tenants;
  }
  const Clock::time_point now_ = Clock::now();
  BatchQueue queue_{{.slots = 2, .threads = 1, .wait = 1h}};
  std::vector<Batch> batches_;
};

TEST_F(BatchQueueTest, tenants_take_turns_however_much_one_of_them_wants) {
  const auto model = served(onnx::doubling_model({1, 4}), Batching::off);
  for (int i = 0; i < 5; ++i) push("a", model);
  push("b", model);
  push("c", model);
  std::string order;
  for (int i = 0; i < 4; ++i) {
    order += next();
    queue_.done(batches_.back(), 0ns);
  }
  EXPECT_EQ(order, "abca");
}

TEST_F(BatchQueueTest, a_tenant_without_an_inference_gets_one_though_all_slots_are_taken) {
  const auto model = served(onnx::doubling_model({1, 4}), Batching::off);
  for (int i = 0; i < 5; ++i) push("a", model);
  EXPECT_EQ(next() + next(), "aa");
  EXPECT_EQ(next(), "");
  push("b", model);
  push("b", model);
  EXPECT_EQ(next(), "b");
  EXPECT_EQ(next(), "");
  queue_.done(batches_[0], 0ns);
  EXPECT_EQ(next(), "") << "there are two still, and both tenants have one";
}

TEST_F(BatchQueueTest, a_tenant_pays_for_the_processor_time_that_it_had) {
  const auto model = served(onnx::doubling_model({1, 4}), Batching::off);
  queue_.set_share("a", {.inferences = 2, .cpu_millicores = 500});
  push("a", model);
  push("a", model);
  EXPECT_EQ(next(), "a");
  const auto before = Clock::now();
  queue_.done(batches_.back(), 1s);
  const auto after = Clock::now();
  const auto seen = queue_.look(after);
  EXPECT_TRUE(seen.batch.empty());
  ASSERT_TRUE(seen.again);
  // A second of inference is two seconds at half a processor, from when it began.
  EXPECT_GE(*seen.again, before + 1s);
  EXPECT_LE(*seen.again, after + 1s);
  EXPECT_EQ(queue_.look(*seen.again).batch.size(), 1U);
}

TEST_F(BatchQueueTest, requests_of_one_tenant_for_one_model_leave_together) {
  const auto model = rows_of_four();
  const auto other = rows_of_four();
  for (int i = 0; i < 3; ++i) push("a", model);
  push("a", other);
  EXPECT_EQ(next(), "aaa");
  EXPECT_EQ(next(), "a");
}

TEST_F(BatchQueueTest, rows_of_several_tenants_meet_only_in_a_model_that_is_vouched_for) {
  const auto strange = rows_of_four();
  push("a", strange);
  push("b", strange);
  EXPECT_EQ(next(), "a");
  EXPECT_EQ(next(), "b");
  for (const Batch& batch : batches_) queue_.done(batch, 0ns);
  const auto vouched = rows_of_four(Vouched::yes);
  push("a", vouched);
  push("b", vouched);
  EXPECT_THAT(next(), ::testing::AnyOf("ab", "ba"));
}

TEST_F(BatchQueueTest, a_request_waits_for_others_only_where_some_may_come_and_not_for_ever) {
  const auto model = rows_of_four();
  push("a", model);
  EXPECT_EQ(next(), "a") << "there is nobody else";
  queue_.done(batches_.back(), 0ns);
  queue_.add_user(*model, "a", 2);
  push("a", model);
  const auto seen = queue_.look(now_);
  EXPECT_TRUE(seen.batch.empty());
  EXPECT_EQ(seen.again, now_ + 1h);
  // Others pass it.
  push("a", served(onnx::doubling_model({1, 4}), Batching::off));
  push("b", served(onnx::doubling_model({1, 4}), Batching::off));
  EXPECT_EQ(next(), "b");
  push("a", model);
  EXPECT_EQ(next(), "aa") << "all who might come are there";
}

TEST_F(BatchQueueTest, what_is_removed_does_not_run) {
  const auto model = rows_of_four();
  const auto job = push("a", model);
  EXPECT_TRUE(queue_.remove(*job));
  EXPECT_FALSE(queue_.remove(*job));
  EXPECT_EQ(next(), "");
}

// y = x + the sum of all rows: what a model must not do in a batch.
std::vector<std::byte> mixing_model() {
  return onnx::model(onnx::graph(
      "mixing",
      {{.op = "ReduceMax",
        .inputs = {"x"},
        .outputs = {"most"},
        .attributes = {onnx::int_attribute("keepdims", 1), onnx::ints_attribute("axes", {0})}},
       {.op = "Add", .inputs = {"x", "most"}, .outputs = {"y"}}},
      {onnx::value_info("x", onnx::OnnxType::f32, {-1, 4})},
      {onnx::value_info("y", onnx::OnnxType::f32, {-1, 4})}));
}

TEST(ServedModel, a_batch_is_allowed_once_it_was_seen_to_change_no_bit) {
  const auto model = served(onnx::doubling_model({-1, 4}), Batching::same_bits);
  EXPECT_EQ(model->most_rows(kRow), 1U);
  ASSERT_TRUE(model->wants_trial(kRow));
  EXPECT_FALSE(model->wants_trial(kRow)) << "once";
  EXPECT_THAT(model->try_out(kNoDeadline, {}), HasSubstr("up to 8 rows"));
  EXPECT_EQ(model->most_rows(kRow), 8U);
  EXPECT_EQ(model->most_rows({{1, 5}}), 1U) << "another shape than was tried";
  EXPECT_EQ(model->usable(7), 4U) << "a size that was tried";
}

TEST(ServedModel, a_model_whose_rows_see_each_other_is_never_batched) {
  const auto model = served(mixing_model(), Batching::same_bits);
  ASSERT_TRUE(model->wants_trial(kRow));
  EXPECT_THAT(model->try_out(kNoDeadline, {}), HasSubstr("not batched"));
  EXPECT_EQ(model->most_rows(kRow), 1U);
}

TEST(ServedModel, a_model_of_a_fixed_batch_is_never_batched) {
  const auto model = served(onnx::doubling_model({1, 4}), Batching::any_bits);
  EXPECT_EQ(model->most_rows(kRow), 1U);
  EXPECT_FALSE(model->wants_trial(kRow));
}

TEST(ServedModel, a_model_that_does_not_end_is_not_tried_out_for_ever) {
  const auto model = served(onnx::endless_model({-1}), Batching::same_bits);
  ASSERT_TRUE(model->wants_trial({{1}}));
  EXPECT_THAT(model->try_out(Clock::now() + 50ms, {}), HasSubstr("not batched"));
}

}  // namespace
}  // namespace aloft::inference::service
