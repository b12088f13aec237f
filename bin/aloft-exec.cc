// aloft-exec: an Execution Handler. Runs the guest functions of the UEs that connect.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/units.h"
#include "channel/tls.h"
#include "host/compile_job.h"
#include "host/execution_handler.h"
#include "host/process/bounded_log.h"
#include "host/process/listening_socket.h"
#include "host/process/supervisor.h"
#include "host/record_door.h"
#include "host/tenant_worker.h"
#include "inference/engine.h"
#include "net/address.h"
#include "ops/log.h"

namespace {

using namespace aloft;

constexpr int kUsageError = 2;
constexpr std::chrono::milliseconds kEndLimit{2500};

struct Options {
  std::string listen = "127.0.0.1:7411";
  std::string repository;
  std::string cache;
  bool insecure = false;
  channel::TlsFiles tls;
  std::shared_ptr<const channel::TlsContext> tls_context;
  int inference_threads = 1;
  std::string inference_device = "cpu";
  std::string inference_libraries;
  int inferences = 0;
  std::uint64_t max_memory_mib = 256;
  std::uint64_t call_limit_ms = 10'000;
  std::size_t max_sessions = 64;
  std::int64_t spin_us = 100;
  host::RecorderOptions record;
  std::uint64_t record_mib = 256;
};

int say_error(const std::string& message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return kUsageError;
}

std::filesystem::path default_cache() {
  if (const char* const cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') {
    return std::filesystem::path(cache) / "aloft" / "exec";
  }
  if (const char* const home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / ".cache" / "aloft" / "exec";
  }
  return {};
}

host::ExecutionHandlerOptions handler_options(const Options& options) {
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  const int room = std::max(2, processors / options.inference_threads);
  host::ExecutionHandlerOptions handler;
  handler.repository = options.repository;
  handler.cache = options.cache;
  handler.inference_threads = options.inference_threads;
  handler.inference_device =
      inference::parse_device(options.inference_device).value_or(inference::Device::cpu);
  handler.inference_libraries = options.inference_libraries;
  handler.inferences = options.inferences > 0 ? options.inferences : room;
  handler.max_sessions = options.max_sessions;
  handler.session.instance.memory_bytes = Bytes{options.max_memory_mib << 20U}.count();
  handler.session.call = std::chrono::milliseconds(options.call_limit_ms);
  handler.tls = options.tls_context;
  handler.spin = std::chrono::microseconds(options.spin_us);
  if (!options.record.folder.empty()) {
    handler.record = options.record;
    handler.record->bytes = Bytes{options.record_mib << 20U}.count();
  }
  std::random_device random;
  handler.boot_id = std::to_string((std::uint64_t{random()} << 32U) | random());
  return handler;
}

// A worker's part in `aloft record`. Without it the edge is as good.
class RecordHelp {
 public:
  // `socket` may be null.
  void begin(const host::RecordSocket* socket, const host::RecordDoorOptions& options,
             host::CallRecording& recording) {
    const std::lock_guard lock(mutex_);
    if (socket == nullptr || is_over_) return;
    auto door = host::RecordDoor::open(options, *socket, recording);
    if (door) {
      door_ = *std::move(door);
    } else {
      spdlog::warn("`aloft record` cannot ask: {}", door.error().message);
    }
  }
  // Whoever is here is sent to the next worker.
  void end() {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
    door_.reset();
  }

 private:
  std::mutex mutex_;
  bool is_over_ = false;
  std::unique_ptr<host::RecordDoor> door_;
};

// A worker process, from its start to its end.
int work(const Options& options, const host::ListeningSocket& socket,
         const host::RecordSocket* record, host::SupervisorLink& supervisor) {
  RecordHelp record_help;  // ends with the process, before or after the handler
  auto handler =
      host::ExecutionHandler::create(handler_options(options), {.hand_over =
                                                                    [&] {
                                                                      record_help.end();
                                                                      supervisor.hand_over();
                                                                    },
                                                                .end = [] { ::_exit(0); }});
  if (!handler) return say_error(handler.error().message);
  supervisor.ready();
  if (supervisor.wait_for_order() == host::SupervisorLink::Order::end) ::_exit(0);
  if (auto serving = (*handler)->serve(socket.duplicate()); !serving)
    return say_error(serving.error().message);
  std::error_code ignored;
  record_help.begin(record,
                    {.edge = socket.address().to_string(),
                     .repository = std::filesystem::absolute(options.repository, ignored).string()},
                    (*handler)->recording());
  while (supervisor.wait_for_order() != host::SupervisorLink::Order::end) {
  }
  record_help.end();
  (*handler)->close({Errc::unreachable, "going away: the edge ends"}, kEndLimit);
  ::_exit(0);  // a call that does not end is not waited for
}

// Null where there cannot be one.
std::unique_ptr<host::RecordSocket> open_record_socket() {
  auto socket = host::RecordSocket::open();
  if (socket) return *std::move(socket);
  spdlog::warn("`aloft record` cannot ask: {}", socket.error().message);
  return nullptr;
}

// As aloft-host starts it, which people never do: for one tenant, or to compile a module.
std::optional<int> run_for_host(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  if (arguments.empty()) return std::nullopt;
  if (arguments[0] == "--compile") return host::run_compile_job(std::span(arguments).subspan(1));
  constexpr std::size_t kArguments = 5;  // --log LEVEL FORMAT --tenant NAME
  if (arguments.size() != kArguments || arguments[3] != "--tenant") return std::nullopt;
  // What its guests print is as much as they like.
  ops::start_logging("aloft-exec", arguments[1], ops::parse_log_format(arguments[2]),
                     std::make_shared<host::BoundedLog>(
                         std::make_shared<spdlog::sinks::stderr_sink_mt>(), host::LogBounds{}));
  return host::serve_tenant({argv[kArguments], arguments.back().size()});
}

}  // namespace

