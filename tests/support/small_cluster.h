// A cluster of this machine whose daemons a test starts itself: a folder of keys as `aloft cluster
// init` makes it, a manager, a host, a repository.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/temp_dir.h"

namespace aloft::testing {

class SmallCluster {
 public:
  static constexpr std::chrono::seconds kPatience{60};

  // Keys for a manager and the host h1 at this machine, a repository with these modules (files).
  // What goes wrong fails the test.
  explicit SmallCluster(const std::vector<std::string>& modules);

  struct Daemon {
    Process process;
    std::string port;  // of gRPC, a manager's
    std::string ops;   // of /metrics
  };
  // Log as JSON, and serve their figures; `more`: further options.
  [[nodiscard]] std::optional<Daemon> start_manager(const std::vector<std::string>& more = {});
  // Returns when it has registered. `under`: a command that starts it.
  [[nodiscard]] std::optional<Daemon> start_host(const std::string& manager_port,
                                                 const std::vector<std::string>& more = {},
                                                 std::vector<std::string> under = {});

  // The command `aloft`. Its standard output; a status but `status` fails the test.
  std::string aloft(std::vector<std::string> arguments, int status = 0) const;
  // The same, of an operator, asking the manager.
  std::string ask(const std::string& manager_port, std::vector<std::string> arguments,
                  int status = 0) const;

  // The folder of keys.
  [[nodiscard]] std::string keys() const { return folder_ / "cluster"; }
  [[nodiscard]] std::string text_of(const std::string& file) const;  // of that folder

 private:
  TempDir folder_;
};

}  // namespace aloft::testing
