// The demonstration as a test runs it: an edge in a process of its own, the application in another,
// its files read back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "process.h"
#include <aloft/result.h>

namespace aloft::testing {

// An aloft-exec on the loopback interface that serves the modules of this build.
class DemoEdge {
 public:
  // `port` 0: a free one. `repository` empty: the modules of this build. `arguments`: more of
  // aloft-exec's own. A port that was in use a moment ago is waited for.
  [[nodiscard]] static Result<DemoEdge> start(const std::filesystem::path& cache,
                                              std::uint16_t port = 0,
                                              std::filesystem::path repository = {},
                                              std::vector<std::string> arguments = {});
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] Process& process() { return process_; }

 private:
  DemoEdge(Process process, std::uint16_t port) : process_(std::move(process)), port_(port) {}
  Process process_;
  std::uint16_t port_;
};

// The application's command: headless, not recording, the project's own model and video unless
// `arguments` say otherwise, results in `out`.
[[nodiscard]] std::vector<std::string> demo_command(const std::filesystem::path& out,
                                                    std::vector<std::string> arguments);

// The lines of a CSV file, each as column name -> text.
[[nodiscard]] std::vector<std::map<std::string, std::string>> read_csv(
    const std::filesystem::path& file);

}  // namespace aloft::testing
