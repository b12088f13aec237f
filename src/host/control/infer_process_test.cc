// aloft-infer as it really runs: a process in its sandbox, with engines of two tenants at its other
// ends.
#include "host/control/infer_process.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "inference/service/testing/both_sides.h"
#include "support/eventually.h"
#include "support/process_tree.h"
#include "support/temp_dir.h"
#include "support/text_file.h"
#include "test_paths.h"

namespace aloft::host {
namespace {

namespace fs = std::filesystem;
namespace onnx = inference::testing;
using namespace inference::service::testing;
using aloft::testing::binary_dir;
using aloft::testing::read_text;
using ::testing::HasSubstr;
constexpr uid_t kUser = 1'879'100'000;

// While it lives, what this process and those that it starts write to standard error is in a file.
class StandardErrorIn {
 public:
  explicit StandardErrorIn(const fs::path& file) : before_(::dup(STDERR_FILENO)) {
    const int into = ::open(file.c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    ::dup2(into, STDERR_FILENO);
    ::close(into);
  }
  ~StandardErrorIn() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
  }
  StandardErrorIn(const StandardErrorIn&) = delete;
  StandardErrorIn& operator=(const StandardErrorIn&) = delete;

 private:
  const int before_;
};

// While it lives, in the environment of this process and those that it starts.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
};

class InferProcessTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_ / "root"); }

  InferProcessOptions options() {
    InferProcessOptions options{.program = binary_dir() / "bin/aloft-infer", .setup = {}};
    options.setup.root = folder_ / "root";
    if (::geteuid() == 0) options.setup.user = kUser;
    options.setup.memory_bytes = std::uint64_t{1} << 30U;
    return options;
  }
  void start() { start(options()); }
  void start(InferProcessOptions options) {
    auto started = InferProcess::start(std::move(options));
    ASSERT_TRUE(started) << started.error().message;
    process_ = *std::move(started);
  }
  [[nodiscard]] static InferClient client_of(const std::string& tenant) {
    return {.share = {.tenant = tenant},
            .memory_bytes = std::uint64_t{1} << 30U,
            .model_bytes = std::uint64_t{1} << 30U};
  }
  // An engine that comes back as a tenant's process does: with the help of its daemon.
  struct Tenant {
    Tenant(InferProcess& process, const std::string& name)
        : of(process),
          client(client_of(name)),
          engine({.description = "remote", .patience = 20s}),
          again(process, [this] { connect(); }) {
      connect();
    }
    void connect() {
      if (auto socket = of.connect(client)) engine.connect(*std::move(socket));
    }
    InferProcess& of;
    InferClient client;
    inference::RemoteEngine engine;
    InferProcess::Subscription again;
  };
  // The process itself: the child of the one that waits for it.
  [[nodiscard]] pid_t inner() {
    const auto children = aloft::testing::children_of(process_->pid());
    return children.empty() ? -1 : children.front();
  }

  aloft::testing::TempDir folder_;
  std::unique_ptr<InferProcess> process_;
};

TEST_F(InferProcessTest, it_infers_inside_its_sandbox) {
  start();
  EXPECT_TRUE(process_->ready().missing.empty());
  EXPECT_THAT(process_->engine_for(0), HasSubstr("CPU"));
  std::optional<Tenant> tenant(std::in_place, *process_, "acme");
  const auto graph = tenant->engine.load_onnx(onnx::doubling_model({4096})).value();
  EXPECT_EQ(infer(*graph, std::vector<float>(4096, 21.0F), {4096}).value(),
            std::vector<float>(4096, 42.0F));

  // As the system sees it.
  const pid_t inside = inner();
  ASSERT_GT(inside, 0);
  const std::string proc = "/proc/" + std::to_string(inside);
  const auto status = read_text(proc + "/status");
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1\n"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2\n"));
  EXPECT_THAT(status, HasSubstr("CapEff:\t0000000000000000\n"));
  if (::geteuid() == 0) {
    EXPECT_THAT(status, HasSubstr("Uid:\t" + std::to_string(kUser) + "\t"));
  }
  for (const char* name : {"mnt", "pid", "ipc", "uts", "net", "cgroup"}) {
    EXPECT_NE(fs::read_symlink(proc + "/ns/" + name),
              fs::read_symlink(fs::path("/proc/self/ns") / name))
        << name;
  }
  EXPECT_TRUE(fs::is_empty(proc + "/root"));
  tenant.reset();
  process_.reset();
  EXPECT_FALSE(fs::exists(proc)) << "it ends with its daemon";
}

