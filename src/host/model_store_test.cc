#include "host/model_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/testing/onnx_writer.h"
#include "support/temp_dir.h"

namespace aloft::host {
namespace {

using ::testing::HasSubstr;
using ::testing::NotNull;

class ModelStoreTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<ModelStore> make(ModelStoreOptions options = {}) {
    options.folder = folder_ / "models";
    return std::make_unique<ModelStore>(*engine_, quarantine_, options);
  }
  [[nodiscard]] std::filesystem::path file_of(const Digest& digest) const {
    return folder_ / "models" / (digest.hex() + ".onnx");
  }

  testing::TempDir folder_;
  std::unique_ptr<inference::Engine> engine_ = inference::make_cpu_engine({}).value();
  Quarantine quarantine_{folder_ / "quarantine"};
  const std::vector<std::byte> model_ = inference::testing::doubling_model({1});
  const Digest digest_ = sha256(model_);
};

TEST_F(ModelStoreTest, a_model_that_was_added_is_found_by_this_store_and_by_the_next_one) {
  const auto store = make();
  ASSERT_EQ(store->find(digest_).value(), nullptr);
  const auto added = store->add(digest_, model_);
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_EQ(store->find(digest_).value(), *added) << "loaded once, shared";
  EXPECT_THAT(make()->find(digest_).value(), NotNull()) << "from the disk";
}

TEST_F(ModelStoreTest, bytes_of_another_digest_are_corrupt) {
  const auto added = make()->add(sha256({}), model_);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::corrupt);
  EXPECT_FALSE(std::filesystem::exists(file_of(sha256({}))));
}

TEST_F(ModelStoreTest, a_file_that_was_damaged_on_disk_is_asked_for_again) {
  ASSERT_TRUE(make()->add(digest_, model_));
  auto damaged = model_;
  damaged.back() ^= std::byte{1};
  testing::write_file(file_of(digest_), damaged);
  const auto store = make();
  EXPECT_EQ(store->find(digest_).value(), nullptr);
  EXPECT_FALSE(std::filesystem::exists(file_of(digest_)));
  EXPECT_TRUE(store->add(digest_, model_));
}

TEST_F(ModelStoreTest, what_is_no_model_is_not_kept) {
  const std::vector<std::byte> junk(100, std::byte{7});
  const auto added = make()->add(sha256(junk), junk);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::corrupt);
  EXPECT_FALSE(std::filesystem::exists(file_of(sha256(junk))));
}

TEST_F(ModelStoreTest, empty_and_too_large_models_are_refused) {
  const auto store = make({.folder = {}, .max_model = 1_KiB});
  EXPECT_EQ(store->admit(digest_, 0).error().code, Errc::refused);
  EXPECT_EQ(store->admit(digest_, 1025).error().code, Errc::refused);
  EXPECT_TRUE(store->admit(digest_, 1024));
}

TEST_F(ModelStoreTest, a_model_in_quarantine_is_refused_also_when_it_is_on_disk) {
  ASSERT_TRUE(make()->add(digest_, model_));
  ASSERT_TRUE(quarantine_.add(digest_, "it did not end"));
  const auto store = make();
  const auto found = store->find(digest_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::refused);
  EXPECT_THAT(found.error().message, HasSubstr("it did not end"));
  EXPECT_EQ(store->add(digest_, model_).error().code, Errc::refused);
}

TEST_F(ModelStoreTest, models_that_nobody_uses_make_room_and_those_in_use_do_not) {
  const auto other = inference::testing::doubling_model({2});
  const auto third = inference::testing::doubling_model({3});
  const auto store = make({.folder = {}, .max_loaded = Bytes{model_.size() + other.size()}});
  auto first = store->add(digest_, model_).value();
  auto second = store->add(sha256(other), other).value();
  const auto none = store->add(sha256(third), third);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::overloaded);
  first.reset();
  EXPECT_TRUE(store->add(sha256(third), third));
}

TEST_F(ModelStoreTest, files_used_longest_ago_make_room_on_disk) {
  const auto other = inference::testing::doubling_model({2});
  const auto store = make({.folder = {}, .max_disk = Bytes{model_.size() + other.size() / 2}});
  ASSERT_TRUE(store->add(digest_, model_));
  ASSERT_TRUE(store->add(sha256(other), other));
  EXPECT_FALSE(std::filesystem::exists(file_of(digest_)));
  EXPECT_TRUE(std::filesystem::exists(file_of(sha256(other))));
}

}  // namespace
}  // namespace aloft::host
