// The demonstration as a test runs it: an edge in a process of its own, the application in another,
// its files read back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "process.h"
#include <aloft/result.h>

namespace aloft::testing {

struct EdgeOptions {
  std::filesystem::path cache;
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;              // 0: a free one
  std::filesystem::path repository;    // empty: the modules of this build
  std::vector<std::string> arguments;  // more of aloft-exec's own
  // The command that runs the edge's command on another host; empty: it runs on this one.
  std::function<std::vector<std::string>(std::vector<std::string>)> on;
};

// An aloft-exec, by default on the loopback interface, that serves the modules of this build.
class DemoEdge {
 public:
  // A port that was in use a moment ago is waited for.
  [[nodiscard]] static Result<DemoEdge> start(const EdgeOptions& options);
  [[nodiscard]] static Result<DemoEdge> start(const std::filesystem::path& cache,
                                              std::uint16_t port = 0,
                                              std::filesystem::path repository = {},
                                              std::vector<std::string> arguments = {});
  [[nodiscard]] std::string address() const { return host_ + ":" + std::to_string(port_); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] Process& process() { return process_; }
  [[nodiscard]] const Process& process() const { return process_; }

 private:
  DemoEdge(Process process, std::string host, std::uint16_t port)
      : process_(std::move(process)), host_(std::move(host)), port_(port) {}
  Process process_;
  std::string host_;
  std::uint16_t port_;
};

// The application's command: headless, not recording, the project's own model and video unless
// `arguments` say otherwise, results in `out`.
[[nodiscard]] std::vector<std::string> demo_command(const std::filesystem::path& out,
                                                    std::vector<std::string> arguments);

// The lines of a CSV file, each as column name -> text.
[[nodiscard]] std::vector<std::map<std::string, std::string>> read_csv(
    const std::filesystem::path& file);

// The identities that the application tracked in each frame, as frames.csv has them.
[[nodiscard]] std::vector<std::string> read_identities(const std::filesystem::path& csv);
// Fails the test with the first frame in which they differ.
void expect_same_identities(const std::vector<std::string>& moved,
                            const std::vector<std::string>& stayed);

}  // namespace aloft::testing