int main(int argc, char** argv) {
  if (const auto status = run_for_host(argc, argv)) return *status;
  Options options;
  options.cache = default_cache().string();
  CLI::App app{"An aloft Execution Handler: runs offloaded functions for the devices that connect"};
  app.add_option("--listen", options.listen, "HOST:PORT to listen on; port 0 takes a free one")
      ->capture_default_str();
  app.add_option("--repository", options.repository,
                 "folder of the modules (*.wasm) that may run here")
      ->required();
  app.add_option("--cache", options.cache, "folder for compiled modules and models")
      ->capture_default_str();
  app.add_flag("--insecure", options.insecure,
               "allow to listen beyond the loopback interface, without any protection");
  app.add_option("--tls-cert", options.tls.certificate,
                 "PEM file of the certificate that devices are shown: TLS, and nothing in clear");
  app.add_option("--tls-key", options.tls.key, "PEM file of its private key");
  app.add_option("--tls-ca", options.tls.authority,
                 "PEM file of the authority whose certificate a device must show");
  app.add_option("--inference-threads", options.inference_threads, "threads of one inference")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--inference-device", options.inference_device,
                 "what inferences run on: cpu, cuda, or auto: cuda where it can be used")
      ->check(CLI::IsMember({"cpu", "cuda", "auto"}))
      ->capture_default_str();
  app.add_option("--inference-libraries", options.inference_libraries,
                 "folder of a GPU build of ONNX Runtime (default: beside the one in use)")
      ->check(CLI::ExistingDirectory);
  app.add_option("--inferences", options.inferences,
                 "inferences at a time; a session has one (default: what the processors have room "
                 "for, at least 2)")
      ->check(CLI::Range(1, 256));
  app.add_option("--max-memory", options.max_memory_mib, "MiB of memory of one guest instance")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--call-limit", options.call_limit_ms, "ms that a call may take")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  app.add_option("--spin-us", options.spin_us,
                 "microseconds that an instance looks for the next call before it sleeps, where "
                 "calls mostly come that soon; 0: it sleeps at once")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--max-sessions", options.max_sessions, "devices at a time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  CLI::Option* record = app.add_option(
      "--record", options.record.folder,
      "folder to keep the last calls in, with all that they carry, for aloft replay");
  app.add_option("--record-calls", options.record.calls, "calls kept")
      ->needs(record)
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--record-mib", options.record_mib, "MiB of all of them")
      ->needs(record)
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--record-function", options.record.functions,
                 "keep calls of this function alone (its qualified name; may be repeated)")
      ->needs(record);
  app.add_flag_callback(
         "--record-failed", [&] { options.record.which = host::RecorderOptions::Which::failed; },
         "keep calls alone that failed")
      ->needs(record);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return say_error(error.what());
  }

  if (options.inference_device == "cuda") {
    // Before anything starts; and without the driver, which no fork may follow.
    if (auto files = inference::check_cuda_files(options.inference_libraries); !files)
      return say_error(files.error().message);
  }
  if (!std::filesystem::is_directory(options.repository)) {
    return say_error("no such folder: " + options.repository + " (--repository)");
  }
  if (options.cache.empty()) return say_error("no folder for the cache: pass --cache DIR");
  const auto address = net::Address::parse(options.listen);
  if (!address) return say_error("--listen: " + address.error().message);
  const auto reach = host::ListeningSocket::reach_of(*address);
  if (!reach) return say_error("--listen: " + reach.error().message);
  if (!options.tls.certificate.empty() || !options.tls.key.empty() ||
      !options.tls.authority.empty()) {
    auto tls = channel::TlsContext::server(options.tls);
    if (!tls) return say_error(tls.error().message);
    options.tls_context = *std::move(tls);
  }
  // TLS with an authority checks who connects.
  const bool checks = options.tls_context && !options.tls.authority.empty();
  if (*reach == host::ListeningSocket::Reach::beyond && !checks) {
    if (!options.insecure) {
      return say_error("--listen " + options.listen +
                       " is reachable from other machines, and nothing here checks who "
                       "connects: listen on 127.0.0.1, give --tls-cert, --tls-key and --tls-ca, or "
                       "pass --insecure in "
                       "a network that you trust");
    }
    std::fprintf(stderr,
                 "warning: --insecure: anyone who reaches %s can run modules and read frames; no "
                 "authentication, no "
                 "encryption\n",
                 options.listen.c_str());
  }
  auto socket = host::ListeningSocket::open(*address);
  if (!socket) return say_error(socket.error().message);

  ops::start_logging("aloft-exec", "info", ops::LogFormat::text);
  const auto record_socket = open_record_socket();
  return host::supervise(
      [&](host::SupervisorLink& supervisor) {
        return work(options, *socket, record_socket.get(), supervisor);
      },
      [&] {
        std::printf("aloft-exec: listening on %s\n", socket->address().to_string().c_str());
        std::fflush(stdout);
      });
}
