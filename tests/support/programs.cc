#include "support/programs.h"

#include <utility>

#include "test_paths.h"

namespace aloft::testing {
namespace {

constexpr std::chrono::seconds kPatience{60};

}  // namespace

std::string program(std::string_view name) { return (binary_dir() / "bin" / name).string(); }

std::string last_word(const std::string& line) { return line.substr(line.find_last_of(' ') + 1); }

Ran run(std::vector<std::string> command, ProcessOptions options) {
  auto process = Process::start(std::move(command), std::move(options));
  if (!process) return {.error = process.error().message};
  const auto status = process->wait(kPatience);
  if (!status) return {.error = "it does not end:\n" + process->transcript()};
  return {
      .status = *status, .output = process->standard_output(), .error = process->standard_error()};
}

Ran run_aloft(std::vector<std::string> arguments, ProcessOptions options) {
  arguments.insert(arguments.begin(), program("aloft"));
  return run(std::move(arguments), std::move(options));
}

Result<ClusterUp> aloft_up(const std::filesystem::path& folder,
                           const std::vector<std::string>& modules) {
  std::vector<std::string> command{program("aloft"), "up",       "--dir",
                                   folder.string(),  "--listen", "127.0.0.1:0"};
  for (const std::string& module : modules) command.insert(command.end(), {"--module", module});
  auto process = Process::start(std::move(command));
  if (!process) return std::unexpected(process.error());
  ClusterUp up{.process = *std::move(process), .manager = {}};
  const auto line = up.process.wait_for_line("is up, its manager at ", kPatience);
  if (!line) return fail(Errc::internal, "aloft up does not start:\n" + up.process.transcript());
  const auto begin = line->find("manager at ") + 11;
  up.manager = line->substr(begin, line->find(". Ctrl-C", begin) - begin);
  return up;
}

}  // namespace aloft::testing
