// The file of what is refused: read, written, and read again with the tenants file.
#include "cluster/revocations.h"

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <span>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/tenants.h"
#include "support/temp_dir.h"

namespace aloft::cluster {
namespace {

namespace fs = std::filesystem;
using aloft::testing::TempDir;
using ::testing::HasSubstr;

constexpr std::chrono::seconds kLimit{30};

Digest digest_of(std::string_view text) { return sha256(std::as_bytes(std::span(text))); }

class RevokedFile : public ::testing::Test {
 protected:
  [[nodiscard]] Revocations read() const {
    auto read = load_revocations(folder_.path());
    if (!read) ADD_FAILURE() << read.error().message;
    return read.value_or(Revocations{});
  }
  void put(std::string_view text) const {
    aloft::testing::write_file(folder_ / kRevokedFile, std::as_bytes(std::span(text)));
  }
  TempDir folder_;
};

TEST_F(RevokedFile, that_is_not_there_revokes_nobody) {
  EXPECT_TRUE(read().empty());
  EXPECT_FALSE(read().covers({}));
  EXPECT_FALSE(read().covers({digest_of("a"), "01", "t", "acme"}));
}

TEST_F(RevokedFile, has_what_was_added_to_it_once) {
  const TempDir& folder = folder_;
  for (const auto& one :
       {Revocation{.key = digest_of("a"), .serial = {}, .token = {}, .tenant = {}, .reason = "x"},
        Revocation{.key = {}, .serial = "4a07", .token = {}, .tenant = {}, .reason = {}},
        Revocation{.key = {}, .serial = {}, .token = "01J9", .tenant = {}, .reason = "lost"},
        Revocation{.key = {}, .serial = {}, .token = {}, .tenant = "acme", .reason = {}}}) {
    EXPECT_EQ(revoke(folder.path(), one), true);
    EXPECT_EQ(revoke(folder.path(), one), false);
  }
  const Revocations all = read();
  EXPECT_TRUE(all.covers({.key = digest_of("a"), .serial = {}, .token = {}, .tenant = {}}));
  EXPECT_FALSE(all.covers({.key = digest_of("b"), .serial = {}, .token = {}, .tenant = {}}));
  EXPECT_TRUE(all.covers({.key = digest_of("b"), .serial = "4a07", .token = {}, .tenant = {}}));
  EXPECT_TRUE(all.covers({.key = {}, .serial = {}, .token = "01J9", .tenant = {}}));
  EXPECT_TRUE(all.covers({.key = {}, .serial = {}, .token = "other", .tenant = "acme"}));
  EXPECT_FALSE(all.covers({.key = {}, .serial = "4A07", .token = "01j9", .tenant = "acm"}));
}

TEST_F(RevokedFile, is_not_written_with_what_could_not_be_read_again) {
  const auto refused = [&](const Revocation& one) {
    const auto added = revoke(folder_.path(), one);
    return !added && added.error().code == Errc::invalid_argument;
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(
      refused({.key = digest_of("a"), .serial = "01", .token = {}, .tenant = {}, .reason = {}}));
  EXPECT_TRUE(refused({.key = {}, .serial = "xyz", .token = {}, .tenant = {}, .reason = {}}));
  EXPECT_TRUE(refused({.key = {}, .serial = "012", .token = {}, .tenant = {}, .reason = {}}));
  EXPECT_TRUE(
      refused({.key = {}, .serial = {}, .token = "a\"\n[[revoked]]", .tenant = {}, .reason = {}}));
  EXPECT_TRUE(refused({.key = {}, .serial = {}, .token = {}, .tenant = "Acme", .reason = {}}));
  EXPECT_TRUE(refused({.key = {}, .serial = {}, .token = "a", .tenant = {}, .reason = "a\nb"}));
  EXPECT_FALSE(fs::exists(folder_ / kRevokedFile));
  put("nonsense");
  EXPECT_TRUE(refused({.key = {}, .serial = {}, .token = "a", .tenant = {}, .reason = {}}));
}

TEST_F(RevokedFile, with_an_error_names_line_or_entry) {
  const auto error_of = [&](std::string_view text) {
    put(text);
    const auto read = load_revocations(folder_.path());
    return read ? std::string("none") : read.error().message;
  };
  EXPECT_THAT(error_of("[[revoked]]\nkey = \"abc\"\n"),
              HasSubstr("revoked.toml:2: revoked[0].key"));
  EXPECT_THAT(error_of("[[revoked]]\ntenant = \"a\"\n[[revoked]]\n"), HasSubstr("revoked[1]"));
  EXPECT_THAT(error_of("[[revoked]]\nname = \"a\"\n"), HasSubstr("name"));
  EXPECT_THAT(error_of("revoked = 1\n"), HasSubstr("[[revoked]]"));
  EXPECT_THAT(error_of("revoked = ["), HasSubstr("revoked.toml:1"));
  fs::remove(folder_ / kRevokedFile);
  fs::create_symlink("nowhere", folder_ / kRevokedFile);
  EXPECT_FALSE(load_revocations(folder_.path())) << "a link to nothing is not an empty list";
}

TEST_F(RevokedFile, is_read_again_when_it_changes_and_a_wrong_one_changes_nothing) {
  const fs::path tenants_file = folder_ / "tenants.toml";
  constexpr std::string_view kTenants = "[tenants.acme]\n";
  aloft::testing::write_file(tenants_file, std::as_bytes(std::span(kTenants)));
  std::mutex mutex;
  std::condition_variable changed;
  int good = 0, bad = 0;
  const auto tenants = Tenants::open(tenants_file, [&](const Result<void>& outcome) {
    const std::lock_guard lock(mutex);
    ++(outcome ? good : bad);
    changed.notify_all();
  });
  ASSERT_TRUE(tenants) << tenants.error().message;
  EXPECT_TRUE((*tenants)->table()->revoked.empty());
  ASSERT_EQ(revoke(folder_.path(),
                   {.key = {}, .serial = {}, .token = {}, .tenant = "acme", .reason = {}}),
            true);
  const auto wait = [&](const int& count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kLimit, [&] { return count > 0; });
  };
  ASSERT_TRUE(wait(good));
  const Shown acme{.key = {}, .serial = {}, .token = {}, .tenant = "acme"};
  EXPECT_TRUE((*tenants)->table()->revoked.covers(acme));
  put("[[revoked]]\ntenant = 1\n");
  ASSERT_TRUE(wait(bad));
  EXPECT_TRUE((*tenants)->table()->revoked.covers(acme));
}

}  // namespace
}  // namespace aloft::cluster
