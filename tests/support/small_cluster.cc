#include "support/small_cluster.h"

#include <utility>

#include <gtest/gtest.h>

#include "support/programs.h"
#include "support/text_file.h"

namespace aloft::testing {
namespace {

// Starts it and reads its ports.
std::optional<SmallCluster::Daemon> start(std::vector<std::string> command,
                                          const std::vector<std::string>& more) {
  command.insert(command.end(), more.begin(), more.end());
  auto process = Process::start(std::move(command));
  if (!process) {
    ADD_FAILURE() << process.error().message;
    return std::nullopt;
  }
  SmallCluster::Daemon daemon{.process = *std::move(process), .port = {}, .ops = {}};
  const auto listening = daemon.process.wait_for_line("listening on", SmallCluster::kPatience);
  const auto ops = daemon.process.wait_for_line("/metrics", SmallCluster::kPatience);
  if (!listening || !ops) {
    ADD_FAILURE() << daemon.process.transcript();
    return std::nullopt;
  }
  daemon.port = last_word(*listening);
  daemon.ops = last_word(*ops);
  return daemon;
}

}  // namespace

SmallCluster::SmallCluster(const std::vector<std::string>& modules) {
  aloft({"cluster", "init", "--hosts", "127.0.0.1", "--allow-unsigned", keys()});
  aloft({"cluster", "issue", "--role", "host", "--name", "h1", "--hosts", "127.0.0.1", keys()});
  for (const std::string& module : modules)
    aloft({"module", "push", "--repository", folder_ / "repository", module});
}

std::string SmallCluster::aloft(std::vector<std::string> arguments, int status) const {
  Ran ran = run_aloft(std::move(arguments));
  EXPECT_EQ(ran.status, status) << ran.output << ran.error;
  return std::move(ran.output);
}

std::string SmallCluster::ask(const std::string& manager_port, std::vector<std::string> arguments,
                              int status) const {
  arguments.insert(arguments.end(),
                   {"--manager", "127.0.0.1:" + manager_port, "--credentials", keys()});
  return aloft(std::move(arguments), status);
}

std::optional<SmallCluster::Daemon> SmallCluster::start_manager(
    const std::vector<std::string>& more) {
  return start(
      {program("aloft-manager"), "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0",
       "--credentials", keys(), "--store-data", folder_ / "store.db", "--log-format", "json"},
      more);
}

std::optional<SmallCluster::Daemon> SmallCluster::start_host(const std::string& manager_port,
                                                             const std::vector<std::string>& more,
                                                             std::vector<std::string> under) {
  under.insert(under.end(),
               {program("aloft-host"), "--managers", "127.0.0.1:" + manager_port, "--credentials",
                keys(), "--repository", folder_ / "repository", "--state", folder_ / "host",
                "--ops-listen", "127.0.0.1:0", "--log-format", "json", "--drain-limit", "2s"});
  auto host = start(std::move(under), more);
  // Before or after its ports, in one stream.
  if (host && !host->process.wait_for_line("registered", kPatience) &&
      host->process.standard_output().find("registered") == std::string::npos) {
    ADD_FAILURE() << host->process.transcript();
    return std::nullopt;
  }
  return host;
}

std::string SmallCluster::text_of(const std::string& file) const {
  return read_text(folder_ / ("cluster/" + file));
}

}  // namespace aloft::testing
