// What the hostile tests share: one cluster of real programs for all tests of a program, so that
// each attack is also made on what the earlier ones have left; tenants of it; a bystander, a device
// of another tenant that goes on working meanwhile.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/local_cluster.h"
#include "support/raw_ue.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::testing {

// Generous: what is waited for comes as an event, and nobody's time is judged here.
inline constexpr std::chrono::seconds kPatience{60};

// Opens the module, again where the link is lost meanwhile: on a busy machine it may be taken for
// dead.
[[nodiscard]] Result<RawUe::Module> open_patiently(RawUe& ue, const ModuleFile& file,
                                                   const std::vector<TestModel>& models = {});

// Calls from a session of its own, one after the other, until it is stopped; all answers must be
// right.
class Bystander {
 public:
  explicit Bystander(const LocalCluster& cluster, const std::string& tenant = "good");
  ~Bystander();
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;

  // More right answers come from now on; anything else is a failure of the test.
  void expect_undisturbed();
  [[nodiscard]] const v1::Session& session() const { return session_; }
  [[nodiscard]] const ClusterDevice& device() const { return device_; }

 private:
  void run(const std::stop_token& stop);

  const ModuleFile probe_{binary_dir() / "modules/probe.wasm"};
  const ClusterDevice device_;
  v1::Session session_;
  std::unique_ptr<RawUe> ue_;
  Result<RawUe::Module> module_ = fail(Errc::unreachable, "not open");
  std::atomic<int> right_ = 0, wrong_ = 0;
  std::jthread thread_;
};

// The cluster's tenants: `good` and `evil` may do much, `evil` with half a processor; `poor` has
// five sessions; `strict` takes only what the key `publisher` has signed; `plain` has no host
// functions beside WASI.
class HostileTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] static LocalCluster& cluster();
  // A file of this module in a folder of the test's own, pushed to the repository.
  [[nodiscard]] ModuleFile pushed(const std::string& name, const std::vector<std::byte>& sealed,
                                  const std::vector<std::string>& more = {}) const;
  // A link of this device for a session with these modules, up; null is a failure of the test.
  [[nodiscard]] static std::unique_ptr<RawUe> linked(const ClusterDevice& device,
                                                     const std::vector<const ModuleFile*>& modules);
  // The processes that serve tenants, as the system numbers them.
  [[nodiscard]] static std::vector<pid_t> tenants_processes();
  // Why a link with this hello does not come about.
  [[nodiscard]] static std::string refusal(const ClusterDevice& device, const std::string& address,
                                           std::vector<std::byte> hello);

  const ModuleFile probe_{binary_dir() / "modules/probe.wasm"};
  const ModuleFile hostile_{binary_dir() / "modules/hostile.wasm"};
  const ModuleFile infer_{binary_dir() / "modules/infer.wasm"};
  const TempDir files_;
  const ClusterDevice evil_ = cluster().device("evil");
};

}  // namespace aloft::testing
