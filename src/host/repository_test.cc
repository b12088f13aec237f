#include "host/repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::host {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class RepositoryTest : public ::testing::Test {
 protected:
  testing::TempDir folder_;
  std::shared_ptr<runtime::Engine> engine_ = runtime::Engine::create({}).value();
  std::unique_ptr<Repository> repository_ = Repository::open(folder_.path(), *engine_).value();
  const std::vector<std::byte> probe_ =
      testing::read_file(testing::binary_dir() / "modules/probe.wasm");
  const Digest digest_ = sha256(probe_);
};

TEST_F(RepositoryTest, a_folder_that_is_not_there_is_said_at_once) {
  const auto opened = Repository::open(folder_ / "nothing", *engine_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::not_found);
}

TEST_F(RepositoryTest, a_module_is_found_whatever_its_file_is_called_and_shared) {
  EXPECT_EQ(repository_->find("probe", digest_).error().code, Errc::not_found);
  testing::write_file(folder_ / "a name.wasm", probe_);
  const auto found = repository_->find("probe", digest_);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(repository_->find("probe", digest_).value(), *found);
  EXPECT_EQ((*found)->digest(), digest_);
}

TEST_F(RepositoryTest,
       a_module_that_was_let_go_of_is_ready_for_the_next_one_while_its_file_is_there) {
  testing::write_file(folder_ / "probe.wasm", probe_);
  const std::weak_ptr<const runtime::Module> module = repository_->find("probe", digest_).value();
  ASSERT_FALSE(module.expired());
  const auto later = std::filesystem::last_write_time(folder_ / "probe.wasm") + 1s;
  std::filesystem::last_write_time(folder_ / "probe.wasm", later);
  EXPECT_EQ(repository_->find("probe", digest_).value(), module.lock());
  std::filesystem::remove(folder_ / "probe.wasm");
  EXPECT_EQ(repository_->find("probe", digest_).error().code, Errc::not_found);
}

TEST_F(RepositoryTest, another_name_than_the_manifests_is_not_found) {
  testing::write_file(folder_ / "probe.wasm", probe_);
  const auto found = repository_->find("detect", digest_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::not_found);
  EXPECT_THAT(found.error().message, HasSubstr("is probe, not detect"));
}

TEST_F(RepositoryTest, a_file_that_changes_is_never_run_under_its_old_digest) {
  testing::write_file(folder_ / "probe.wasm", probe_);
  ASSERT_TRUE(repository_->find("probe", digest_));  // loaded and let go of
  auto changed = probe_;
  changed[changed.size() / 2] ^= std::byte{1};
  testing::write_file(folder_ / "probe.wasm", changed);
  EXPECT_EQ(repository_->find("probe", digest_).error().code, Errc::not_found);
  EXPECT_EQ(repository_->find("probe", sha256(changed)).error().code, Errc::corrupt);
  testing::write_file(folder_ / "probe.wasm", probe_);
  EXPECT_TRUE(repository_->find("probe", digest_));
}

TEST_F(RepositoryTest, a_guest_without_a_manifest_is_refused) {
  const unsigned char empty[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
  testing::write_file(folder_ / "empty.wasm", std::as_bytes(std::span(empty)));
  const auto found = repository_->find("empty", sha256(std::as_bytes(std::span(empty))));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::refused);
}

}  // namespace
}  // namespace aloft::host
