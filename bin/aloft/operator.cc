// aloft hosts, sessions, tenants, drain, move: what an operator asks of a cluster. Any of
// its managers answers; the first that can be reached is asked.
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "commands.h"
#include "manager_client.h"

namespace aloft::cli {
namespace {

using Stub = v1::OffloadManager::Stub;

// Each session that moves is prepared for at its new host.
constexpr std::chrono::seconds kRebalanceLimit{300};

struct Options {
  ManagerOptions manager;
  std::string tenant, session, host;
  std::string to;
  std::vector<std::string> avoid;
  bool undo = false;
  bool rebalance = false, only_say = false;
};

std::string mib(std::uint64_t bytes) { return std::to_string(bytes >> 20U) + " MiB"; }
std::string cores(std::uint64_t millicores) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(millicores) / 1000);
  return text;
}
Result<void> hosts(const Context& context, Stub& stub) {
  auto answer = ask(stub, &Stub::ListHosts, v1::ListHostsRequest{});
  if (!answer) return std::unexpected(answer.error());
  if (context.json) return print_json(*answer), Result<void>{};
  TextTable table({"HOST", "ADDRESS", "STATE", "SESSIONS", "MEMORY", "CORES", "GPUS", "LOAD"});
  for (const auto& host : answer->hosts()) {
    const auto& used = host.reserved();
    const auto& all = host.capacity();
    table.add({host.id(), host.address(), host.draining() ? "draining" : "ready",
               std::to_string(host.sessions()),
               mib(used.memory_bytes()) + " of " + mib(all.memory_bytes()),
               cores(used.cpu_millicores()) + " of " + cores(all.cpu_millicores()),
               std::to_string(used.gpus()) + " of " + std::to_string(all.gpus()),
               fraction(host.load())});
  }
  table.print();
  return {};
}

const char* name_of(v1::Session::State state) {
  switch (state) {
    case v1::Session::PLACED: return "placed";
    case v1::Session::WAITING: return "waiting";
    case v1::Session::CLOSED: return "closed";
    default: return "?";
  }
}

Result<void> sessions(const Context& context, Stub& stub, const Options& options) {
  v1::ListSessionsResponse all;
  v1::ListSessionsRequest request;
  request.set_tenant(options.tenant);
  do {
    auto answer = ask(stub, &Stub::ListSessions, request);
    if (!answer) return std::unexpected(answer.error());
    for (auto& session : *answer->mutable_sessions()) *all.add_sessions() = std::move(session);
    request.set_page_token(answer->next_page_token());
  } while (!request.page_token().empty());
  if (context.json) return print_json(all), Result<void>{};
  TextTable table({"SESSION", "TENANT", "STATE", "HOST", "MOVES", "MEMORY", "CORES", "MODULES"});
  for (const auto& session : all.sessions()) {
    std::string modules;
    for (const auto& module : session.modules()) {
      modules += (modules.empty() ? "" : ",") + module.name();
    }
    const auto generation = session.placement().generation();
    table.add({session.id(), session.tenant(), name_of(session.state()),
               session.placement().host_id().empty() ? "-" : session.placement().host_id(),
               std::to_string(generation > 0 ? generation - 1 : 0),
               mib(session.resources().memory_bytes()), cores(session.resources().cpu_millicores()),
               modules});
  }
  table.print();
  return {};
}

Result<void> tenants(const Context& context, Stub& stub) {
  auto answer = ask(stub, &Stub::ListTenants, v1::ListTenantsRequest{});
  if (!answer) return std::unexpected(answer.error());
  if (context.json) return print_json(*answer), Result<void>{};
  TextTable table({"TENANT", "SESSIONS", "MEMORY", "CORES", "GPUS"});
  for (const auto& tenant : answer->tenants()) {
    const auto& used = tenant.reserved();
    const auto& all = tenant.limits();
    table.add({tenant.name(),
               std::to_string(tenant.sessions()) + " of " + std::to_string(tenant.max_sessions()),
               mib(used.memory_bytes()) + " of " + mib(all.memory_bytes()),
               cores(used.cpu_millicores()) + " of " + cores(all.cpu_millicores()),
               std::to_string(used.gpus()) + " of " + std::to_string(all.gpus())});
  }
  table.print();
  return {};
}

