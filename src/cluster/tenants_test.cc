#include "cluster/tenants.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "identity/cluster_folder.h"
#include "identity/key_file.h"
#include "support/temp_dir.h"

namespace aloft::cluster {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using aloft::testing::TempDir;
using identity::Existing;
using identity::Secrecy;

constexpr auto kLimit = 30s;

void put(const fs::path& file, std::string_view text) {
  ASSERT_TRUE(identity::write_key_file(file, text, Secrecy::open, Existing::replace));
}

constexpr std::string_view kAll = R"(
[tenants.acme]
max_sessions = 10
memory = "4GiB"
cpu_millicores = 2500
gpus = 1
opens_per_second = 0.5
open_burst = 3
modules = ["detect", "sha256:0000000000000000000000000000000000000000000000000000000000000001"]
module_signers = ["publisher.pub"]
allow_unsigned = false
host_functions = ["wasi_ephemeral_nn"]
operator = true

[tenants.guest]

[[issuers]]
issuer = "https://id.example"
audience = "aloft"
tenant_claim = "org"
tenants = ["acme"]
keys = { "2026" = "publisher.pub" }
max_lifetime = "2h"
leeway = "10s"
)";

class TenantsFile : public ::testing::Test {
 protected:
  TenantsFile() {
    put(folder_ / "publisher.pub", key_.verifying().to_pem());
    put(file_, kAll);
  }
  // Of the file with `from` replaced.
  [[nodiscard]] std::string error(std::string_view from, std::string_view to) const {
    std::string text(kAll);
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    put(file_, text.replace(at, from.size(), to));
    const auto table = load_tenants(file_);
    if (table) return "none";
    EXPECT_EQ(table.error().code, Errc::invalid_argument);
    EXPECT_TRUE(table.error().message.starts_with(file_.string() + ":")) << table.error().message;
    return table.error().message.substr(file_.string().size() + 1);
  }

  TempDir folder_;
  fs::path file_ = folder_ / "tenants.toml";
  identity::SigningKey key_ = identity::SigningKey::generate();
};

TEST_F(TenantsFile, says_all_of_a_tenant) {
  const auto table = load_tenants(file_);
  ASSERT_TRUE(table) << table.error().message;
  const Tenant* const acme = table->find("acme");
  ASSERT_NE(acme, nullptr);
  EXPECT_EQ(acme->max_sessions, 10U);
  EXPECT_EQ(acme->memory, 4_GiB);
  EXPECT_EQ(acme->cpu_millicores, 2500U);
  EXPECT_EQ(acme->gpus, 1U);
  EXPECT_EQ(acme->opens_per_second, 0.5);
  EXPECT_EQ(acme->open_burst, 3U);
  EXPECT_TRUE(acme->is_operator);
  EXPECT_TRUE(acme->host_functions.contains("wasi_ephemeral_nn"));
  ASSERT_EQ(acme->module_signers.size(), 1U);
  EXPECT_TRUE(acme->module_signers[0].verify({}, key_.sign({})));
  Digest one;
  one.bytes[31] = std::byte{1};
  EXPECT_TRUE(acme->allows_module("detect", {}));
  EXPECT_TRUE(acme->allows_module("anything", one));
  EXPECT_FALSE(acme->allows_module("anything", {}));

  ASSERT_EQ(table->issuers.size(), 1U);
  const identity::JwtIssuer& issuer = table->issuers[0];
  EXPECT_EQ(issuer.tenant_claim, "org");
  EXPECT_EQ(issuer.max_lifetime, 2h);
  EXPECT_EQ(issuer.leeway, 10s);
  ASSERT_TRUE(issuer.keys.contains("2026"));
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto token = identity::sign_jwt({.claims = {.issuer = "https://id.example",
                                                    .subject = "",
                                                    .tenant = "acme",
                                                    .id = "",
                                                    .issued = now,
                                                    .expires = now + 1h},
                                         .audience = "aloft",
                                         .tenant_claim = "org",
                                         .key_id = "2026"},
                                        key_);
  EXPECT_TRUE(identity::verify_jwt(token, table->issuers, now));
}

TEST_F(TenantsFile, gives_nothing_that_it_does_not_say) {
  const auto table = load_tenants(file_);
  ASSERT_TRUE(table);
  const Tenant* const guest = table->find("guest");
  ASSERT_NE(guest, nullptr);
  EXPECT_EQ(guest->max_sessions, 0U);
  EXPECT_EQ(guest->memory, 0_B);
  EXPECT_FALSE(guest->allow_unsigned);
  EXPECT_FALSE(guest->is_operator);
  EXPECT_FALSE(guest->allows_module("detect", {}));
  EXPECT_TRUE(guest->host_functions.empty());
  EXPECT_EQ(table->find("nobody"), nullptr);
}

