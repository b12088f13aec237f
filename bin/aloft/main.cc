// aloft: what a developer and an operator type.
#include <cstdio>

#include "commands.h"

namespace aloft::cli {

void failed(Context& context, const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  switch (error.code) {
    case Errc::invalid_argument: context.status = 2; break;
    case Errc::not_found: context.status = 3; break;
    case Errc::refused: context.status = 4; break;
    case Errc::unreachable: context.status = 5; break;
    case Errc::overloaded: context.status = 6; break;
    default: context.status = 1;
  }
}

}  // namespace aloft::cli

int main(int argc, char** argv) {
  aloft::cli::Context context;
  CLI::App app{"aloft: moves parts of a running application between a device and an edge cluster"};
  app.require_subcommand(1);
  app.add_flag("--json", context.json, "print JSON in place of tables");
  app.fallthrough();  // --json may stand behind the command as well
  aloft::cli::add_cluster_commands(app, context);
  aloft::cli::add_module_commands(app, context);
  aloft::cli::add_token_commands(app, context);
  aloft::cli::add_up_command(app, context);
  aloft::cli::add_operator_commands(app, context);
  aloft::cli::add_explain_command(app, context);
  aloft::cli::add_trace_command(app, context);
  aloft::cli::add_rollout_command(app, context);
  aloft::cli::add_check_command(app, context);
  aloft::cli::add_new_command(app, context);
  aloft::cli::add_dev_command(app, context);
  aloft::cli::add_record_command(app, context);
  aloft::cli::add_replay_command(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fprintf(stderr, "error: %s (aloft --help)\n", error.what());
    return 2;
  }
  return context.status;
}
