// aloft check: which functions of a program can be offloaded. It is aloft-cc that knows, and that
// this becomes: so only who asks needs the compiler's library.
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <unistd.h>

#include "commands.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;

Error become_compiler(std::vector<std::string> arguments) {
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  const std::string program = (here / "aloft-cc").string();
  arguments.insert(arguments.begin(), {program, "check"});
  std::vector<char*> raw;
  for (std::string& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  ::execv(program.c_str(), raw.data());
  return {Errc::not_found,
          program + ": " + std::strerror(errno) + "; it comes with the package for developers"};
}

}  // namespace

void add_check_command(CLI::App& app, Context& context) {
  auto* const command = app.add_subcommand(
      "check",
      "-p BUILD_DIR: tells which functions of a program can be offloaded, and why others "
      "cannot (aloft check --help)");
  command->set_help_flag();
  command->fallthrough(false);
  command->allow_extras();
  command->prefix_command();
  command->callback([&context, command] {
    std::vector<std::string> arguments = command->remaining();
    if (context.json) arguments.emplace_back("--json");
    failed(context, become_compiler(std::move(arguments)));
  });
}

}  // namespace aloft::cli
