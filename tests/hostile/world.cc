#include "world.h"

#include <algorithm>
#include <iostream>

#include "support/eventually.h"
#include "support/tenant_processes.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* kTenants = R"(
[tenants.good]
max_sessions = 100
memory = "1TiB"
cpu_millicores = 1000000
opens_per_second = 1000
open_burst = 1000
modules = ["*"]
allow_unsigned = true
host_functions = ["wasi_ephemeral_nn"]

[tenants.evil]
max_sessions = 200
memory = "64GiB"
cpu_millicores = 100000
opens_per_second = 1000
open_burst = 1000
modules = ["*"]
allow_unsigned = true
host_functions = ["wasi_ephemeral_nn"]

[tenants.poor]
max_sessions = 5
memory = "16GiB"
cpu_millicores = 100000
opens_per_second = 1000
open_burst = 1000
modules = ["*"]
allow_unsigned = true

[tenants.strict]
max_sessions = 100
memory = "16GiB"
cpu_millicores = 100000
opens_per_second = 1000
open_burst = 1000
modules = ["*"]
module_signers = ["publisher.pub"]

[tenants.plain]
max_sessions = 100
memory = "16GiB"
cpu_millicores = 100000
opens_per_second = 1000
open_burst = 1000
modules = ["*"]
allow_unsigned = true
)";

// The program's one cluster; made before the first test, ended after the last.
class World final : public ::testing::Environment {
 public:
  void SetUp() override {
    const std::vector<std::filesystem::path> modules{binary_dir() / "modules/probe.wasm",
                                                     binary_dir() / "modules/hostile.wasm",
                                                     binary_dir() / "modules/infer.wasm"};
    auto started =
        LocalCluster::start(folder_.path(), {.tenants = kTenants,
                                             .modules = modules,
                                             .manager_arguments = {},
                                             .host_arguments = {"--compile-limit", "20s"}});
    ASSERT_TRUE(started) << started.error().message;
    cluster_ = *std::move(started);
  }
  void TearDown() override { cluster_.reset(); }
  [[nodiscard]] LocalCluster* cluster() const { return cluster_.get(); }

 private:
  TempDir folder_;
  std::unique_ptr<LocalCluster> cluster_;
};

World& world() {
  static World* const world = [] {
    auto* const made = new World;  // GoogleTest's, which destroys it
    ::testing::AddGlobalTestEnvironment(made);
    return made;
  }();
  return *world;
}
// Before main() runs the tests.
[[maybe_unused]] const World& kWorld = world();

}  // namespace

Result<RawUe::Module> open_patiently(RawUe& ue, const ModuleFile& file,
                                     const std::vector<TestModel>& models) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    if (!ue.wait_up(kPatience)) return fail(Errc::unreachable, "the link does not come up");
    auto module = ue.open(file, models, nullptr, kPatience);
    if (module || module.error().code != Errc::unreachable) return module;
    if (std::chrono::steady_clock::now() > end) return module;
  }
}

Bystander::Bystander(const LocalCluster& cluster, const std::string& tenant)
    : device_(cluster.device(tenant)) {
  auto session = device_.open({&probe_});
  if (!session) {
    ADD_FAILURE() << "the bystander gets no session: " << session.error().message;
    return;
  }
  session_ = *std::move(session);
  ue_ = device_.connect(session_.placement());
  module_ = open_patiently(*ue_, probe_);
  if (!module_) {
    ADD_FAILURE() << "the bystander never started: " << module_.error().message;
    return;
  }
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

Bystander::~Bystander() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  EXPECT_EQ(wrong_, 0) << "wrong answers";
  ue_.reset();
  if (!session_.id().empty()) (void)device_.close(session_.id());
}

void Bystander::run(const std::stop_token& stop) {
  for (int i = 0; !stop.stop_requested(); ++i) {
    const std::string text = std::to_string(i);
    const auto answer = ue_->call(*module_, "probe::join", arguments(text, text),
                                  {.deadline = {}, .limit = kPatience});
    // Where processors are busy with other tests a link may be taken for dead, and is made again.
    if (answer.error() == Errc::unreachable) {
      module_ = open_patiently(*ue_, probe_);
      if (module_ || stop.stop_requested()) continue;
    }
    if (answer.error()) {
      ADD_FAILURE() << "the bystander's call failed: " << answer.head.error->message;
      ++wrong_;
      return;
    }
    if (answer.get<std::string>() == text + text) {
      ++right_;
    } else {
      ++wrong_;
    }
  }
}

void Bystander::expect_undisturbed() {
  const int before = right_;
  (void)eventually(kPatience, [&] { return right_ >= before + 10 || wrong_ != 0; });
  EXPECT_GE(right_, before + 10) << "the bystander gets no answers";
}

LocalCluster& HostileTest::cluster() { return *world().cluster(); }

void HostileTest::SetUp() { ASSERT_NE(world().cluster(), nullptr); }

void HostileTest::TearDown() {
  if (HasFailure()) std::cerr << cluster().transcript() << "\n";
}

ModuleFile HostileTest::pushed(const std::string& name, const std::vector<std::byte>& sealed,
                               const std::vector<std::string>& more) const {
  const auto file = files_ / (name + ".wasm");
  write_file(file, sealed);
  if (auto pushed = cluster().push(file, more); !pushed) ADD_FAILURE() << pushed.error().message;
  return ModuleFile(file);
}

std::unique_ptr<RawUe> HostileTest::linked(const ClusterDevice& device,
                                           const std::vector<const ModuleFile*>& modules) {
  const auto session = device.open(modules);
  if (!session) {
    ADD_FAILURE() << session.error().message;
    return nullptr;
  }
  auto ue = device.connect(session->placement());
  if (ue->wait_up(kPatience)) return ue;
  ADD_FAILURE() << "the link does not come up";
  return nullptr;
}

std::vector<pid_t> HostileTest::tenants_processes() {
  std::vector<pid_t> found;
  for (const auto& [process, tenant] : tenant_processes(cluster().host_process().pid()))
    found.push_back(process);
  return found;
}

std::string HostileTest::refusal(const ClusterDevice& device, const std::string& address,
                                 std::vector<std::byte> hello) {
  const auto ue = device.connect(address, std::move(hello));
  const auto down = ue->wait_down(kPatience);
  return down ? down->message : "let in, or silent";
}

}  // namespace aloft::testing
