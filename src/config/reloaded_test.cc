#include "config/reloaded.h"

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/temp_dir.h"
#include "support/text_file.h"

namespace aloft::config {
namespace {

using namespace std::chrono_literals;

// A file with a word in it that is good unless it is "bad...".
class ReloadedTest : public ::testing::Test {
 protected:
  void put(const std::string& word) {
    std::ofstream(folder_ / "next") << word;
    std::filesystem::rename(folder_ / "next", file_);
  }
  Result<std::unique_ptr<Reloaded<std::string>>> open() {
    return Reloaded<std::string>::open(
        {file_},
        [this](const std::string* in_force) -> Result<std::string> {
          std::string word = testing::read_text(file_);
          if (word.starts_with("bad")) return fail(Errc::corrupt, word);
          if (in_force != nullptr && word == "not after " + *in_force)
            return fail(Errc::refused, "not now");
          return word;
        },
        [this](const Result<Reload>& outcome, const std::string& in_force) {
          const std::lock_guard lock(mutex_);
          if (!outcome)
            told_.push_back(outcome.error().message);
          else
            told_.push_back((*outcome == Reload::another ? "now " : "still ") + in_force);
          changed_.notify_all();
        });
  }
  // The `number`th thing that was told, the first being 1.
  std::string told(std::size_t number) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 60s, [&] { return told_.size() >= number; })) return "nothing";
    return told_[number - 1];
  }
  std::size_t told() {
    const std::lock_guard lock(mutex_);
    return told_.size();
  }

  const testing::TempDir folder_;
  const std::filesystem::path file_ = folder_ / "word";
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> told_;
};

TEST_F(ReloadedTest, a_change_of_the_file_is_in_force_and_told_by_itself) {
  put("one");
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().message;
  const auto first = (*opened)->value();
  EXPECT_EQ(*first, "one");
  put("two");
  EXPECT_EQ(told(1), "now two");
  EXPECT_EQ(*(*opened)->value(), "two");
  EXPECT_EQ((*opened)->versioned().first, 2U);
  EXPECT_EQ(*first, "one") << "who has it keeps it";
}

TEST_F(ReloadedTest, what_is_not_good_leaves_what_was_in_force_and_is_told_once) {
  put("one");
  const auto opened = open();
  ASSERT_TRUE(opened);
  put("bad");
  EXPECT_EQ(told(1), "bad");
  EXPECT_FALSE((*opened)->reload());
  EXPECT_FALSE((*opened)->reload());
  EXPECT_EQ(told(), 1U);
  EXPECT_EQ(*(*opened)->value(), "one");
  put("bad too");
  EXPECT_EQ(told(2), "bad too") << "another reason";
  put("one");
  EXPECT_EQ(told(3), "still one") << "it is good again";
  EXPECT_EQ((*opened)->versioned().first, 1U);
  put("not after one");
  EXPECT_EQ(told(4), "not now");
  put("two");
  EXPECT_EQ(told(5), "now two");
}

TEST_F(ReloadedTest, there_is_a_value_from_the_start_or_none_at_all) {
  put("bad");
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::corrupt);
  EXPECT_EQ(told(), 0U);
  put("one");
  const auto good = open();
  ASSERT_TRUE(good);
  EXPECT_TRUE((*good)->reload());
  EXPECT_EQ(told(), 0U) << "nothing has changed";
}

}  // namespace
}  // namespace aloft::config