// A library that finds /proc or /sys missing says so past every logger.
TEST_F(InferProcessTest, its_engine_has_looked_at_the_processors_before_the_sandbox_hid_them) {
  const fs::path log = folder_ / "log";
  {
    const StandardErrorIn file(log);
    start();
    std::optional<Tenant> tenant(std::in_place, *process_, "acme");
    EXPECT_EQ(infer(*tenant->engine.load_onnx(onnx::doubling_model({1})).value(), {2}, {1}).value(),
              std::vector<float>{4});
    tenant.reset();
    process_.reset();
  }
  EXPECT_EQ(read_text(log), "");
}

TEST_F(InferProcessTest, killed_in_mid_call_it_is_started_again_and_the_calls_are_made_again) {
  start();
  Tenant one(*process_, "one");
  Tenant two(*process_, "two");
  const auto doubling = one.engine.load_onnx(onnx::doubling_model({1})).value();
  // Long enough to be met: rows of a loop that ends when it is told to.
  const auto endless = two.engine.load_onnx(onnx::endless_model()).value();
  const std::vector<float> x{1};
  const std::vector<std::uint32_t> dims{1};
  const auto execution = endless->make_execution().value();
  ASSERT_TRUE(execution->set_input(0, view(x, dims)));
  std::atomic<int> outcomes = 0;
  Result<void> outcome;
  execution->compute([&](Result<void> result) {
    outcome = std::move(result);
    ++outcomes;
    outcomes.notify_all();
  });
  ASSERT_EQ(infer(*doubling, {2}, {1}).value(), std::vector<float>{4});
  const auto starts = process_->starts();
  ASSERT_EQ(::kill(inner(), SIGKILL), 0);
  EXPECT_EQ(infer(*doubling, {3}, {1}).value(), std::vector<float>{6});
  EXPECT_EQ(process_->starts(), starts + 1);
  EXPECT_EQ(outcomes, 0) << "it is under way at the next one";
  // The one that waits for it, this time: the process goes with it.
  ASSERT_EQ(::kill(process_->pid(), SIGKILL), 0);
  EXPECT_EQ(infer(*doubling, {4}, {1}).value(), std::vector<float>{8});
  outcomes.wait(0);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::unreachable);
  EXPECT_THAT(outcome.error().message, HasSubstr("twice"));
  EXPECT_TRUE(process_->forbidden().empty()) << "whoever kills it says nothing about models";
}

