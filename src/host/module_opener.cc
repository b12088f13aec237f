#include "host/module_opener.h"

#include <algorithm>
#include <thread>
#include <utility>

#include <spdlog/spdlog.h>

#include "host/call_counts.h"
#include "host/end_table.h"

namespace aloft::host {
namespace {

constexpr std::size_t kMaxWaitingRequests = 16;
// Of one session: a number is used once, since a credit for it may be unused when its module is
// closed, and a peer keeps credits of 4096 streams.
constexpr channel::StreamId kMaxCallStreams = 2048;
// Of each instance, at the least: one is received into while the other is computed.
constexpr std::size_t kBuffers = 2;
// Two at the least, so that not all calls wait behind a long one. More threads than processors only
// get in each other's way.
const std::uint32_t kUsefulInstances = std::max(2U, std::thread::hardware_concurrency());

}  // namespace

ModuleOpener::ModuleOpener(std::uint64_t session, const SessionServices& services,
                           const SessionRights* rights, channel::Endpoint& endpoint,
                           InferenceTurns& turns,
                           std::function<void(std::unique_ptr<OpenedModule>)> opened)
    : session_(session),
      services_(services),
      rights_(rights),
      endpoint_(endpoint),
      turns_(turns),
      opened_(std::move(opened)),
      thread_([this] { work(); }) {}

ModuleOpener::~ModuleOpener() { finish(); }

void ModuleOpener::finish() {
  stop();
  if (thread_.joinable()) thread_.join();
}

void ModuleOpener::open(function::OpenModule request) {
  const std::lock_guard lock(mutex_);
  if (requests_.size() >= kMaxWaitingRequests) {
    const auto head = function::encode(function::ModuleRefused{
        request.module_id,
        {Errc::overloaded, "too many modules are being opened in this session"}});
    (void)endpoint_.send({.stream = channel::kControlStream, .head = head, .body = {}});
    return;
  }
  requests_.push_back(std::move(request));
  wake_.notify_one();
}

void ModuleOpener::note_closed() {
  const std::lock_guard lock(mutex_);
  ++closed_;
}

void ModuleOpener::give_back(std::unique_ptr<OpenedModule> module) {
  const std::lock_guard lock(mutex_);
  std::erase_if(unsaid_, [&](const auto& one) { return one.second == module.get(); });
  given_back_.push_back(std::move(module));
  wake_.notify_one();
}

void ModuleOpener::stop() {
  upload_.stop();
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  wake_.notify_one();
}

std::optional<Digest> ModuleOpener::overdue(Clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  return now < load_by_ ? std::nullopt : loading_;
}

void ModuleOpener::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !requests_.empty() || !given_back_.empty(); });
    if (!given_back_.empty()) {
      auto over = std::exchange(given_back_, {});
      closed_ -= over.size();
      lock.unlock();
      for (const auto& module : over)
        spdlog::info("session {}: module {} is closed", session_, module->id);
      modules_ -= over.size();
      over.clear();
      lock.lock();
      continue;
    }
    if (stopping_) return;
    const function::OpenModule request = std::move(requests_.front());
    requests_.pop_front();
    lock.unlock();

    function::Message answer;
    auto made = make(request);
    std::uint64_t token = 0;
    if (made) {
      OpenedModule* const module = made->get();
      ops::log(spdlog::level::info,
               fmt::format("session {}: module {} {} is open, {} instances", session_, request.name,
                           request.digest, module->workers.size()),
               log_fields(rights_));
      answer = function::ModuleOpened{request.module_id, module->streams, services_.wasm_engine,
                                      services_.inference_engine,
                                      static_cast<std::uint32_t>(module->workers.size())};
      {
        // Before anybody can close it.
        const std::lock_guard saying(mutex_);
        token = ++last_token_;
        unsaid_.emplace(token, module);
      }
      opened_(*std::move(made));
    } else {
      count_refusal(request, made.error().code);
      spdlog::warn("session {}: module {} {} is refused: {}: {}", session_, request.name,
                   request.digest, to_string(made.error().code), made.error().message);
      answer = function::ModuleRefused{request.module_id, made.error()};
    }
    const auto head = function::encode(answer);
    if (endpoint_.send_quietly(
            {.stream = channel::kControlStream, .head = head, .body = {}, .token = token}) ==
        channel::Sending::done) {
      sent(token);
    }
    lock.lock();
  }
}

void ModuleOpener::count_refusal(const function::OpenModule& request, Errc why) const {
  const auto digest = Digest::parse(request.digest);
  if (services_.counts == nullptr || !digest) return;
  if (const auto counter = services_.counts->of(*digest)) counter->refused(why);
}

