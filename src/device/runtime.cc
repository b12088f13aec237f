#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "base/digest.h"
#include "channel/tls.h"
#include "device/explain/document.h"
#include "device/explain/socket.h"
#include "device/explain/timeline.h"
#include "device/local_models.h"
#include "device/notifier.h"
#include "device/offload_handler.h"
#include "device/outlook.h"
#include "function/binding.h"
#include "net/address.h"
#include <aloft/cluster.h>
#include <aloft/runtime.h>

namespace aloft {
namespace {

function::Log::Sink log_to_stderr() {
  // A logger of our own, not one of spdlog's registry: two runtimes, or an application's own
  // logger, do not meet.
  auto logger = std::make_shared<spdlog::logger>(
      "aloft", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_level(spdlog::level::trace);  // function::Log has left out what is not wanted
  logger->set_pattern("[%T.%e] aloft %^%l%$: %v");
  return [logger](LogLevel level, std::string_view line) {
    constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                     spdlog::level::warn, spdlog::level::err};
    logger->log(kLevels[static_cast<std::size_t>(level)], "{}", line);
  };
}

Result<void> check(const RuntimeOptions& options) {
  if (options.inference_threads < 1 || options.local_workers < 1) {
    return fail(Errc::invalid_argument, "a runtime needs at least one thread of each kind");
  }
  if (options.max_in_flight < 1) return fail(Errc::invalid_argument, "max_in_flight is at least 1");
  if (options.call_timeout <= std::chrono::milliseconds(0)) {
    return fail(Errc::invalid_argument, "call_timeout is longer than nothing");
  }
  if (options.cluster != nullptr && !options.edges.empty()) {
    return fail(Errc::invalid_argument,
                "RuntimeOptions: either edges or a cluster, which gives the edges itself");
  }
  if (options.max_calls < 1) return fail(Errc::invalid_argument, "max_calls is at least 1");
  if (options.edges.size() > function::kMaxEdges) {
    return fail(Errc::invalid_argument,
                "a runtime has at most " + std::to_string(function::kMaxEdges) + " edges");
  }
  return {};
}

// `what` begins each message.
Result<void> check(const std::string& what, const FunctionDescriptor& function,
                   const ImageCodec& images) {
  const bool is_jpeg = images.coding.format != ImageFormat::raw;
  if (!images.is_automatic() && !is_jpeg) return {};
  if (function.object != nullptr)
    return fail(Errc::invalid_argument,
                what + "is a method: its calls may be repeated, and so their images go raw");
  if (!images.is_automatic()) {
    if (images.coding.quality >= 1 && images.coding.quality <= 100) return {};
    return fail(Errc::invalid_argument, what + "has images of a JPEG quality outside 1 to 100");
  }
  if (function.once)
    return fail(Errc::invalid_argument,
                what + "has effects: an automatic image codec would run it twice to compare");
  const auto is_share = [](double value) { return value >= 0 && value <= 1; };
  if (!is_share(images.most_loss) || !is_share(images.check_share))
    return fail(Errc::invalid_argument,
                what + "has an image codec with a loss or a share of checks outside 0 to 1");
  if (function.loss_between == nullptr)
    return fail(Errc::invalid_argument,
                what + "was built without what compares its results: build it again");
  const auto compared = function.loss_between(images.loss, {}, {});
  if (!compared && compared.error().code == Errc::invalid_argument)
    return fail(Errc::invalid_argument, what +
                                            "has an image codec whose loss is of results of "
                                            "another type than the function's");
  return {};
}

Result<void> check(std::string_view name, const FunctionSettings& settings) {
  const FunctionDescriptor* known = nullptr;
  std::string names;
  for (const ModuleDescriptor* const module : function::registered_modules()) {
    for (const FunctionDescriptor& function : module->functions) {
      if (function.qualified_name == name) known = &function;
      names.append(names.empty() ? "" : ", ").append(function.qualified_name);
    }
  }
  const std::string what = "RuntimeOptions::functions: '" + std::string(name) + "' ";
  if (known == nullptr) {
    return fail(Errc::invalid_argument,
                what + "is no elastic function of this program" +
                    (names.empty() ? ", which has none" : "; these are: " + names));
  }
  constexpr std::chrono::nanoseconds kNothing{0};
  if (settings.deadline && *settings.deadline <= kNothing)
    return fail(Errc::invalid_argument, what + "has a deadline that is no longer than nothing");
  if (auto ok = check(what, *known, settings.images); !ok) return ok;
  if (!settings.hedge) return {};
  if (*settings.hedge < kNothing)
    return fail(Errc::invalid_argument, what + "is hedged before it begins");
  if (settings.fallback == Fallback::none)
    return fail(Errc::invalid_argument, what + "is hedged here, and has no fallback here");
  if (known->once || known->object != nullptr)
    return fail(Errc::invalid_argument,
                what + "has effects: it cannot be hedged, which runs it twice");
  return {};
}

Result<void> check(const std::map<std::string, FunctionSettings>& functions) {
  for (const auto& [name, settings] : functions) {
    if (auto ok = check(name, settings); !ok) return ok;
  }
  return {};
}

const ModuleDescriptor* find_module(std::string_view name) {
  for (const ModuleDescriptor* const module : function::registered_modules()) {
    if (module->name == name) return module;
  }
  return nullptr;
}

// The modules of this program, each under the digest that the edge is asked for.
Result<std::vector<function::ModuleToOpen>> modules_to_open(
    const std::map<std::string, std::filesystem::path>& files) {
  std::vector<function::ModuleToOpen> modules;
  std::size_t named = 0;
  for (const ModuleDescriptor* const module : function::registered_modules()) {
    function::ModuleToOpen to_open{
        .module = module, .digest = std::string(module->digest), .graphs = {}};
    to_open.graphs.assign(module->graphs.begin(), module->graphs.end());
    if (const auto file = files.find(std::string(module->name)); file != files.end()) {
      const auto digest = sha256_file(file->second);
      if (!digest) return std::unexpected(digest.error());
      to_open.digest = "sha256:" + digest->digest.hex();
      ++named;
    }
    modules.push_back(std::move(to_open));
  }
  if (named < files.size()) {
    std::string message =
        "RuntimeOptions::modules names a module that is not part of this program:";
    for (const auto& [name, path] : files) message.append(" ").append(name);
    return fail(Errc::invalid_argument, std::move(message));
  }
  return modules;
}

}  // namespace

class Runtime::Impl {
 public:
  Impl(RuntimeOptions options, device::LocalModels models,
       std::vector<function::SessionOptions> edges)
      : log_(options.log_level, options.log ? std::move(options.log) : log_to_stderr()),
        models_(std::move(models)),
        notifier_({.roots = {.sys = options.sys, .proc = options.proc},
                   .links = [this] { return links(); }}),
        outlook_(options.prediction, options.local_workers, notifier_) {
    if (!options.policy) options.policy = local_policy();
    if (options.explain) timeline_.emplace();
    const Needs needs = options.policy->needs();
    policy_name_ = options.policy->name();
    function::DispatchOptions dispatch{
        .policy = std::move(options.policy),
        .functions = {options.functions.begin(), options.functions.end()},
        .call_timeout = options.call_timeout,
        .local_workers = options.local_workers,
        .max_calls = options.max_calls,
        .digest_tensors = options.digest_tensors,
        .on_call = std::move(options.on_call),
        .foresight = &outlook_,
        .timeline = timeline_ ? &*timeline_ : nullptr};
    if (options.cluster == nullptr) {
      handler_.emplace(std::move(dispatch), std::move(edges), models_.graphs, log_);
    } else {
      handler_.emplace(std::move(dispatch),
                       device::ClusterSlotsOptions{.client = std::move(options.cluster),
                                                   .modules = wanted(edges.front().modules),
                                                   .drain = options.call_timeout},
                       std::move(edges.front()), models_.graphs, log_);
    }
    outlook_.watch(needs);
  }
  // Nobody looks at the links any more when they go.
  ~Impl() {
    explain_.reset();
    tell_timeline_.reset();
    outlook_.watch(Needs::nothing);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void set_policy(std::shared_ptr<Policy> policy) {
    if (!policy) policy = local_policy();
    outlook_.watch(policy->needs());
    {
      const std::lock_guard lock(policy_mutex_);
      policy_name_ = policy->name();
    }
    handler_->dispatcher().set_policy(std::move(policy));
  }

  void let_explain() {
    using device::About;
    auto made = device::ExplainSocket::listen(About::decisions, [this] { return explanation(); });
    if (made) {
      explain_ = *std::move(made);
      made = device::ExplainSocket::listen(About::timeline, [this] { return timeline(); });
    }
    if (made) {
      tell_timeline_ = *std::move(made);
    } else {
      log_(LogLevel::warning, "`aloft explain` cannot ask: " + made.error().message);
    }
  }

  [[nodiscard]] const device::LocalModels& models() const { return models_; }
  [[nodiscard]] device::OffloadHandler& handler() { return *handler_; }

 private:
  [[nodiscard]] std::vector<device::Notifier::LinkCount> links() const {
    std::vector<device::Notifier::LinkCount> counts;
    for (std::size_t edge = 0; edge < handler_->edges(); ++edge) {
      const function::RemoteSession& session = *handler_->session(edge);
      const channel::EndpointStats stats = session.stats();
      counts.push_back({.up = session.is_ready(),
                        .round_trip = stats.round_trip,
                        .tx_bytes = stats.tx_bytes,
                        .rx_bytes = stats.rx_bytes,
                        .segments = stats.segments,
                        .resent = stats.resent});
    }
    return counts;
  }

  [[nodiscard]] std::string explanation() {
    device::Explanation all{.program = device::this_program(),
                            .policy = {},
                            .edges = links(),
                            .functions = outlook_.last(),
                            .decisions = handler_->dispatcher().recent_decisions()};
    {
      const std::lock_guard lock(policy_mutex_);
      all.policy = policy_name_;
    }
    return device::document(all);
  }

  [[nodiscard]] std::string timeline() const {
    std::vector<std::chrono::nanoseconds> round_trips;
    for (const auto& link : links()) round_trips.push_back(link.round_trip);
    return device::timeline_document(device::this_program(), timeline_->recent(), round_trips);
  }

  static std::vector<device::ModuleWanted> wanted(
      const std::vector<function::ModuleToOpen>& modules) {
    std::vector<device::ModuleWanted> all;
    for (const auto& module : modules)
      all.push_back({std::string(module.module->name), module.digest});
    return all;
  }

  const function::Log log_;
  const device::LocalModels models_;
  device::Notifier notifier_;
  device::Outlook outlook_;
  std::mutex policy_mutex_;
  std::string policy_name_;
  std::optional<function::CallTimeline> timeline_;  // of the dispatcher
  std::optional<device::OffloadHandler> handler_;
  std::unique_ptr<device::ExplainSocket> explain_;
  std::unique_ptr<device::ExplainSocket> tell_timeline_;
};

Runtime::Runtime(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Runtime::~Runtime() = default;

Result<std::unique_ptr<Runtime>> Runtime::create(RuntimeOptions options) {
  if (auto ok = check(options); !ok) return std::unexpected(std::move(ok.error()));
  if (auto ok = check(options.functions); !ok) return std::unexpected(std::move(ok.error()));
  std::vector<function::SessionOptions> edges;
  if (options.cluster != nullptr) {
    auto modules = modules_to_open(options.modules);
    if (!modules) return std::unexpected(std::move(modules.error()));
    function::SessionOptions& slot = edges.emplace_back();
    slot.modules = *std::move(modules);
    slot.limits = {.calls = options.max_in_flight, .waiting = options.max_waiting};
  } else if (!options.edges.empty()) {
    auto modules = modules_to_open(options.modules);
    if (!modules) return std::unexpected(std::move(modules.error()));
    std::shared_ptr<const channel::TlsContext> tls;
    if (!options.tls_authority.empty() || !options.tls_certificate.empty()) {
      auto made = channel::TlsContext::client({.certificate = options.tls_certificate,
                                               .key = options.tls_key,
                                               .authority = options.tls_authority});
      if (!made) return std::unexpected(std::move(made.error()));
      tls = *std::move(made);
    }
    for (const std::string& text : options.edges) {
      auto address = net::Address::parse(text);
      if (!address) return std::unexpected(std::move(address.error()));
      function::SessionOptions& edge = edges.emplace_back();
      edge.edge = *std::move(address);
      edge.modules = *modules;
      edge.limits = {.calls = options.max_in_flight, .waiting = options.max_waiting};
      edge.link.tls = tls;
      edge.link.look = options.spin;
    }
  }
  auto models = device::load_models(options.models, {.threads = options.inference_threads,
                                                     .concurrency = options.local_workers,
                                                     .device = options.inference_device,
                                                     .libraries = options.inference_libraries});
  if (!models) return std::unexpected(std::move(models.error()));
  for (function::SessionOptions& edge : edges) edge.models = models->files;
  const bool explain = options.explain;
  std::unique_ptr<Runtime> runtime(new Runtime(
      std::make_unique<Impl>(std::move(options), *std::move(models), std::move(edges))));
  if (auto started = runtime->impl_->handler().start(); !started)
    return std::unexpected(std::move(started.error()));
  if (explain) runtime->impl_->let_explain();
  return runtime;
}

Result<void> Runtime::wait_for_edge(std::chrono::milliseconds timeout, std::size_t edge) {
  if (auto* const cluster = impl_->handler().cluster(); cluster != nullptr && edge < edge_count())
    return cluster->wait_ready(timeout);
  const auto* const session = impl_->handler().session(edge);
  if (session != nullptr) return session->wait_ready(timeout);
  return fail(Errc::invalid_argument,
              edge == 0 ? "the runtime was made without an edge"
                        : "the runtime was made without an edge " + std::to_string(edge));
}

Result<void> Runtime::wait_for_edge(std::chrono::milliseconds timeout) {
  // The two edges of a cluster are one.
  if (edge_count() <= 1 || impl_->handler().cluster() != nullptr) return wait_for_edge(timeout, 0);
  return impl_->handler().wait_for_any(timeout);
}

bool Runtime::edge_ready() const {
  for (std::size_t edge = 0; edge < edge_count(); ++edge) {
    if (edge_ready(edge)) return true;
  }
  return false;
}

bool Runtime::edge_ready(std::size_t edge) const {
  const auto* const session = impl_->handler().session(edge);
  return session != nullptr && session->is_ready();
}

std::size_t Runtime::edge_count() const { return impl_->handler().edges(); }

std::string Runtime::wasm_engine(std::size_t edge) const {
  const auto* const session = impl_->handler().speaking_session(edge);
  return session == nullptr ? std::string() : session->wasm_engine();
}

std::string Runtime::inference_engine() const {
  const auto& engine = impl_->models().engine;
  return engine == nullptr ? std::string() : engine->description();
}

std::string Runtime::edge_inference_engine(std::size_t edge) const {
  const auto* const session = impl_->handler().speaking_session(edge);
  return session == nullptr ? std::string() : session->inference_engine();
}

std::string Runtime::model_sha256(std::string_view graph_name) const {
  const auto& files = impl_->models().files;
  const auto model = std::ranges::find(files, graph_name, &function::ModelFile::graph);
  return model == files.end() ? std::string() : model->sha256;
}

Runtime::LinkBytes Runtime::link_bytes() const {
  LinkBytes all;
  for (std::size_t edge = 0; edge < edge_count(); ++edge) {
    const LinkBytes one = link_bytes(edge);
    all.tx += one.tx;
    all.rx += one.rx;
  }
  return all;
}

Runtime::LinkBytes Runtime::link_bytes(std::size_t edge) const {
  const auto* const session = impl_->handler().session(edge);
  if (session == nullptr) return {};
  const auto stats = session->stats();
  return {.tx = stats.tx_bytes, .rx = stats.rx_bytes};
}

std::vector<DecisionRecord> Runtime::recent_decisions() const {
  return impl_->handler().dispatcher().recent_decisions();
}

void Runtime::set_policy(std::shared_ptr<Policy> policy) { impl_->set_policy(std::move(policy)); }

Result<UpgradeReport> Runtime::upgrade(std::string_view module, const std::filesystem::path& file,
                                       const UpgradeOptions& options) {
  const ModuleDescriptor* const known = find_module(module);
  if (known == nullptr) {
    return fail(Errc::invalid_argument,
                "'" + std::string(module) + "' is no elastic module of this program");
  }
  const auto digest = sha256_file(file);
  if (!digest) return std::unexpected(digest.error());
  // Which of the models it uses, the module itself says.
  function::ModuleToOpen next{
      .module = known, .digest = "sha256:" + digest->digest.hex(), .graphs = {}};
  for (const function::ModelFile& model : impl_->models().files) next.graphs.push_back(model.graph);
  return impl_->handler().dispatcher().upgrade(std::move(next), options);
}

std::string Runtime::module_digest(std::string_view module) const {
  const ModuleDescriptor* const known = find_module(module);
  if (known == nullptr) return {};
  const auto* const session = impl_->handler().session(0);
  return session == nullptr ? std::string(known->digest) : session->module_digest(*known);
}

void bind(Runtime& runtime) { runtime.impl_->handler().bind(); }
void unbind() { function::unbind_dispatcher(nullptr); }

}  // namespace aloft