TEST_F(InferProcessTest, a_model_that_does_not_end_is_put_into_quarantine_and_others_go_on) {
  start();
  Tenant one(*process_, "one");
  Tenant two(*process_, "two");
  const auto stubborn = onnx::stubborn_model();
  const auto doubling = two.engine.load_onnx(onnx::doubling_model({1})).value();
  const auto graph = one.engine.load_onnx(stubborn).value();
  const auto limit = std::chrono::steady_clock::now() + 60s;
  // Again and again: one that had not begun when its time was over is just not run.
  for (float x = 0; process_->starts() == 1; ++x) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit);
    EXPECT_FALSE(infer(*graph, {1}, {1}, std::chrono::steady_clock::now() + 100ms));
    ASSERT_EQ(infer(*doubling, {x}, {1}).value(), std::vector<float>{2 * x});
  }
  EXPECT_EQ(process_->forbidden(), std::vector<std::string>{"sha256:" + sha256(stubborn).hex()});
  EXPECT_EQ(infer(*doubling, {2}, {1}).value(), std::vector<float>{4});
  const auto refused = infer(*graph, {1}, {1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_THAT(refused.error().message, HasSubstr("quarantine"));
}

TEST_F(InferProcessTest, an_inference_that_asks_for_more_memory_than_there_may_be_fails_alone) {
  start();
  Tenant tenant(*process_, "acme");
  const auto huge = onnx::model(onnx::graph(
      "huge",
      {{.op = "Expand", .inputs = {"x", "shape"}, .outputs = {"wide"}},
       {.op = "ReduceMax", .inputs = {"wide"}, .outputs = {"y"}}},
      {onnx::value_info("x", onnx::OnnxType::f32, {1})},
      {onnx::value_info("y", onnx::OnnxType::f32, {1})},
      {onnx::tensor<std::int64_t>("shape", onnx::OnnxType::i64, {1}, {4'000'000'000})}));
  const auto graph = tenant.engine.load_onnx(huge).value();
  const auto computed = infer(*graph, {1}, {1});
  ASSERT_FALSE(computed);
  EXPECT_NE(computed.error().code, Errc::unreachable) << computed.error().message;
  const auto doubling = tenant.engine.load_onnx(onnx::doubling_model({1})).value();
  EXPECT_EQ(infer(*doubling, {2}, {1}).value(), std::vector<float>{4});
  EXPECT_EQ(process_->starts(), 1U);
}

TEST_F(InferProcessTest, cuda_that_is_not_there_is_an_error_that_names_the_file) {
  fs::create_directories(folder_ / "empty");
  auto with = options();
  with.setup.device = "cuda";
  with.setup.libraries = folder_ / "empty";
  const auto started = InferProcess::start(std::move(with));
  ASSERT_FALSE(started);
  const std::string& why = started.error().message;
  EXPECT_THAT(why, HasSubstr((folder_ / "empty/libonnxruntime_providers_cuda.so").string()));
  EXPECT_THAT(why, HasSubstr("onnxruntime-gpu"));
}

TEST_F(InferProcessTest, auto_takes_the_processor_where_there_is_no_cuda_and_says_why) {
  fs::create_directories(folder_ / "empty");
  auto with = options();
  with.setup.device = "auto";
  with.setup.libraries = folder_ / "empty";
  start(std::move(with));
  EXPECT_THAT(process_->engine_for(1), HasSubstr("CPU, 1 thread (auto: no CUDA: there is no "));
  EXPECT_TRUE(process_->ready().gpus.empty());
  Tenant tenant(*process_, "acme");
  const auto doubling = tenant.engine.load_onnx(onnx::doubling_model({1})).value();
  EXPECT_EQ(infer(*doubling, {2}, {1}).value(), std::vector<float>{4});
}

TEST_F(InferProcessTest, the_engine_of_the_accelerator_is_made_first_and_brings_its_library) {
  // All that a host with a GPU has, but for a build of ONNX Runtime that can use one: the engine is
  // asked, and says so in its own words. Made second, it would find another library in use.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  GTEST_SKIP() << "a sanitizer keeps libraries from being loaded with names of their own first";
#endif
#endif
  const fs::path libraries = folder_ / "libraries";
  fs::create_directories(libraries);
  fs::permissions(libraries, fs::perms(0755));  // read by another user, in the sandbox
  std::ofstream(libraries / "libonnxruntime_providers_cuda.so") << "nothing that can be loaded";
  for (const char* file : {"libonnxruntime.so", "libcuda.so.1"})
    fs::copy_file(binary_dir() / "tests/nvidia_driver" / file, libraries / file);
  const Variable found("LD_LIBRARY_PATH", libraries.string());
  const Variable gpus("ALOFT_TEST_DRIVER", "one");

  const fs::path log = folder_ / "log";
  auto with = options();
  with.setup.device = "auto";
  with.setup.libraries = libraries;
  {
    const StandardErrorIn file(log);
    start(with);
    EXPECT_THAT(process_->engine_for(1), HasSubstr("(auto: no CUDA: ONNX Runtime "));
    EXPECT_THAT(process_->engine_for(1), ::testing::Not(HasSubstr("in use")));
    Tenant tenant(*process_, "acme");
    EXPECT_EQ(infer(*tenant.engine.load_onnx(onnx::doubling_model({1})).value(), {2}, {1}).value(),
              std::vector<float>{4});
  }
  EXPECT_THAT(read_text(log), ::testing::Not(HasSubstr("cpuinfo"))) << "it sees the processors";
  // Who insists has an error, with what to do.
  with.setup.device = "cuda";
  const auto insisting = InferProcess::start(with);
  ASSERT_FALSE(insisting);
  EXPECT_THAT(insisting.error().message, HasSubstr("onnxruntime-gpu"));
}

TEST_F(InferProcessTest, it_logs_as_json_where_its_host_does) {
  const fs::path log = folder_ / "log";
  {
    const StandardErrorIn file(log);
    auto with = options();
    with.log_format = ops::LogFormat::json;
    start(std::move(with));
  }
  // Who breaks the rules is told about, with whatever its tenant is called.
  const auto rude = process_->connect(client_of("acme"));
  ASSERT_TRUE(rude) << rude.error().message;
  ASSERT_GT(::send(rude->get(), "no message", 10, MSG_NOSIGNAL), 0);
  nlohmann::json found;
  EXPECT_TRUE(aloft::testing::eventually(60s, [&] {
    std::istringstream lines(read_text(log));
    for (std::string line; std::getline(lines, line) && !lines.eof();) {
      auto parsed = nlohmann::json::parse(line, nullptr, false);
      EXPECT_FALSE(parsed.is_discarded()) << line;
      if (!parsed.is_discarded() && parsed.value("program", "") == "aloft-infer" &&
          parsed.value("message", "").find("connection is ended") != std::string::npos)
        found = std::move(parsed);
    }
    return !found.is_null();
  })) << read_text(log);
  EXPECT_EQ(found.value("tenant", ""), "acme") << found;
}

TEST_F(InferProcessTest, a_program_that_is_not_there_is_an_error) {
  auto with = options();
  with.program = folder_ / "none";
  EXPECT_EQ(InferProcess::start(std::move(with)).error().code, Errc::not_found);
}

}  // namespace
}  // namespace aloft::host
