// What those who operate a cluster have of it: figures, one trace id through all logs, keys and
// certificates that are replaced while it runs. All processes are real; the device is this one.
#include <atomic>
#include <cctype>
#include <csignal>
#include <mutex>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "probe.aloft.h"
#include "probe.h"
#include "support/eventually.h"
#include "support/http_get.h"
#include "support/small_cluster.h"
#include "support/text_file.h"
#include "test_paths.h"
#include <aloft/cluster.h>
#include <aloft/runtime.h>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr auto kPatience = SmallCluster::kPatience;
constexpr const char* kTraceId = "4bf92f3577b34da6a3ce929d0e0e4736";

class Operations : public ::testing::Test {
 protected:
  void start_cluster(const std::vector<std::string>& of_manager = {}) {
    manager_ = cluster_.start_manager(of_manager);
    ASSERT_TRUE(manager_);
    host_ = cluster_.start_host(manager_->port, {"--isolation", "best-effort"});
    ASSERT_TRUE(host_);
  }
  ~Operations() override {
    if (!HasFailure()) return;
    if (manager_) std::cerr << manager_->process.transcript();
    if (host_) std::cerr << host_->process.transcript();
    std::cerr << log();
  }

  ClusterOptions cluster_options() const {
    ClusterOptions options;
    options.managers = {"127.0.0.1:" + manager_->port};
    options.authority = cluster_.text_of("ca.pem");
    options.certificate = cluster_.text_of("tenant-default.pem");
    options.key = cluster_.text_of("tenant-default.key");
    return options;
  }
  std::unique_ptr<Runtime> make_device(ClusterOptions options) {
    auto cluster = join_cluster(std::move(options));
    if (!cluster) {
      ADD_FAILURE() << cluster.error().message;
      return nullptr;
    }
    RuntimeOptions wanted;
    wanted.cluster = *cluster;
    wanted.policy = remote_policy();
    wanted.functions["probe::grind"].deadline = 300ms;
    wanted.functions["probe::grind"].fallback = Fallback::none;
    wanted.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_ += std::string(line) + "\n";
    };
    auto runtime = Runtime::create(std::move(wanted));
    if (!runtime) {
      ADD_FAILURE() << runtime.error().message;
      return nullptr;
    }
    return *std::move(runtime);
  }
  std::string log() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  // Whether a call runs at the edge.
  static bool call_at_edge() {
    auto joined = probe::join_async("a", "b");
    EXPECT_EQ(joined.get().value_or("?"), "ab");
    return joined.record().place == Place::edge && !joined.record().fell_back;
  }

  // The lines of a daemon and its children that are of this trace, as JSON.
  static std::vector<nlohmann::json> traced(const Process& process, const std::string& program) {
    std::vector<nlohmann::json> found;
    std::istringstream lines(process.standard_error());
    for (std::string line; std::getline(lines, line);) {
      const auto parsed = nlohmann::json::parse(line, nullptr, false);
      if (parsed.is_discarded()) {
        // A library may say something of its own; the last line may not be whole yet.
        EXPECT_TRUE(!line.starts_with('{') || lines.eof()) << "not JSON: " << line;
        continue;
      }
      if (parsed.value("trace_id", "") == kTraceId &&
          parsed.value("program", "").starts_with(program))
        found.push_back(parsed);
    }
    return found;
  }
  static bool says(const std::vector<nlohmann::json>& lines, const std::string& words) {
    return std::ranges::any_of(lines, [&](const auto& line) {
      return line.at("message").template get<std::string>().find(words) != std::string::npos;
    });
  }

  SmallCluster cluster_{{binary_dir() / "modules/probe.wasm"}};
  std::optional<SmallCluster::Daemon> manager_, host_;
  std::mutex mutex_;
  std::string lines_;
};

