// aloft hosts, sessions, tenants, drain, move, explain: what an operator asks of a cluster. Any of
// its managers answers; the first that can be reached is asked.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <google/protobuf/util/json_util.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "cluster/rpc_status.h"
#include "commands.h"
#include "identity/key_file.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;
using Stub = v1::OffloadManager::Stub;

constexpr std::chrono::seconds kConnectLimit{3};
constexpr std::chrono::seconds kAnswerLimit{20};

struct Options {
  std::vector<std::string> managers;
  std::string credentials;
  std::string role = "operator";
  std::string tenant, session, host;
  std::string to;
  std::vector<std::string> avoid;
  bool undo = false;
};

Result<std::unique_ptr<Stub>> connect(const Options& options) {
  using identity::Secrecy;
  if (options.managers.empty()) {
    return fail(Errc::invalid_argument,
                "which cluster? Pass --manager HOST:PORT, or set ALOFT_MANAGER");
  }
  if (options.credentials.empty()) {
    return fail(
        Errc::invalid_argument,
        "who are you? Pass --credentials DIR with ca.pem, operator.pem and operator.key, or "
        "set ALOFT_CREDENTIALS");
  }
  const fs::path folder = options.credentials;
  const auto authority = identity::read_key_file(folder / "ca.pem", Secrecy::open);
  if (!authority) return std::unexpected(authority.error());
  const auto certificate = identity::read_key_file(folder / (options.role + ".pem"), Secrecy::open);
  if (!certificate) return std::unexpected(certificate.error());
  const auto key = identity::read_key_file(folder / (options.role + ".key"), Secrecy::secret);
  if (!key) return std::unexpected(key.error());
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = *authority;
  tls.pem_cert_chain = *certificate;
  tls.pem_private_key = *key;
  const auto credentials = grpc::SslCredentials(tls);
  for (const std::string& manager : options.managers) {
    auto channel = grpc::CreateChannel(manager, credentials);
    if (channel->WaitForConnected(std::chrono::system_clock::now() + kConnectLimit)) {
      return v1::OffloadManager::NewStub(channel);
    }
  }
  std::string all;
  for (const std::string& manager : options.managers) all += (all.empty() ? "" : ", ") + manager;
  return fail(Errc::unreachable, "no manager can be reached at " + all +
                                     ", or its certificate is not of the authority in " +
                                     (folder / "ca.pem").string());
}

// One request, and its answer or what went wrong.
template <class Request, class Response>
Result<Response> ask(Stub& stub,
                     grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                     const Request& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kAnswerLimit);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return std::unexpected(cluster::to_error(status));
  return response;
}

void print_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  std::printf("%s", text.c_str());
}

// Columns as wide as what is in them; numbers are texts here.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print() const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        line += row[i];
        if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
      }
      std::printf("%s\n", line.c_str());
    }
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string mib(std::uint64_t bytes) { return std::to_string(bytes >> 20U) + " MiB"; }
std::string cores(std::uint64_t millicores) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(millicores) / 1000);
  return text;
}
std::string fraction(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
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

Result<void> explain(const Context& context, Stub& stub, const Options& options) {
  v1::ExplainSessionRequest request;
  request.set_id(options.session);
  auto answer = ask(stub, &Stub::ExplainSession, request);
  if (!answer) return std::unexpected(answer.error());
  if (context.json) return print_json(*answer), Result<void>{};
  TextTable table({"HOST", "TOTAL", "LOAD", "ROUND TRIP", "COMPILED", "SPREAD", "REFUSED BECAUSE"});
  for (const auto& score : answer->scores()) {
    const bool refused = !score.refused_because().empty();
    const auto shown = [&](double value) { return refused ? std::string("-") : fraction(value); };
    table.add({score.host_id(), shown(score.total()), shown(score.load()),
               shown(score.round_trip()), shown(score.compiled()), shown(score.spread()),
               refused ? score.refused_because() : "-"});
  }
  table.print();
  return {};
}

}  // namespace

void add_operator_commands(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* help,
                       std::function<Result<void>(Stub&)> command) {
    auto* const at = app.add_subcommand(name, help);
    at->add_option("--manager", options->managers, "HOST:PORT of a manager; several: any of them")
        ->envname("ALOFT_MANAGER")
        ->delimiter(',');
    at->add_option("--credentials", options->credentials,
                   "folder with ca.pem, operator.pem and operator.key (aloft cluster init)")
        ->envname("ALOFT_CREDENTIALS");
    at->add_option("--as", options->role, "the certificate's name there, e.g. tenant-default")
        ->capture_default_str();
    at->callback([&context, options, command = std::move(command)] {
      auto stub = connect(*options);
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
      add("move", "moves a session to another host",
          [&context, options](Stub& stub) { return move(context, stub, *options); });
  moving->add_option("SESSION", options->session, "as `aloft sessions` lists it")->required();
  moving->add_option("--to", options->to, "this host; none: the best");
  moving->add_option("--avoid", options->avoid, "not these hosts")->delimiter(',');
  add("explain", "shows why a session is where it is",
      [&context, options](Stub& stub) { return explain(context, stub, *options); })
      ->add_option("SESSION", options->session, "as `aloft sessions` lists it")
      ->required();
}

}  // namespace aloft::cli
