#include "demo.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <optional>
#include <sstream>

#include <gtest/gtest.h>

#include "test_paths.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> parts;
  std::string part;
  std::istringstream text(line);
  while (std::getline(text, part, ',')) parts.push_back(part);
  if (line.ends_with(',')) parts.emplace_back();
  return parts;
}

}  // namespace

Result<DemoEdge> DemoEdge::start(const EdgeOptions& options) {
  const std::filesystem::path repository =
      options.repository.empty() ? binary_dir() / "modules" : options.repository;
  std::vector<std::string> command{(binary_dir() / "bin/aloft-exec").string(),
                                   "--listen",
                                   options.host + ":" + std::to_string(options.port),
                                   "--repository",
                                   repository.string(),
                                   "--cache",
                                   options.cache.string()};
  command.insert(command.end(), options.arguments.begin(), options.arguments.end());
  if (options.on) command = options.on(std::move(command));
  // The workers of an edge that was killed hold its port until the system has ended them, which it
  // tells nobody.
  const auto until = std::chrono::steady_clock::now() + 5s;
  auto process = Process::start(command);
  std::optional<std::string> line;
  while (process) {
    line = process->wait_for_line("listening on", 20s);
    if (line) break;
    const bool in_use =
        process->standard_error().find("Address already in use") != std::string::npos;
    if (options.port == 0 || !in_use || std::chrono::steady_clock::now() > until)
      return fail(Errc::unreachable, "the edge did not start:\n" + process->transcript());
    process = Process::start(command);
  }
  if (!process) return std::unexpected(process.error());
  const std::string number = line->substr(line->rfind(':') + 1);
  std::uint16_t chosen = 0;
  std::from_chars(number.data(), number.data() + number.size(), chosen);
  return DemoEdge(std::move(*process), options.host, chosen);
}

Result<DemoEdge> DemoEdge::start(const std::filesystem::path& cache, std::uint16_t port,
                                 std::filesystem::path repository,
                                 std::vector<std::string> arguments) {
  EdgeOptions options;
  options.cache = cache;
  options.port = port;
  options.repository = std::move(repository);
  options.arguments = std::move(arguments);
  return start(options);
}

std::vector<std::string> demo_command(const std::filesystem::path& out,
                                      std::vector<std::string> arguments) {
  std::vector<std::string> command{(binary_dir() / "bin/aloft-detect").string(), "--headless",
                                   "--no-record", "--out", out.string()};
  const auto given = [&](std::string_view option) {
    return std::ranges::find(arguments, option) != arguments.end();
  };
  if (!given("--model"))
    command.insert(command.end(), {"--model", (source_dir() / "models/pedestrian.onnx").string()});
  if (!given("--video")) command.insert(command.end(), {"--video", video().string()});
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

std::vector<std::map<std::string, std::string>> read_csv(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  const std::vector<std::string> columns = split(line);
  std::vector<std::map<std::string, std::string>> rows;
  while (std::getline(in, line)) {
    const std::vector<std::string> values = split(line);
    std::map<std::string, std::string> row;
    for (std::size_t i = 0; i < std::min(columns.size(), values.size()); ++i)
      row[columns[i]] = values[i];
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::string> read_identities(const std::filesystem::path& csv) {
  std::vector<std::string> identities;
  for (const auto& row : read_csv(csv)) identities.push_back(row.at("tracks"));
  return identities;
}

void expect_same_identities(const std::vector<std::string>& moved,
                            const std::vector<std::string>& stayed) {
  EXPECT_EQ(moved.size(), stayed.size());
  const auto [other, expected] = std::ranges::mismatch(moved, stayed);
  if (other != moved.end() && expected != stayed.end()) {
    ADD_FAILURE() << "frame " << other - moved.begin() << " has " << *other
                  << ", and in the run that stayed " << *expected;
  }
}

}  // namespace aloft::testing