void ModuleOpener::sent(std::uint64_t token) {
  OpenedModule* module = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = unsaid_.find(token);
    if (found == unsaid_.end()) return;
    module = found->second;
    unsaid_.erase(found);
  }
  for (const auto& worker : module->workers) worker->open();
}

Result<std::unique_ptr<OpenedModule>> ModuleOpener::make(const function::OpenModule& request) {
  const SessionLimits& limits = services_.limits;
  std::size_t closed = 0;
  {
    const std::lock_guard lock(mutex_);
    closed = closed_;
  }
  // One that was closed takes no room soon, unless its UE goes on with calls all the same.
  if (modules_ - closed >= limits.modules || modules_ >= 2 * limits.modules) {
    return fail(Errc::overloaded,
                "this session has " + std::to_string(modules_) + " modules open already");
  }
  const auto digest = Digest::parse(request.digest);
  if (!digest)
    return fail(Errc::invalid_argument, "the module's digest: " + digest.error().message);
  if (auto allowed = services_.quarantine->check(*digest, "module"); !allowed)
    return std::unexpected(allowed.error());
  if (auto may = check_rights(request, *digest); !may) return std::unexpected(may.error());
  auto module = services_.repository->find(request.name, *digest);
  if (!module) return std::unexpected(module.error());
  const runtime::Manifest& manifest = *(*module)->manifest();
  if (auto checked = check_functions(request, manifest); !checked)
    return std::unexpected(checked.error());
  auto classes = find_classes(request, manifest);
  if (!classes) return std::unexpected(classes.error());
  auto models = get_models(request, manifest);
  if (!models) return std::unexpected(models.error());

  auto opened = std::make_unique<OpenedModule>();
  opened->id = request.module_id;
  opened->classes = *std::move(classes);
  opened->context = {.session = session_,
                     .endpoint = &endpoint_,
                     .turns = &turns_,
                     .module = *std::move(module),
                     .exports = {},
                     .models = *std::move(models),
                     .instance_limits = limits.instance,
                     .call_limit = limits.call,
                     .end_grace = limits.end_grace,
                     .log_fields = log_fields(rights_),
                     .held = services_.ends == nullptr ? nullptr : &services_.ends->held(),
                     .recording = services_.recording};
  if (services_.counts != nullptr) opened->context.counters.judged = services_.counts->of(*digest);
  if (services_.figures != nullptr)
    opened->context.counters.shown = services_.figures->of(request.name, *digest);
  for (const auto& function : request.functions)
    opened->context.exports.push_back(function.export_name);
  if (auto made = make_workers(request, *opened); !made) return std::unexpected(made.error());
  ++modules_;
  return opened;
}

Result<void> ModuleOpener::check_rights(const function::OpenModule& request,
                                        const Digest& digest) const {
  if (rights_ == nullptr || std::ranges::find(rights_->modules, digest) != rights_->modules.end())
    return {};
  return fail(Errc::refused, "the session's ticket is not for the module " + request.name +
                                 " sha256:" + digest.hex() +
                                 "; name it when the session is opened");
}

Result<std::uint32_t> ModuleOpener::share_out(std::uint32_t wanted, WorkerContext& context) const {
  if (rights_ == nullptr || rights_->memory_bytes == 0) return wanted;
  const bool has_classes = !context.module->manifest()->objects.empty();
  const MemoryShare share =
      share_memory(*rights_, wanted, context.instance_limits.memory_bytes, has_classes);
  if (share.instances == 0) {
    return fail(Errc::resource_exhausted,
                "the session has " + std::to_string(rights_->memory_bytes >> 20U) +
                    " MiB for all its modules, too little for an instance of each; ask for more "
                    "when it is opened");
  }
  context.instance_limits.memory_bytes = share.instance;
  if (has_classes) {
    rights_->ends->allow(context.module->digest(), share.ends);
    context.end_memory = rights_->ends.get();
  }
  return share.instances;
}

Result<void> ModuleOpener::check_functions(const function::OpenModule& request,
                                           const runtime::Manifest& manifest) const {
  for (const auto& wanted : request.functions) {
    const auto has = std::ranges::find(manifest.functions, wanted.export_name,
                                       &runtime::Manifest::Function::export_name);
    if (has == manifest.functions.end()) {
      return fail(Errc::not_found,
                  "the module " + request.name + " has no function " + wanted.export_name);
    }
    if (has->signature_hash != wanted.signature_hash) {
      return fail(Errc::signature_mismatch, "the module's " + has->name + " is " + has->signature +
                                                " (" + has->signature_hash.substr(0, 16) +
                                                "...), the application's has other types (" +
                                                wanted.signature_hash.substr(0, 16) +
                                                "...): build both from the same source");
    }
  }
  return {};
}

