// Managers that announce themselves by multicast, and devices that find them: real Avahi daemons in
// network namespaces with a wire between them.
#include <csignal>
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/avahi.h"
#include "support/netns.h"
#include "support/process.h"
#include "support/programs.h"
#include "support/temp_dir.h"
#include "support/text_file.h"
#include <aloft/cluster.h>
#include <aloft/runtime.h>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kPatience = 60s;

// Looks until `good` is what is found; the last that was found.
template <class Good>
std::vector<std::string> find_until(ManagerSource& source, Good good) {
  for (const auto end = std::chrono::steady_clock::now() + kPatience;;) {
    const auto found = source.find(3s);
    if (!found) ADD_FAILURE() << found.error().message;
    if (!found || good(*found) || std::chrono::steady_clock::now() > end)
      return found.value_or(std::vector<std::string>{});
  }
}

class Discovery : public ::testing::Test {
 protected:
  void make_cluster(const std::string& host) {
    const Ran init = run_aloft({"cluster", "init", "--hosts", host, keys_});
    ASSERT_EQ(init.status, 0) << init.error;
  }
  std::vector<std::string> manager_command(const std::string& host) const {
    return {program("aloft-manager"),
            "--listen",
            host + ":0",
            "--credentials",
            keys_,
            "--store-data",
            folder_ / "store.db",
            "--discovery-announce",
            "true"};
  }

  TempDir folder_;
  const std::string keys_ = folder_ / "cluster";
};

TEST_F(Discovery, a_manager_is_found_from_another_machine_until_it_ends) {
  if (const auto missing = Network::what_is_missing()) GTEST_SKIP() << *missing;
  auto network = Network::make();
  ASSERT_TRUE(network) << network.error().message;
  for (const char* host : {"edge", "device"}) ASSERT_TRUE(network->add_host(host));
  Avahi edge(*network, "edge");
  Avahi device(*network, "device");
  ASSERT_TRUE(edge.is_up() && device.is_up());
  const std::string& address = network->address("edge");
  ASSERT_NO_FATAL_FAILURE(make_cluster(address));
  auto manager = Process::start(network->command("edge", manager_command(address)),
                                {.environment = {{"DBUS_SYSTEM_BUS_ADDRESS", edge.bus()}}});
  ASSERT_TRUE(manager) << manager.error().message;
  const auto line = manager->wait_for_line("listening on port", kPatience);
  ASSERT_TRUE(line) << manager->transcript();
  const std::string at = address + ":" + line->substr(line->rfind(' ') + 1);

  // From here on this is the device.
  ASSERT_TRUE(network->enter("device"));
  ::setenv("DBUS_SYSTEM_BUS_ADDRESS", device.bus().c_str(), 1);
  const auto source = multicast_dns_sd_source();
  const auto is_there = [](const auto& found) { return !found.empty(); };
  EXPECT_THAT(find_until(*source, is_there), ElementsAre(at))
      << manager->transcript() << edge.transcript() << device.transcript();

  // What is found is asked: this manager knows the device's tenant, and has no host.
  ClusterOptions wanted;
  wanted.sources = {source};
  wanted.authority = read_text(keys_ + "/ca.pem");
  wanted.certificate = read_text(keys_ + "/tenant-default.pem");
  wanted.key = read_text(keys_ + "/tenant-default.key");
  auto cluster = join_cluster(std::move(wanted));
  ASSERT_TRUE(cluster) << cluster.error().message;
  RuntimeOptions options;
  options.cluster = *cluster;
  auto runtime = Runtime::create(std::move(options));
  ASSERT_TRUE(runtime) << runtime.error().message;
  const auto ready = (*runtime)->wait_for_edge(10s);
  ASSERT_FALSE(ready);
  EXPECT_THAT(ready.error().message, HasSubstr("manager " + at));
  runtime->reset();

  // A daemon that is started anew is told again.
  edge.restart();
  EXPECT_TRUE(manager->wait_for_error("not announced", kPatience)) << manager->transcript();
  EXPECT_THAT(find_until(*source, is_there), ElementsAre(at)) << manager->transcript();

  manager->signal(SIGTERM);
  EXPECT_EQ(manager->wait(kPatience), 0) << manager->transcript();
  EXPECT_THAT(find_until(*source, [](const auto& found) { return found.empty(); }), IsEmpty());
}

TEST_F(Discovery, without_avahi_it_is_said_what_is_missing) {
  const std::string nowhere = "unix:path=" + std::string(folder_ / "no-bus");
  ::setenv("DBUS_SYSTEM_BUS_ADDRESS", nowhere.c_str(), 1);
  const auto found = multicast_dns_sd_source()->find(2s);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::unreachable);
  EXPECT_THAT(found.error().message, HasSubstr("avahi-daemon"));

  ASSERT_NO_FATAL_FAILURE(make_cluster("127.0.0.1"));
  auto manager = Process::start(manager_command("127.0.0.1"));
  ASSERT_TRUE(manager) << manager.error().message;
  EXPECT_EQ(manager->wait(kPatience), 1) << manager->transcript();
  EXPECT_THAT(manager->standard_error(), HasSubstr("error: discovery.announce: "));
}

}  // namespace
}  // namespace aloft::testing