TEST_F(TenantsFile, of_a_new_cluster_can_be_read) {
  ASSERT_TRUE(identity::create_cluster_folder(folder_ / "c", {}));
  const auto table = load_tenants(folder_ / "c" / "tenants.toml");
  ASSERT_TRUE(table) << table.error().message;
  ASSERT_NE(table->find("default"), nullptr);
  EXPECT_TRUE(table->find("default")->all_modules);
  EXPECT_FALSE(table->find("default")->allow_unsigned);
  ASSERT_TRUE(
      identity::create_cluster_folder(folder_ / "u", {.modules = identity::Unsigned::allowed}));
  EXPECT_TRUE(load_tenants(folder_ / "u/tenants.toml")->find("default")->allow_unsigned);
}

TEST_F(TenantsFile, with_an_error_names_line_and_key) {
  EXPECT_EQ(error("max_sessions = 10", "max_session = 10"),
            "3: tenants.acme.max_session is not known");
  EXPECT_EQ(error("max_sessions = 10", "max_sessions = -1"),
            "3: tenants.acme.max_sessions has to be a whole number from 0 to 4294967295");
  EXPECT_EQ(error("memory = \"4GiB\"", "memory = 4"),
            "4: tenants.acme.memory has to be an amount with its unit (B, KiB, MiB, GiB, TiB): "
            "\"512MiB\"");
  EXPECT_EQ(error("opens_per_second = 0.5", "opens_per_second = 0").substr(0, 36),
            "7: tenants.acme.opens_per_second has");
  EXPECT_NE(error("\"detect\"", "\"det*\"").find("9: tenants.acme.modules has 'det*'"),
            std::string::npos);
  EXPECT_NE(error("sha256:00", "sha256:zz").find("9: tenants.acme.modules has no SHA-256"),
            std::string::npos);
  EXPECT_NE(error("\"publisher.pub\"]", "\"other.pub\"]").find("10: tenants.acme.module_signers"),
            std::string::npos);
  EXPECT_NE(error("\"wasi_ephemeral_nn\"", "\"env\\n\"").find("host_functions"), std::string::npos);
  EXPECT_NE(error("[tenants.guest]", "[tenants.Guest]").find("tenants has 'Guest'"),
            std::string::npos);
  EXPECT_NE(error("[tenants.guest]", "[tenants.acme]"), "none") << "a tenant twice";
  EXPECT_NE(error("[tenants.guest]", "[tenant.guest]").find("tenant is not known"),
            std::string::npos);
  EXPECT_NE(error("tenants = [\"acme\"]", "tenants = [\"nobody\"]").find("no tenant of this file"),
            std::string::npos);
  EXPECT_NE(error("tenants = [\"acme\"]", "").find("issuers[0].tenants"), std::string::npos);
  EXPECT_NE(error("audience = \"aloft\"", "").find("issuers[0].audience"), std::string::npos);
  EXPECT_NE(error("issuer = \"https://id.example\"", "").find("issuers[0].issuer"),
            std::string::npos);
  EXPECT_NE(error("keys = { \"2026\" = \"publisher.pub\" }", "").find("issuers[0].keys"),
            std::string::npos);
  EXPECT_NE(error("leeway = \"10s\"", "leeway = \"1h\"").find("5m"), std::string::npos);
  EXPECT_NE(error("[tenants.acme]", "[tenants.acme").substr(0, 2).find('2'), std::string::npos);
}

TEST_F(TenantsFile, that_is_not_there_is_not_found) {
  EXPECT_EQ(load_tenants(folder_ / "none").error().code, Errc::not_found);
  EXPECT_EQ(Tenants::open(folder_ / "none", {}).error().code, Errc::not_found);
  EXPECT_EQ(Tenants::open(folder_ / "nowhere/x", {}).error().code, Errc::not_found);
}

// What a Tenants tells, to wait for.
class Told {
 public:
  void add(const Result<void>& outcome) {
    const std::lock_guard lock(mutex_);
    all_.push_back(outcome);
    changed_.notify_all();
  }
  // None within the limit is a failure of the test.
  Result<void> next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kLimit, [&] { return taken_ < all_.size(); }))
      return fail(Errc::deadline_exceeded, "nothing was told");
    return all_[taken_++];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Result<void>> all_;
  std::size_t taken_ = 0;
};