TEST_F(Operations, one_trace_id_is_in_the_logs_of_device_manager_host_and_guest) {
  ASSERT_NO_FATAL_FAILURE(start_cluster());
  auto options = cluster_options();
  options.traceparent = "00-" + std::string(kTraceId) + "-00f067aa0ba902b7-01";
  const auto device = make_device(std::move(options));
  ASSERT_TRUE(device);
  bind(*device);
  ASSERT_TRUE(device->wait_for_edge(kPatience)) << log();
  EXPECT_EQ(probe::speak_async(1).get().value_or(0), 1);
  EXPECT_FALSE(probe::grind_async(4'000'000'000U).get()) << "its time is over long before";

  EXPECT_THAT(log(), HasSubstr(kTraceId));
  EXPECT_TRUE(eventually(kPatience, [&] {
    return says(traced(manager_->process, "aloft-manager"), "is open at host h1");
  }));
  EXPECT_TRUE(eventually(
      kPatience, [&] { return says(traced(host_->process, "aloft-host"), "is expected"); }));
  // Of the guest: what it prints, and how its call ends.
  for (const char* words : {"line 0 of 1", "and one to stderr"}) {
    EXPECT_TRUE(eventually(kPatience, [&] {
      return says(traced(host_->process, "aloft-exec"), words);
    })) << words;
  }
  EXPECT_TRUE(eventually(kPatience, [&] {
    const auto lines = traced(host_->process, "aloft-exec");
    return says(lines, "deadline_exceeded") || says(lines, "cancelled");
  }));
  const auto lines = traced(host_->process, "aloft-exec");
  std::set<std::string> sessions;
  for (const auto& line : lines) sessions.insert(line.value("session", ""));
  EXPECT_EQ(sessions.size(), 1U) << "all of them name the session, and there is one";
}

TEST_F(Operations, a_host_shows_what_its_tenants_do) {
  ASSERT_NO_FATAL_FAILURE(start_cluster());
  EXPECT_EQ(http_get(host_->ops, "/healthz").status, 200U);
  EXPECT_TRUE(eventually(kPatience, [&] { return http_get(host_->ops, "/readyz").status == 200; }));
  {
    const auto device = make_device(cluster_options());
    ASSERT_TRUE(device);
    bind(*device);
    ASSERT_TRUE(device->wait_for_edge(kPatience)) << log();
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(call_at_edge());
    EXPECT_FALSE(probe::grind_async(4'000'000'000U).get());

    std::string text;
    const auto shows = [&](const std::string& pattern) {
      text = http_get(host_->ops, "/metrics").body;
      return std::regex_search(text, std::regex(pattern));
    };
    const auto of = [&](const char* name, const char* more) {
      return std::string("aloft_host_") + name +
             R"(\{tenant="default",module="probe",digest="[0-9a-f]{12}")" + more + "\\} ";
    };
    EXPECT_TRUE(eventually(kPatience, [&] {
      return shows(of("call_duration_seconds_count", "") + "21\n");
    })) << text;
    EXPECT_TRUE(shows(of("call_errors_total", "") + "1\n")) << text;
    for (const char* quantile : {",quantile=\"0.5\"", ",quantile=\"0.99\""})
      EXPECT_TRUE(shows(of("recent_call_duration_seconds", quantile) + "[0-9.e-]+\n")) << text;
    for (const char* line :
         {"aloft_host_sessions 1\n", "aloft_host_known 1\n", "aloft_host_draining 0\n",
          "aloft_host_tenant_sessions\\{tenant=\"default\"\\} 1\n",
          "aloft_host_tenant_process_up\\{tenant=\"default\"\\} 1\n",
          "aloft_host_tenant_process_starts_total\\{tenant=\"default\"\\} 1\n",
          "aloft_host_tenant_process_resident_memory_bytes\\{tenant=\"default\"\\} [1-9]",
          "aloft_host_tenant_process_cpu_seconds_total\\{tenant=\"default\"\\} [0-9]",
          "aloft_host_compile_duration_seconds_count 1\n", "aloft_host_modules_fetched_total 1\n"})
      EXPECT_TRUE(shows(line)) << line << text;
  }
  EXPECT_THAT(log(), ::testing::Not(HasSubstr("lost"))) << "its end is no loss";
  EXPECT_TRUE(eventually(kPatience, [&] {
    return http_get(host_->ops, "/metrics").body.find("\naloft_host_sessions 0\n") !=
           std::string::npos;
  }));

  manager_->process.kill();
  EXPECT_TRUE(eventually(kPatience, [&] { return http_get(host_->ops, "/readyz").status == 503; }))
      << "no manager knows it";
  EXPECT_EQ(http_get(host_->ops, "/healthz").status, 200U);
  host_->process.signal(SIGTERM);
  EXPECT_EQ(host_->process.wait(kPatience), 0);
}

// What follows `name` in a file of deploy/, up to the end of the line.
std::string after(const std::string& file, const std::string& name) {
  const std::string text = read_text(source_dir() / "deploy" / file);
  const auto begin = text.find(name);
  if (begin == std::string::npos) return {};
  const auto from = begin + name.size();
  return text.substr(from, text.find_first_of("\n]", from) - from);
}

TEST_F(Operations, a_host_needs_no_more_capabilities_than_it_is_deployed_with) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root has capabilities to leave out";
  // "CAP_SYS_ADMIN CAP_KILL" and "SYS_ADMIN, KILL": the same, as setpriv says it.
  const auto as_bounding_set = [](std::string list) {
    std::string set = "-all";
    for (char& c : list) c = c == ',' ? ' ' : static_cast<char>(std::tolower(c));
    std::istringstream words(list);
    std::set<std::string> all;
    for (std::string word; words >> word;)
      all.insert(word.starts_with("cap_") ? word.substr(4) : word);
    for (const std::string& word : all) set += ",+" + word;
    return set;
  };
  const std::string unit =
      as_bounding_set(after("systemd/aloft-host.service", "\nCapabilityBoundingSet="));
  const std::string manifest = as_bounding_set(after("kubernetes/host.yaml", "add: ["));
  EXPECT_EQ(unit, manifest);
  manager_ = cluster_.start_manager();
  ASSERT_TRUE(manager_);
  host_ = cluster_.start_host(manager_->port, {"--isolation", "required"},
                              {"setpriv", "--bounding-set", unit, "--no-new-privs", "--"});
  ASSERT_TRUE(host_);
  const auto device = make_device(cluster_options());
  ASSERT_TRUE(device);
  bind(*device);
  ASSERT_TRUE(device->wait_for_edge(kPatience)) << log();
  EXPECT_TRUE(call_at_edge()) << "the tenant's process is confined, and works";
  host_->process.signal(SIGTERM);
  EXPECT_EQ(host_->process.wait(kPatience), 0) << "it could end the tenant's process";
}

TEST_F(Operations, the_authority_is_replaced_under_a_running_cluster) {
  ASSERT_NO_FATAL_FAILURE(start_cluster());
  const auto changes = [](const Process& process) {
    std::size_t count = 0;
    const std::string text = process.standard_error();
    for (auto at = text.find("and are in force"); at != std::string::npos;
         at = text.find("and are in force", at + 1))
      ++count;
    return count;
  };
  std::size_t seen_manager = 0;
  std::size_t seen_host = 0;
  const auto wait_for_both = [&](const char* file) {
    EXPECT_TRUE(eventually(kPatience, [&] {
      return changes(manager_->process) > seen_manager && changes(host_->process) > seen_host;
    })) << file;
    seen_manager = changes(manager_->process);
    seen_host = changes(host_->process);
  };
  const auto first = make_device(cluster_options());
  ASSERT_TRUE(first);
  const auto old_options = cluster_options();
  bind(*first);
  ASSERT_TRUE(first->wait_for_edge(kPatience)) << log();
  const auto goes_on = [&] {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(call_at_edge()) << log();
  };
  goes_on();

  const auto rotate = [&] {
    const std::string before = cluster_.text_of("ca.pem");
    cluster_.aloft({"cluster", "rotate", "authority", cluster_.keys()});
    if (cluster_.text_of("ca.pem") != before) wait_for_both("ca.pem");
  };
  // Both are trusted.
  rotate();
  goes_on();

  // The next one is in use.
  rotate();
  const auto again = [&](std::vector<std::string> who) {
    std::vector<std::string> command{"cluster", "issue", "--replace"};
    command.insert(command.end(), who.begin(), who.end());
    command.push_back(cluster_.keys());
    cluster_.aloft(command);
  };
  again({"--role", "manager", "--name", "manager"});
  again({"--role", "host", "--name", "h1"});
  again({"--role", "tenant", "--name", "default"});
  again({"--role", "operator", "--name", "operator"});
  wait_for_both("certificates");
  EXPECT_TRUE(eventually(kPatience, [&] {
    return host_->process.standard_error().find("data plane has changed") != std::string::npos;
  }));
  goes_on();
  const auto opens = [&](const ClusterOptions& options) {
    const auto device = make_device(options);
    return device && device->wait_for_edge(kPatience).has_value();
  };
  EXPECT_TRUE(opens(cluster_options())) << log();

  // The old one is nobody.
  rotate();
  goes_on();
  EXPECT_TRUE(opens(cluster_options())) << log();
  EXPECT_TRUE(eventually(kPatience, [&] { return http_get(host_->ops, "/readyz").status == 200; }))
      << "the host goes on with its heartbeats";
  {
    auto stale = old_options;
    stale.authority = cluster_.text_of("ca.pem");
    const auto device = make_device(stale);
    ASSERT_TRUE(device);
    EXPECT_FALSE(device->wait_for_edge(3s)) << "its certificate is of the old authority";
  }
  EXPECT_THAT(cluster_.ask(manager_->port, {"hosts"}), HasSubstr("h1"));
  goes_on();
  EXPECT_THAT(log(), ::testing::Not(HasSubstr(" lost: "))) << "nothing of it was noticed";
}

}  // namespace
}  // namespace aloft::testing
