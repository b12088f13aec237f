// aloft-host: a host of a cluster. Registers at the cluster's managers, and has an Execution
// Handler for each tenant whose sessions they place here.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>
#include <time.h>
#include <unistd.h>

#include "base/ids.h"
#include "config/schema.h"
#include "daemon_signals.h"
#include "descriptors.h"
#include "host/control/data_certificate.h"
#include "host/control/host_metrics.h"
#include "host/control/host_service.h"
#include "host/control/manager_link.h"
#include "host/control/offload_handler.h"
#include "host/control/revoked_certificates.h"
#include "host_inference.h"
#include "identity/certificate.h"
#include "identity/key_file.h"
#include "net/address.h"
#include "oci/artifact.h"
#include "oci/registry.h"
#include "oci/repository.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/ops_server.h"
#include "rpc/certificates.h"
#include "rpc/grpc_log.h"

namespace {

using namespace aloft;
namespace fs = std::filesystem;

constexpr int kFailed = 1;
constexpr int kUsageError = 2;
// Processes of tenants run as this user and those after it: where nobody has an account.
constexpr std::uint64_t kFirstUser = 1'879'048'192;

struct Options {
  std::string id;
  std::vector<std::string> managers;
  std::string listen = "127.0.0.1:0";
  std::string advertise;
  fs::path credentials;
  fs::path certificate, key, authority, data_certificate, data_key;
  std::string repository;
  oci::RegistryOptions registry;
  fs::path registry_password;
  fs::path state;
  fs::path exec;
  std::string isolation = "required";
  std::uint64_t first_user = kFirstUser;
  Bytes memory{0};
  std::uint64_t cpu_millicores = 0;
  std::uint64_t gpus = 0;
  std::vector<std::string> accelerators;
  std::vector<std::string> models;
  std::uint64_t max_tenants = 64;
  std::uint64_t spare_tenants = 1;
  std::uint64_t max_sessions = 1024;
  std::uint64_t inference_threads = 1;
  std::uint64_t inferences = 2;
  InferenceOptions inference;
  Bytes instance_memory{256_MiB};
  Bytes tenant_memory{1_GiB};
  Bytes max_modules{2_GiB};
  Bytes max_compiled{4_GiB};
  Bytes compile_memory{1_GiB};
  std::chrono::milliseconds compile_limit{60'000};
  std::chrono::milliseconds drain_limit{30'000};
  std::string ops_listen;
  std::string log_level = "info";
  std::string log_format = "text";
};

int say(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  return error.code == Errc::invalid_argument ? kUsageError : kFailed;
}

config::Schema schema_of(Options& options) {
  config::Schema schema("aloft-host",
                        "An aloft host: runs the sessions that a cluster's managers place here",
                        "ALOFT_HOST");
  schema.option("id", options.id, "of this host in the cluster; none: as its certificate says")
      .option("managers", options.managers, "HOST:PORT of the managers; any of them will do",
              config::Need::required)
      .option(
          "listen", options.listen,
          "HOST:PORT for the managers; tenants' handlers listen on the same HOST, at free ports")
      .option("advertise", options.advertise,
              "this host as managers and devices call it; none: HOST of `listen`")
      .option("credentials", options.credentials,
              "folder with ca.pem and the host's certificate and key (aloft cluster issue)",
              config::Need::required)
      .option("certificate", options.certificate, "none: host-ID.pem in `credentials`")
      .option("key", options.key, "none: host-ID.key in `credentials`")
      .option("authority", options.authority, "none: ca.pem in `credentials`")
      .option(
          "data.certificate", options.data_certificate,
          "shown to devices; none: the host's. Its key is in each tenant's process: with one of "
          "its own, that has no name in the cluster, a process that was taken over cannot speak "
          "for the host")
      .option("data.key", options.data_key, "of data.certificate")
      .option("repository", options.repository, "of the modules: a folder, or https://HOST/NAME",
              config::Need::required)
      .option("registry.ca", options.registry.authority, "PEM file; none: those of the system")
      .option("registry.certificate", options.registry.certificate, "PEM file, shown to it")
      .option("registry.key", options.registry.key, "of registry.certificate")
      .option("registry.user", options.registry.user, "to log in with")
      .option("registry.password_file", options.registry_password, "file with the password")
      .option("state", options.state, "folder for modules and tenants, this program's alone",
              config::Need::required)
      .option("exec", options.exec, "aloft-exec; none: the one beside this program")
      .choice("isolation", options.isolation, {"required", "best-effort"},
              "whether a tenant's process runs where the system lacks a part of its sandbox")
      .number("isolation.first_user", options.first_user, 1000, 4'000'000'000,
              "user id of the compiler; tenants get those after it (as root only)")
      .option("capacity.memory", options.memory, "for sessions; 0: three quarters of the machine's")
      .number("capacity.cpu_millicores", options.cpu_millicores, 0, 100'000'000,
              "for sessions; 0: all processors")
      .number("capacity.gpus", options.gpus, 0, 1024, "for sessions")
      .option("capabilities.accelerators", options.accelerators, "such as cuda")
      .option("capabilities.models", options.models, "sha256:... of models that lie here")
      .number("tenants.max", options.max_tenants, 1, 4096, "with a process at a time")
      .number("tenants.spare", options.spare_tenants, 0, 64,
              "processes that wait for tenants to come; 0: a tenant's first session waits for one")
      .number("tenants.sessions", options.max_sessions, 1, 65'536, "of one tenant at a time")
      .option("tenants.memory", options.tenant_memory,
              "of a tenant's process beside its sessions': models, buffers")
      .option("sessions.instance_memory", options.instance_memory, "of one guest instance at most")
      .number("inference.threads", options.inference_threads, 1, 256, "of one inference")
      .number("inference.concurrency", options.inferences, 1, 256,
              "inferences of a tenant at a time");
  options.inference.describe(schema);
  schema.option("modules.max", options.max_modules, "kept on disk")
      .option("compiled.max", options.max_compiled, "kept on disk")
      .option("compile.memory", options.compile_memory, "of the compiler's process")
      .option("compile.limit", options.compile_limit, "how long one module may take")
      .option("drain_limit", options.drain_limit,
              "at the end: how long sessions may take to move away")
      .option("ops_listen", options.ops_listen,
              "IP:PORT of /metrics, /healthz and /readyz, in clear; none: there are none")
      .choice("log.level", options.log_level, {"debug", "info", "warn", "error"}, "what is logged")
      .choice("log.format", options.log_format, {"text", "json"},
              "lines for people, or a JSON object each");
  return schema;
}

// The one certificate host-*.pem of the folder.
Result<fs::path> find_certificate(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("host-") && entry.path().extension() == ".pem") found.push_back(entry);
  }
  if (found.size() == 1) return found.front();
  return fail(
      Errc::not_found,
      folder.string() + " has " + std::to_string(found.size()) +
          " certificates host-*.pem: say which one it is (--id, or --certificate and --key)");
}

struct Credentials {
  identity::Identity self;
  std::unique_ptr<rpc::Certificates> certificates;
};

Result<Credentials> load_credentials(Options& options) {
  if (options.certificate.empty()) {
    if (options.id.empty()) {
      auto found = find_certificate(options.credentials);
      if (!found) return std::unexpected(found.error());
      options.certificate = *found;
    } else {
      options.certificate = options.credentials / ("host-" + options.id + ".pem");
    }
  }
  if (options.key.empty()) options.key = fs::path(options.certificate).replace_extension(".key");
  if (options.authority.empty()) options.authority = options.credentials / "ca.pem";
  if (options.data_certificate.empty() != options.data_key.empty())
    return fail(Errc::invalid_argument, "data.certificate and data.key are given together");
  if (options.data_certificate.empty()) {
    options.data_certificate = options.certificate;
    options.data_key = options.key;
  }
  auto certificates = rpc::Certificates::open({options.authority, options.certificate, options.key},
                                              rpc::log_certificates);
  if (!certificates) return std::unexpected(std::move(certificates).error());
  auto self = identity::identity_of((*certificates)->texts()->certificate);
  if (!self) return std::unexpected(self.error());
  if (self->role != identity::Role::host) {
    return fail(Errc::refused, options.certificate.string() +
                                   " is no host's certificate (aloft cluster issue --role host)");
  }
  if (options.id.empty()) options.id = self->name;
  if (options.id != self->name) {
    return fail(Errc::invalid_argument,
                "id: the certificate is that of the host " + self->name + ", not of " + options.id);
  }
  return Credentials{.self = *std::move(self), .certificates = *std::move(certificates)};
}

Result<host::OffloadHandlerOptions> handler_options(const Options& options,
                                                    const net::Address& listen) {
  oci::RegistryOptions registry = options.registry;
  if (!options.registry_password.empty()) {
    auto password = identity::read_key_file(options.registry_password, identity::Secrecy::secret);
    if (!password) return std::unexpected(std::move(password).error());
    while (!password->empty() && password->back() == '\n') password->pop_back();
    registry.password = *std::move(password);
  }
  auto opened = oci::open_repository(options.repository, registry);
  if (!opened) return std::unexpected(std::move(opened).error());
  host::OffloadHandlerOptions handler;
  handler.host_id = options.id;
  handler.state = fs::absolute(options.state);
  std::error_code error;
  handler.program = options.exec.empty()
                        ? fs::read_symlink("/proc/self/exe", error).parent_path() / "aloft-exec"
                        : fs::absolute(options.exec);
  handler.listen = listen.host;
  handler.advertise = options.advertise;
  handler.certificate = fs::absolute(options.data_certificate);
  handler.key = fs::absolute(options.data_key);
  if (::geteuid() == 0) handler.first_user = static_cast<uid_t>(options.first_user);
  handler.need =
      options.isolation == "required" ? host::Need::everything : host::Need::what_there_is;
  handler.max_tenants = options.max_tenants;
  handler.spare_places = options.spare_tenants;
  handler.max_sessions = options.max_sessions;
  handler.inference_threads = static_cast<int>(options.inference_threads);
  handler.inferences = static_cast<int>(options.inferences);
  handler.instance_memory = options.instance_memory.count();
  handler.tenant_memory = options.tenant_memory.count();
  const auto inference = options.inference.process(handler.program.parent_path(),
                                                   static_cast<int>(options.inference_threads));
  if (!inference) return std::unexpected(inference.error());
  handler.inference = *inference;
  handler.inference_memory = options.inference.tenant_memory.count();
  handler.inference_models = options.inference.tenant_models.count();
  handler.fetch = [repository = std::shared_ptr<oci::Repository>(*std::move(opened))](
                      const Digest& digest, const fs::path& into,
                      const oci::Verification& verification) {
    return oci::fetch_module(*repository, digest, into, verification);
  };
  handler.compile_limit = options.compile_limit;
  handler.compile_memory = options.compile_memory.count();
  handler.max_modules = options.max_modules;
  handler.max_compiled = options.max_compiled;
  handler.log_format = ops::parse_log_format(options.log_format);
  if (handler.inference) handler.inference->log_format = handler.log_format;
  return handler;
}

v1::RegisterHostRequest describe(const Options& options, const std::string& address,
                                 const host::OffloadHandler& handler) {
  v1::RegisterHostRequest self;
  self.set_host_id(options.id);
  self.set_boot_id(random_hex());
  self.set_control_address(address);
  const std::uint64_t processors = std::max(1U, std::thread::hardware_concurrency());
  self.mutable_capacity()->set_memory_bytes(options.memory.count() != 0
                                                ? options.memory.count()
                                                : kilobytes_of("MemTotal:") * 1024 / 4 * 3);
  self.mutable_capacity()->set_cpu_millicores(static_cast<std::uint32_t>(
      options.cpu_millicores != 0 ? options.cpu_millicores : processors * 1000));
  const auto gpus = handler.gpus();
  self.mutable_capacity()->set_gpus(
      static_cast<std::uint32_t>(options.gpus != 0 ? options.gpus : gpus.size()));
  if (!gpus.empty() &&
      std::ranges::find(options.accelerators, "cuda") == options.accelerators.end())
    self.mutable_capabilities()->add_accelerators("cuda");
  for (const auto& model : options.models) self.mutable_capabilities()->add_models(model);
  for (const auto& accelerator : options.accelerators)
    self.mutable_capabilities()->add_accelerators(accelerator);
  self.set_software_version("aloft/0.1.0");
  self.set_wasm_engine(runtime::Engine::description());
  self.set_cpu_features(handler.compiled_for());
  return self;
}

double load_of_the_machine() {
  double load = 0;
  const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
  return ::getloadavg(&load, 1) == 1 ? load / processors : 0;
}

// Null: nobody wants to.
Result<std::unique_ptr<ops::OpsServer>> serve_operators(const Options& options,
                                                        ops::Metrics& metrics,
                                                        std::function<Result<void>()> ready) {
  if (options.ops_listen.empty()) return nullptr;
  auto server = ops::OpsServer::listen(
      options.ops_listen,
      {.metrics = [&metrics] { return metrics.text(); }, .ready = std::move(ready)});
  if (!server) return fail(server.error().code, "ops_listen: " + server.error().message);
  std::printf("aloft-host: /metrics, /healthz and /readyz on port %u\n",
              static_cast<unsigned>((*server)->port()));
  return server;
}

// Waits for the sessions to go, until `limit` or another signal.
void drain(host::OffloadHandler& handler, const sigset_t& signals,
           std::chrono::milliseconds limit) {
  constexpr timespec kLook{0, 50'000'000};
  const auto until = std::chrono::steady_clock::now() + limit;
  while (handler.sessions() > 0 && std::chrono::steady_clock::now() < until) {
    const int signal = ::sigtimedwait(&signals, nullptr, &kLook);
    if (signal > 0 && signal != SIGHUP) return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  auto schema = schema_of(options);
  const auto loaded = schema.load(argc, argv, config::environment());
  if (!loaded) return say(loaded.error());
  if (*loaded == config::Schema::Outcome::shown) return 0;
  auto listen = net::Address::parse(options.listen);
  if (!listen) return say({Errc::invalid_argument, "listen: " + listen.error().message});
  ops::start_logging("aloft-host", options.log_level, ops::parse_log_format(options.log_format));
  rpc::log_as_this_program();
  const sigset_t signals = block_daemon_signals();
  auto credentials = load_credentials(options);
  if (!credentials) return say(credentials.error());

  allow_all_descriptors();
  auto parts = handler_options(options, *listen);
  if (!parts) return say(parts.error());
  auto handler = host::OffloadHandler::create(*std::move(parts));
  if (!handler) return say(handler.error());
  auto data_certificate =
      host::DataCertificate::watch(**handler, options.data_certificate, options.data_key);
  if (!data_certificate) return say(data_certificate.error());

  grpc::EnableDefaultHealthCheckService(true);
  host::RevokedCertificates revoked;
  host::HostService service(**handler, credentials->self.cluster, revoked);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(
      listen->to_string(),
      credentials->certificates->server(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY),
      &port);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (!server || port == 0)
    return say({Errc::unreachable, "listen: cannot listen on " + listen->to_string()});
  const std::string own = net::Address{options.advertise.empty() ? listen->host : options.advertise,
                                       static_cast<std::uint16_t>(port)}
                              .to_string();

  std::atomic<bool> draining = false;
  auto link = std::make_unique<host::ManagerLink>(
      host::ManagerLinkOptions{.managers = options.managers,
                               .credentials = [&] { return credentials->certificates->client(); },
                               .self = describe(options, own, **handler),
                               .is_revoked = [&](auto shown) { return revoked.covers(shown); }},
      [&](v1::HeartbeatRequest& beat) {
        beat.set_load(load_of_the_machine());
        beat.set_free_memory_bytes(kilobytes_of("MemAvailable:") * 1024);
        for (const Digest& module : (*handler)->compiled_modules())
          beat.add_compiled_modules("sha256:" + module.hex());
        beat.set_draining(draining);
        (*handler)->report(beat);
        beat.set_revoked_version(revoked.version());
        if (const auto now = (*handler)->cluster_time())
          beat.set_cluster_time_ms(static_cast<std::uint64_t>(now->count()));
      },
      [&, told = false](const v1::HeartbeatResponse& answer) mutable {
        (*handler)->hear(answer);
        revoked.hear(answer);
        if (std::exchange(told, true)) return;
        std::printf("aloft-host: registered, ready for sessions\n");
        std::fflush(stdout);
      });
  std::printf("aloft-host: %s of cluster %s, listening on %s\n", options.id.c_str(),
              credentials->self.cluster.c_str(), own.c_str());
  std::fflush(stdout);

  ops::Metrics metrics("aloft_host");
  host::add_host_metrics(
      metrics, **handler,
      {.known = [&] { return link->known(); }, .draining = [&] { return draining.load(); }});
  auto watched = serve_operators(options, metrics, [&]() -> Result<void> {
    if (draining) return fail(Errc::unreachable, "this host ends");
    if (!link->known()) return fail(Errc::unreachable, "no manager has answered in time");
    return {};
  });
  if (!watched) return say(watched.error());
  std::fflush(stdout);

  const int signal = wait_for_end(signals, [&] {
    (void)credentials->certificates->reload();
    (*data_certificate)->reload();
  });
  spdlog::info("signal {}: draining; again to end at once", signal);
  draining = true;
  (*handler)->drain();
  link->hurry(std::chrono::seconds(2));
  drain(**handler, signals, options.drain_limit);
  watched->reset();
  link.reset();
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  data_certificate->reset();
  (*handler)->end();
  return 0;
}
