// `aloft cluster` and `aloft token` as they are typed: what they write, print, and answer.
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/programs.h"
#include "support/temp_dir.h"

namespace aloft {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::Ran;
using testing::run;
using testing::run_aloft;
using testing::TempDir;

TEST(AloftCluster, makes_a_cluster_and_certificates_that_openssl_verifies) {
  const TempDir folder;
  const std::string dir = folder / "c";
  Ran said = run_aloft({"cluster", "init", "--name", "prod", "--hosts", "10.0.0.1,m1", dir});
  ASSERT_EQ(said.status, 0) << said.error;
  EXPECT_NE(said.output.find("tenants.toml"), std::string::npos) << said.output;
  said = run_aloft(
      {"cluster", "issue", "--role", "host", "--name", "h1", "--hosts", "10.0.0.7", dir, "--json"});
  ASSERT_EQ(said.status, 0) << said.error;
  EXPECT_EQ(nlohmann::json::parse(said.output).at("certificate"), dir + "/host-h1.pem");
  EXPECT_EQ(run({"openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip",
                 "10.0.0.7", "-CAfile", dir + "/ca.pem", dir + "/host-h1.pem"})
                .status,
            0);
  said = run_aloft({"cluster", "show", dir, "--json"});
  ASSERT_EQ(said.status, 0) << said.error;
  EXPECT_EQ(nlohmann::json::parse(said.output).size(), 5U);

  // A second time nothing is written over, unless it is asked for; hosts are as they were.
  said =
      run_aloft({"cluster", "issue", "--role", "host", "--name", "h1", "--hosts", "10.0.0.8", dir});
  EXPECT_EQ(said.status, 4);
  EXPECT_EQ(said.error.substr(0, 7), "error: ");
  EXPECT_NE(said.error.find("--replace"), std::string::npos) << said.error;
  said = run_aloft({"cluster", "issue", "--role", "host", "--name", "h1", "--replace", dir});
  ASSERT_EQ(said.status, 0) << said.error;
  EXPECT_EQ(run({"openssl", "verify", "-verify_ip", "10.0.0.7", "-CAfile", dir + "/ca.pem",
                 dir + "/host-h1.pem"})
                .status,
            0);
  EXPECT_EQ(run_aloft({"cluster", "init", dir}).status, 4);
}

TEST(AloftCluster, says_what_is_wrong) {
  const TempDir folder;
  const std::string dir = folder / "c";
  EXPECT_EQ(run_aloft({"cluster", "init", "--name", "Prod!", dir}).status, 2);
  EXPECT_FALSE(fs::exists(dir));
  EXPECT_EQ(run_aloft({"cluster", "issue", "--role", "host", "--name", "h1", dir}).status, 3);
  EXPECT_EQ(run_aloft({"cluster", "issue", "--role", "king", "--name", "h1", dir}).status, 2);
  EXPECT_EQ(run_aloft({"cluster"}).status, 2);
  EXPECT_EQ(run_aloft({"cluster", "show", dir}).status, 3);
  EXPECT_EQ(run_aloft({"cluster", "rotate", "tickets", dir}).status, 3);
}

TEST(AloftCluster, replaces_keys_step_by_step) {
  const TempDir folder;
  const std::string dir = folder / "c";
  ASSERT_EQ(run_aloft({"cluster", "init", dir}).status, 0);
  for (const std::string what : {"tickets", "authority"}) {
    std::vector<std::string> steps;
    for (int i = 0; i < 3; ++i) {
      const Ran said = run_aloft({"--json", "cluster", "rotate", what, dir});
      ASSERT_EQ(said.status, 0) << said.error;
      steps.push_back(nlohmann::json::parse(said.output).at("step"));
    }
    const std::string first = what == "tickets" ? "next_made" : "next_trusted";
    const std::string last = what == "tickets" ? "old_removed" : "old_distrusted";
    EXPECT_EQ(steps, (std::vector<std::string>{first, "next_in_use", last}));
  }
}

TEST(AloftCluster, revokes_what_was_stolen) {
  const TempDir folder;
  const std::string dir = folder / "c";
  ASSERT_EQ(run_aloft({"cluster", "init", dir}).status, 0);
  const std::string laptop = dir + "/tenant-default.pem";
  Ran said = run_aloft({"cluster", "revoke", "--certificate", laptop, "--reason", "stolen", dir});
  ASSERT_EQ(said.status, 0) << said.error;
  EXPECT_NE(said.output.find("revoked.toml"), std::string::npos) << said.output;
  said = run_aloft({"--json", "cluster", "revoke", "--certificate", laptop, dir});
  ASSERT_EQ(said.status, 0) << said.error;
  EXPECT_EQ(nlohmann::json::parse(said.output).at("added"), false) << "it was there already";
  ASSERT_EQ(run_aloft({"cluster", "revoke", "--serial", "AB:CD:01", dir}).status, 0);
  ASSERT_EQ(run_aloft({"cluster", "revoke", "--token", "01J9", dir}).status, 0);
  said = run_aloft({"cluster", "show", dir});
  EXPECT_NE(said.output.find("REVOKED"), std::string::npos) << said.output;

  said = run_aloft({"cluster", "revoke", "--certificate", dir + "/ca.pem", dir});
  EXPECT_EQ(said.status, 2) << "not an authority: " << said.output;
  EXPECT_NE(said.error.find("rotate authority"), std::string::npos) << said.error;
  EXPECT_EQ(run_aloft({"cluster", "revoke", dir}).status, 2);
  EXPECT_EQ(run_aloft({"cluster", "revoke", "--tenant", "Acme!", dir}).status, 2);
  EXPECT_EQ(run_aloft({"cluster", "revoke", "--tenant", "a", "--token", "b", dir}).status, 2);
  EXPECT_EQ(run_aloft({"cluster", "revoke", "--tenant", "acme", folder / "none"}).status, 3);
  EXPECT_EQ(run_aloft({"cluster", "revoke", "--certificate", dir + "/ticket.pub", dir}).status, 1);
}

TEST(AloftToken, is_good_for_the_tenants_of_its_issuer) {
  const TempDir folder;
  const std::string key = folder / "issuer";
  Ran said = run_aloft({"token", "new-key", key, "--json"});
  ASSERT_EQ(said.status, 0) << said.error;
  const std::string kid = nlohmann::json::parse(said.output).at("kid");
  const std::string tenants =
      "[tenants.acme]\n[tenants.other]\n[[issuers]]\nissuer = \"me\"\n"
      "audience = \"aloft\"\ntenants = [\"acme\"]\nkeys = { \"" +
      kid + "\" = \"issuer.pub\" }\n";
  testing::write_file(folder / "tenants.toml", std::as_bytes(std::span(tenants)));
  const auto check = [&](const std::string& token) {
    return run_aloft({"token", "check", "--tenants", folder / "tenants.toml", token});
  };
  const auto issue = [&](const std::string& tenant, const std::string& lifetime) {
    const Ran issued = run_aloft({"token", "issue", "--key", key, "--issuer", "me", "--tenant",
                                  tenant, "--lifetime", lifetime});
    EXPECT_EQ(issued.status, 0) << issued.error;
    return issued.output.substr(0, issued.output.find('\n'));
  };
  said = check(issue("acme", "1h"));
  EXPECT_EQ(said.status, 0) << said.error;
  EXPECT_NE(said.output.find("tenant acme"), std::string::npos) << said.output;
  EXPECT_EQ(check(issue("other", "1h")).status, 4);
  EXPECT_EQ(check(issue("acme", "2d")).status, 4) << "longer than the issuer's tokens may live";
  EXPECT_EQ(check("nonsense").status, 1);
  EXPECT_EQ(run_aloft({"token", "issue", "--key", key, "--issuer", "me", "--tenant", "acme",
                       "--lifetime", "soon"})
                .status,
            2);
  EXPECT_EQ(run_aloft({"token", "new-key", key}).status, 4) << "not over the one that is there";
}

}  // namespace
}  // namespace aloft