TEST_F(TenantsFile, is_read_again_when_it_changes_and_a_wrong_one_changes_nothing) {
  Told told;
  const auto tenants =
      Tenants::open(file_, [&](const Result<void>& outcome) { told.add(outcome); });
  ASSERT_TRUE(tenants) << tenants.error().message;
  const auto before = (*tenants)->table();
  ASSERT_NE(before->find("guest"), nullptr);

  // Put in its place, as editors do.
  put(file_, "[tenants.newcomer]\nmax_sessions = 1\n");
  ASSERT_TRUE(told.next());
  EXPECT_NE((*tenants)->table()->find("newcomer"), nullptr);
  EXPECT_EQ((*tenants)->table()->find("guest"), nullptr);
  EXPECT_NE(before->find("guest"), nullptr) << "a table in use does not change";

  put(file_, "[tenants.newcomer]\nmax_sessions = none\n");
  auto wrong = told.next();
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::invalid_argument) << wrong.error().message;
  EXPECT_NE((*tenants)->table()->find("newcomer"), nullptr);
  fs::remove(file_);
  wrong = told.next();
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::not_found) << wrong.error().message;
  EXPECT_NE((*tenants)->table()->find("newcomer"), nullptr);

  // Written in place.
  constexpr std::string_view kSecond = "[tenants.second]\n";
  aloft::testing::write_file(file_, std::as_bytes(std::span(kSecond)));
  // Between its two system calls the file is there and empty, and that is a table as well.
  while ((*tenants)->table()->find("second") == nullptr) ASSERT_TRUE(told.next());
}

// Kubernetes: tenants.toml -> ..data/tenants.toml, ..data -> ..2026, and another ..data is renamed
// over it.
TEST_F(TenantsFile, behind_links_that_are_switched_is_read_again) {
  const TempDir mounted;
  fs::create_directory(mounted / "..1");
  fs::create_directory(mounted / "..2");
  put(mounted / "..1" / "tenants.toml", "[tenants.one]\n");
  put(mounted / "..2" / "tenants.toml", "[tenants.two]\n");
  fs::create_symlink("..1", mounted / "..data");
  fs::create_symlink("..data/tenants.toml", mounted / "tenants.toml");
  Told told;
  const auto tenants = Tenants::open(mounted / "tenants.toml",
                                     [&](const Result<void>& outcome) { told.add(outcome); });
  ASSERT_TRUE(tenants) << tenants.error().message;
  EXPECT_NE((*tenants)->table()->find("one"), nullptr);
  fs::create_symlink("..2", mounted / "..data_tmp");
  fs::rename(mounted / "..data_tmp", mounted / "..data");
  ASSERT_TRUE(told.next());
  EXPECT_NE((*tenants)->table()->find("two"), nullptr);
}

TEST_F(TenantsFile, is_read_again_when_a_key_that_it_names_changes) {
  Told told;
  const auto tenants =
      Tenants::open(file_, [&](const Result<void>& outcome) { told.add(outcome); });
  ASSERT_TRUE(tenants);
  const auto other = identity::SigningKey::generate();
  put(folder_ / "publisher.pub", other.verifying().to_pem());
  ASSERT_TRUE(told.next());
  const auto table = (*tenants)->table();
  EXPECT_TRUE(table->find("acme")->module_signers.at(0).verify({}, other.sign({})));
  EXPECT_FALSE(table->find("acme")->module_signers.at(0).verify({}, key_.sign({})));
}

TEST_F(TenantsFile, is_read_at_once_when_asked_and_what_came_of_it_is_told) {
  Told told;
  const auto tenants =
      Tenants::open(file_, [&](const Result<void>& outcome) { told.add(outcome); });
  ASSERT_TRUE(tenants);
  put(file_, "[tenants.second]\n");
  ASSERT_TRUE((*tenants)->reload());
  EXPECT_NE((*tenants)->table()->find("second"), nullptr);
  EXPECT_TRUE(told.next());
  put(file_, "tenants = 1\n");
  EXPECT_FALSE((*tenants)->reload());
  EXPECT_EQ(told.next().error().code, Errc::invalid_argument);
  EXPECT_NE((*tenants)->table()->find("second"), nullptr);
}

}  // namespace
}  // namespace aloft::cluster