Result<void> drain(const Context& context, Stub& stub, const Options& options) {
  v1::DrainHostRequest request;
  request.set_host_id(options.host);
  request.set_undo(options.undo);
  auto answer = ask(stub, &Stub::DrainHost, request);
  if (!answer) return std::unexpected(answer.error());
  if (context.json) return print_json(*answer), Result<void>{};
  if (options.undo) {
    std::printf("host %s takes sessions again\n", options.host.c_str());
  } else {
    std::printf("host %s takes no new sessions; %u move to other hosts\n", options.host.c_str(),
                answer->sessions_moving());
  }
  return {};
}

Result<void> move(const Context& context, Stub& stub, const Options& options) {
  v1::MoveSessionRequest request;
  request.set_id(options.session);
  request.set_to_host(options.to);
  for (const std::string& host : options.avoid) request.add_avoid_hosts(host);
  auto answer = ask(stub, &Stub::MoveSession, request);
  if (!answer) return std::unexpected(answer.error());
  answer->mutable_placement()->clear_ticket();  // nobody's but the device's
  if (context.json) return print_json(*answer), Result<void>{};
  std::printf("session %s is %s%s\n", answer->id().c_str(),
              answer->state() == v1::Session::PLACED ? "at host " : name_of(answer->state()),
              answer->placement().host_id().c_str());
  return {};
}

Result<void> rebalance(const Context& context, Stub& stub, const Options& options) {
  v1::RebalanceRequest request;
  request.set_only_say(options.only_say);
  auto answer = ask(stub, &Stub::Rebalance, request, kRebalanceLimit);
  if (!answer) return std::unexpected(answer.error());
  if (context.json) return print_json(*answer), Result<void>{};
  TextTable table({"SESSION", "FROM", "TO"});
  for (const auto& one : answer->moves())
    table.add({one.session(), one.from_host(), one.to_host()});
  table.print();
  return {};
}

}  // namespace

void add_operator_commands(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* help,
                       std::function<Result<void>(Stub&)> command) {
    auto* const at = app.add_subcommand(name, help);
    add_manager_options(*at, options->manager);
    at->callback([&context, options, command = std::move(command)] {
      auto stub = connect(options->manager);
      if (!stub) return failed(context, stub.error());
      if (auto done = command(**stub); !done) failed(context, done.error());
    });
    return at;
  };
  add("hosts", "lists the hosts of a cluster, and what they have left",
      [&context](Stub& stub) { return hosts(context, stub); });
  add("sessions", "lists the sessions of a cluster, and where they are",
      [&context, options](Stub& stub) { return sessions(context, stub, *options); })
      ->add_option("--tenant", options->tenant, "only this tenant's");
  add("tenants", "lists the tenants of a cluster, and what they use",
      [&context](Stub& stub) { return tenants(context, stub); });
  auto* const draining =
      add("drain", "moves all sessions away from a host, and lets none come",
          [&context, options](Stub& stub) { return drain(context, stub, *options); });
  draining->add_option("HOST", options->host, "as `aloft hosts` lists it")->required();
  draining->add_flag("--undo", options->undo, "it takes sessions again");
  auto* const moving =
      add("move", "moves a session to another host", [&context, options](Stub& stub) {
        if (options->rebalance) return rebalance(context, stub, *options);
        if (options->session.empty())
          return Result<void>(fail(Errc::invalid_argument,
                                   "which session? (--rebalance moves those that it takes)"));
        return move(context, stub, *options);
      });
  auto* const session =
      moving->add_option("SESSION", options->session, "as `aloft sessions` lists it");
  moving
      ->add_flag("--rebalance", options->rebalance,
                 "in place of one session: some of loaded hosts to idle ones")
      ->excludes(session);
  moving->add_flag("--dry-run", options->only_say, "with --rebalance: says which, and moves none");
  moving->add_option("--to", options->to, "this host; none: the best");
  moving->add_option("--avoid", options->avoid, "not these hosts")->delimiter(',');
}

}  // namespace aloft::cli
