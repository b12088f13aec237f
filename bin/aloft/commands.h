// The commands of `aloft`, one file for each group.
//
// A command adds itself to the app with its options and a callback that runs it. What it prints for
// people goes to standard output, as a table or, with --json, as one JSON value; what went wrong
// goes to standard error, beginning `error: `, and sets the exit status:
//   0 done   1 it failed   2 the command line was wrong   3 not found   4 not allowed
//   5 the cluster cannot be reached   6 overloaded: later may do
#pragma once

#include <CLI/CLI.hpp>

#include <aloft/result.h>

namespace aloft::cli {

struct Context {
  bool json = false;  // --json, of the app
  int status = 0;
};

// Prints the error and sets the status that goes with it.
void failed(Context& context, const Error& error);

void add_cluster_commands(CLI::App& app, Context& context);  // aloft cluster init|issue|...
void add_token_commands(CLI::App& app, Context& context);    // aloft token issue|check|...
void add_module_commands(CLI::App& app, Context& context);   // aloft module push|pull|...
// aloft hosts, sessions, tenants, drain, move
void add_operator_commands(CLI::App& app, Context& context);
void add_explain_command(CLI::App& app, Context& context);  // aloft explain

void add_rollout_command(CLI::App& app, Context& context);  // aloft rollout

void add_trace_command(CLI::App& app, Context& context);  // aloft trace

void add_up_command(CLI::App& app, Context& context);  // aloft up

void add_check_command(CLI::App& app, Context& context);  // aloft check

void add_new_command(CLI::App& app, Context& context);  // aloft new

void add_dev_command(CLI::App& app, Context& context);  // aloft dev

void add_record_command(CLI::App& app, Context& context);  // aloft record

void add_replay_command(CLI::App& app, Context& context);  // aloft replay

}  // namespace aloft::cli