// A state that this class cannot take, or that the application's cannot, would be found out in the
// middle of a move.
Result<std::vector<std::uint32_t>> ModuleOpener::find_classes(
    const function::OpenModule& request, const runtime::Manifest& manifest) const {
  std::vector<std::uint32_t> classes;
  for (const auto& wanted : request.objects) {
    const auto has =
        std::ranges::find(manifest.objects, wanted.name, &runtime::Manifest::Object::name);
    if (has == manifest.objects.end())
      return fail(Errc::not_found, "the module " + request.name + " has no class " + wanted.name);
    if (has->state_hash != wanted.state_hash) {
      return fail(Errc::signature_mismatch, "the state of the module's " + has->name + " is " +
                                                has->state + " (" + has->state_hash.substr(0, 16) +
                                                "...), that of the application's is another (" +
                                                wanted.state_hash.substr(0, 16) +
                                                "...): it cannot be carried over");
    }
    classes.push_back(static_cast<std::uint32_t>(has - manifest.objects.begin()));
  }
  return classes;
}

Result<std::vector<NamedModel>> ModuleOpener::get_models(const function::OpenModule& request,
                                                         const runtime::Manifest& manifest) {
  std::vector<NamedModel> models;
  for (const std::string& graph : manifest.graphs) {
    const auto named = std::ranges::find(request.models, graph, &function::OpenModule::Model::name);
    if (named == request.models.end()) {
      return fail(Errc::invalid_argument,
                  "the module needs a model '" + graph + "', and the application named none");
    }
    const auto digest = Digest::parse(named->sha256);
    if (!digest)
      return fail(Errc::invalid_argument, "the model '" + graph + "': " + digest.error().message);
    auto model = get_model(request.module_id, *digest, named->size);
    if (!model) return std::unexpected(model.error());
    models.push_back({graph, *digest, *std::move(model)});
  }
  return models;
}

Result<std::shared_ptr<inference::Graph>> ModuleOpener::get_model(std::uint32_t module_id,
                                                                  const Digest& digest,
                                                                  std::uint64_t size) {
  const auto guarded = [&](auto load) {
    {
      const std::lock_guard lock(mutex_);
      loading_ = digest;
      load_by_ = Clock::now() + services_.limits.load;
    }
    auto loaded = load();
    const std::lock_guard lock(mutex_);
    loading_.reset();
    load_by_ = Clock::time_point::max();
    return loaded;
  };
  auto found = guarded([&] { return services_.models->find(digest); });
  if (!found || *found != nullptr) return found;

  if (auto admitted = services_.models->admit(digest, size); !admitted)
    return std::unexpected(admitted.error());
  spdlog::info("session {}: the model sha256:{} ({} bytes) is asked for", session_, digest.hex(),
               size);
  const auto limit = services_.limits.upload + std::chrono::seconds(size >> 20U);
  auto bytes = upload_.fetch(endpoint_, module_id, digest, size, limit);
  if (!bytes) return std::unexpected(bytes.error());
  return guarded([&] { return services_.models->add(digest, *bytes); });
}

Result<void> ModuleOpener::make_workers(const function::OpenModule& request, OpenedModule& module) {
  const std::uint32_t wanted = std::clamp(request.concurrency, 1U, services_.limits.instances);
  const auto count = share_out(std::min(wanted, kUsefulInstances), module.context);
  if (!count) return std::unexpected(count.error());
  const std::uint64_t capacity =
      request.argument_bytes != 0 ? request.argument_bytes : services_.limits.argument_bytes;
  // Fewer instances have as many buffers in all, where their memory has room.
  std::size_t buffers = (kBuffers * wanted + *count - 1) / *count;
  if (buffers * capacity > module.context.instance_limits.memory_bytes / 4) buffers = kBuffers;
  if (next_stream_ + *count * buffers > ModelUpload::kFirstCallStream + kMaxCallStreams) {
    return fail(Errc::overloaded,
                "too many modules were opened over this connection: the next one takes more");
  }
  std::vector<std::vector<channel::StreamId>> streams;
  for (std::uint32_t i = 0; i < *count; ++i) {
    std::vector<channel::StreamId> own(buffers);
    for (channel::StreamId& stream : own) stream = next_stream_++;
    auto worker = InstanceWorker::create(module.context, own, capacity);
    if (!worker) {
      // With fewer instances than were asked for the module is slower, and still of use.
      if (!module.workers.empty()) break;
      return std::unexpected(worker.error());
    }
    module.workers.push_back(*std::move(worker));
    streams.push_back(std::move(own));
  }
  for (std::size_t buffer = 0; buffer < buffers; ++buffer) {
    for (const auto& own : streams) module.streams.push_back(own[buffer]);
  }
  return {};
}

}  // namespace aloft::host
