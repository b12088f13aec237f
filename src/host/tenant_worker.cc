#include "host/tenant_worker.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "channel/tls.h"
#include "host/execution_handler.h"
#include "host/gate.h"
#include "inference/processors.h"
#include "inference/remote/remote_engine.h"
#include "ops/log.h"

namespace aloft::host {
namespace {

constexpr std::chrono::milliseconds kEndLimit{2500};
constexpr std::chrono::milliseconds kReportEvery{500};
const Error kGoingAway{Errc::unreachable, "going away: the edge ends"};

class TenantWorker {
 public:
  TenantWorker(TenantLink& link, TenantSetup setup, std::span<char> title)
      : link_(link), setup_(std::move(setup)), title_(title) {}

  // Errors: what keeps it from serving.
  Result<void> start() {
    // The key's file is out of reach from inside.
    auto tls = channel::TlsContext::server(
        {.certificate = setup_.certificate, .key = setup_.key, .authority = {}},
        channel::TlsContext::Clients::with_a_key);
    if (!tls) return std::unexpected(std::move(tls).error());
    ::tzset();
    if (setup_.inference_process.empty()) {
      if (auto looked = inference::look_at_processors(); !looked) return looked;
    }
    auto confined =
        enter_sandbox({.root = setup_.root,
                       .shown = {{setup_.modules, "modules"}, {setup_.compiled, "compiled"}},
                       .scratch_bytes = setup_.scratch_bytes,
                       .user = setup_.user,
                       .keep = {kLinkDescriptor, kSocketDescriptor},
                       .need = setup_.need});
    if (!confined) return std::unexpected(std::move(confined).error());
    if (auto allowed = allow_only(SystemCalls::serve); !allowed) {
      if (setup_.need == Need::everything) return allowed;
      confined->missing.push_back(allowed.error().message);
    }
    gate_ = std::make_shared<Gate>(GateOptions{
        .host = setup_.host, .boot_id = setup_.boot_id, .resume_key = setup_.resume_key});
    ExecutionHandlerOptions options;
    options.repository = confined->root ? *confined->root / "modules" : setup_.modules;
    options.compiled = confined->root ? *confined->root / "compiled" : setup_.compiled;
    options.cache = confined->root ? *confined->root / "scratch" : setup_.root / "scratch";
    options.cache_use = runtime::CacheUse::read_only;
    options.inference_threads = setup_.inference_threads;
    options.inferences = setup_.inferences;
    options.max_sessions = setup_.max_sessions;
    options.session.instance.memory_bytes = setup_.instance_memory;
    options.session.call = std::chrono::milliseconds(setup_.call_limit_ms);
    options.tls = *std::move(tls);
    options.boot_id = setup_.boot_id;
    options.gate = gate_;
    if (!setup_.inference_process.empty()) {
      inference_ = std::make_shared<inference::RemoteEngine>(
          inference::RemoteEngineOptions{.description = setup_.inference_process,
                                         .lost = [this] { (void)link_.send(WantInference{}); }});
      options.inference = inference_;
    }
    auto handler = ExecutionHandler::create(
        std::move(options),
        {.hand_over = [this] { (void)link_.send(HandOver{}); }, .end = [] { ::_exit(0); }});
    if (!handler) return std::unexpected(std::move(handler).error());
    handler_ = *std::move(handler);
    reporter_ = std::jthread([this](const std::stop_token& stop) { report(stop); });
    return link_.send(Ready{std::move(confined->missing)});
  }

  // Until it is told to end.
  void obey() {
    while (auto received = link_.receive()) {
      if (std::holds_alternative<End>(received->message)) {
        handler_->close(kGoingAway, kEndLimit);
        return;
      }
      if (std::holds_alternative<Inference>(received->message)) {
        take_inference(std::move(received->descriptor));
      } else {
        std::visit([this](auto& one) { take(one); }, received->message);
      }
    }
  }

 private:
  // What its calls came to, now and then.
  void report(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      (void)never.wait_for(lock, stop, kReportEvery, [] { return false; });
      for (const CountedCalls& counted : handler_->counts().take()) {
        if (!link_.send(counted)) handler_->counts().give_back(counted);
      }
      // What does not fit into the line now is gone: it is a matter of figures alone.
      for (auto& module : handler_->figures().take()) (void)link_.send(Figures{std::move(module)});
    }
  }

  void take(const ShowCertificate& shown) {
    auto tls = channel::TlsContext::server_of(
        {.certificate = shown.certificate, .key = shown.key, .authority = {}},
        channel::TlsContext::Clients::with_a_key);
    if (!tls) return spdlog::error("the renewed certificate is not used: {}", tls.error().message);
    handler_->show(*std::move(tls));
  }
  void take(const BelongTo& belong) {
    gate_->belong_to(belong.tenant);
    // Threads that have begun a line with the former one may go on with it.
    unnamed_log_ = spdlog::default_logger();
    spdlog::set_default_logger(unnamed_log_->clone("aloft-exec " + belong.tenant));
    std::ranges::fill(title_, '\0');
    std::ranges::copy(std::string_view(belong.tenant).substr(0, title_.size()), title_.begin());
  }
  void take(const TrustKeys& trust) {
    std::vector<identity::VerifyingKey> keys;
    for (const auto& raw : trust.keys) {
      if (auto key = identity::VerifyingKey::from_raw(raw)) keys.push_back(*std::move(key));
    }
    gate_->trust(std::move(keys));
  }
  void take(const TellTime& time) { gate_->hear_time(time.now); }
  void take(const Forget& forget) { gate_->forget_before(forget.before); }
  void take(const Place& place) {
    if (!place.released) {
      gate_->expect(place.session, place.generation, place.trace);
      ops::log(spdlog::level::info, fmt::format("placement {} is expected", place.generation),
               {{"session", place.session}, {"trace_id", place.trace}});
      return;
    }
    gate_->release(place.session, place.generation, place.at);
    handler_->end_placements(place.session, 0, place.generation,
                             {Errc::refused, "the session is over, or placed elsewhere"});
  }
  void take_inference(wire::Descriptor socket) {
    if (socket && inference_) inference_->connect(std::move(socket));
  }
  void take(const Serve&) {
    if (auto serving = handler_->serve(kSocketDescriptor); !serving) {
      spdlog::error("{}", serving.error().message);
      (void)link_.send(Failed{serving.error().message});
      ::_exit(1);
    }
  }
  template <class Other>
  void take(const Other&) {}  // not for a handler

  TenantLink& link_;
  const TenantSetup setup_;
  const std::span<char> title_;
  std::shared_ptr<spdlog::logger> unnamed_log_;
  std::shared_ptr<Gate> gate_;
  std::shared_ptr<inference::RemoteEngine> inference_;
  std::unique_ptr<ExecutionHandler> handler_;
  std::jthread reporter_;  // last: it uses all of the above
};

}  // namespace

int serve_tenant(std::span<char> title) {
  TenantLink link{wire::Descriptor(kLinkDescriptor)};
  auto first = link.receive();
  if (!first || !std::holds_alternative<TenantSetup>(first->message)) {
    spdlog::error("only aloft-host starts a process for a tenant");
    return 2;
  }
  TenantWorker worker(link, std::move(std::get<TenantSetup>(first->message)), title);
  if (auto started = worker.start(); !started) {
    (void)link.send(Failed{started.error().message});
    return 1;
  }
  worker.obey();
  ::_exit(0);  // a call that does not end is not waited for
}

}  // namespace aloft::host
