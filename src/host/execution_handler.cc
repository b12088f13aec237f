#include "host/execution_handler.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <spdlog/spdlog.h>

#include "function/coded_arguments.h"
#include "function/fields.h"
#include "runtime/engine.h"
#include <aloft/codec/writer.h>

namespace aloft::host {
namespace {

constexpr std::string_view kSoftware = "aloft/0.1.0";
constexpr std::chrono::milliseconds kWatchEvery{50};
// What is overdue has to be so at this many looks in a row: a process that was stopped for a while,
// or got no processor, would find everything overdue at the first one.
constexpr int kLooks = 4;
constexpr std::chrono::milliseconds kFarewell{
    300};  // for the last messages of a process that gives way

// Without a secret it says none.
std::vector<std::byte> make_hello(const SessionServices& services, const std::string& boot_id,
                                  std::span<const std::byte> resume_secret) {
  codec::Writer writer;
  const std::pair<std::string_view, std::string_view> fields[] = {
      {"role", "execution_handler"},
      {"software", kSoftware},
      {"engine", services.wasm_engine},
      {"inference", services.inference_engine},
      {"boot_id", boot_id}};
  writer.map(std::size(fields) + 1 + (resume_secret.empty() ? 0 : 1));
  for (const auto& [name, value] : fields) {
    writer.string(name);
    writer.string(value);
  }
  writer.string(function::kImageCodecs);
  writer.array(1);
  writer.string(function::kJpeg);
  if (!resume_secret.empty()) {
    writer.string("resume_secret");
    writer.binary(resume_secret);
  }
  std::vector<std::byte> bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

}  // namespace

Result<std::unique_ptr<ExecutionHandler>> ExecutionHandler::create(ExecutionHandlerOptions options,
                                                                   Succession succession) {
  std::unique_ptr<ExecutionHandler> handler(
      new ExecutionHandler(std::move(options), std::move(succession)));
  if (auto started = handler->start(); !started) return std::unexpected(started.error());
  return handler;
}

ExecutionHandler::ExecutionHandler(ExecutionHandlerOptions options, Succession succession)
    : options_(std::move(options)),
      succession_(std::move(succession)),
      quarantine_(options_.cache / "quarantine") {}

Result<void> ExecutionHandler::start() {
  inference_ = options_.inference;
  if (!inference_) {
    auto inference = inference::make_engine({.threads = options_.inference_threads,
                                             .concurrency = std::max(1, options_.inferences),
                                             .device = options_.inference_device,
                                             .libraries = options_.inference_libraries});
    if (!inference) return std::unexpected(inference.error());
    inference_ = *std::move(inference);
  }

  std::error_code error;
  std::filesystem::create_directories(options_.cache, error);
  if (error)
    return fail(Errc::internal,
                "cannot make the folder " + options_.cache.string() + ": " + error.message());
  auto engine = runtime::Engine::create(
      {.cache_dir = options_.compiled.empty() ? options_.cache / "modules" : options_.compiled,
       .cache_use = options_.cache_use});
  if (!engine) return std::unexpected(engine.error());
  engine_ = *std::move(engine);

  auto repository = Repository::open(options_.repository, *engine_);
  if (!repository) return std::unexpected(repository.error());
  repository_ = *std::move(repository);
  models_ = std::make_unique<ModelStore>(*inference_, quarantine_,
                                         ModelStoreOptions{.folder = options_.cache / "models"});
  ends_ = std::make_unique<EndTable>(options_.ends);
  if (options_.record) {
    if (auto begun = recording_.begin(*options_.record); !begun) return begun;
  }
  services_ = {.repository = repository_.get(),
               .models = models_.get(),
               .quarantine = &quarantine_,
               .ends = ends_.get(),
               .counts = &counts_,
               .figures = &figures_,
               .recording = &recording_,
               .wasm_engine = runtime::Engine::description(),
               .inference_engine = inference_->description(),
               .limits = options_.session};
  hello_ = make_hello(services_, options_.boot_id, {});
  reaper_ = std::thread([this] { reap(); });
  watch_ = std::thread([this] { watch(); });
  return {};
}

ExecutionHandler::~ExecutionHandler() {
  close({Errc::unreachable, "going away: the edge ends"}, std::chrono::milliseconds::max());
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  if (reaper_.joinable()) reaper_.join();
  // No session uses them any more; what runs in them is watched until it has ended.
  if (ends_) ends_->close();
  {
    const std::lock_guard lock(mutex_);
    unwatched_ = true;
    changed_.notify_all();
  }
  if (watch_.joinable()) watch_.join();
}

Result<net::Address> ExecutionHandler::serve(int socket) {
  auto listener = channel::listen_inherited(
      io_, socket, {.hello = hello_, .look = options_.spin, .tls = options_.tls}, *this);
  if (!listener) return std::unexpected(listener.error());
  const std::lock_guard lock(listener_mutex_);
  listener_ = *std::move(listener);
  return listener_->address();
}

void ExecutionHandler::show(std::shared_ptr<const channel::TlsContext> tls) {
  const std::lock_guard lock(listener_mutex_);
  if (listener_) listener_->show(std::move(tls));
}

void ExecutionHandler::close(const Error& why, std::chrono::milliseconds limit) {
  {
    const std::lock_guard lock(listener_mutex_);
    listener_.reset();  // waits for a connection that is being accepted
  }
  // Not under the mutex, which the I/O thread takes when a session has ended.
  for (const auto& session : sessions()) session->close(why);
  std::unique_lock lock(mutex_);
  const auto gone = [this] { return sessions_.empty(); };
  if (limit == std::chrono::milliseconds::max()) {
    changed_.wait(lock, gone);
  } else {
    changed_.wait_for(lock, limit, gone);
  }
}

void ExecutionHandler::end_placements(std::string_view session, std::uint64_t first,
                                      std::uint64_t last, const Error& why) {
  for (const auto& one : sessions()) {
    const auto& rights = one->rights();
    if (rights && rights->session == session && rights->generation >= first &&
        rights->generation <= last)
      one->close(why);
  }
}

std::vector<std::shared_ptr<Session>> ExecutionHandler::sessions() {
  const std::lock_guard lock(mutex_);
  return sessions_;
}

// --- I/O thread ------------------------------------------------------------------------

Result<channel::Receiver*> ExecutionHandler::accept(std::span<const std::byte> peer_hello,
                                                    const channel::PeerInfo& peer) {
  function::FieldReader fields(peer_hello, "hello");
  std::string role;
  fields.get("role", role);
  if (!fields.ok()) return std::unexpected(fields.error());
  if (role != "ue")
    return fail(Errc::refused, "this is an Execution Handler, which serves UEs only");

  std::shared_ptr<const SessionRights> rights;
  accepted_hello_.clear();
  if (options_.gate) {
    auto admitted = options_.gate->admit(peer_hello, peer.key);
    if (!admitted) {
      spdlog::warn("{} is not let in: {}", peer.address, admitted.error().message);
      return std::unexpected(std::move(admitted).error());
    }
    rights = std::make_shared<const SessionRights>(std::move(admitted->rights));
    if (!admitted->resume_secret.empty())
      accepted_hello_ = make_hello(services_, options_.boot_id, admitted->resume_secret);
    // A device has one link for a placement: with the next one the last one is dead, or one ticket
    // would be good for any number. The placement before this one goes on until it is released: the
    // device leaves it once it can use this one.
    end_placements(rights->session, rights->generation, rights->generation,
                   {Errc::unreachable, "going away: the session has come with another connection"});
  }

  const std::lock_guard lock(mutex_);
  if (sessions_.size() >= options_.max_sessions) {
    return fail(Errc::overloaded, "this edge serves " + std::to_string(sessions_.size()) +
                                      " sessions and takes no more");
  }
  accepted_ = std::make_shared<Session>(++last_session_, std::string(peer.address), services_,
                                        std::move(rights), [this] {
                                          const std::lock_guard inner(mutex_);
                                          changed_.notify_all();
                                        });
  return accepted_.get();
}

std::vector<std::byte> ExecutionHandler::hello_for(channel::Receiver*) {
  return std::exchange(accepted_hello_, {});
}

void ExecutionHandler::ready(channel::Receiver*, std::unique_ptr<channel::Endpoint> endpoint) {
  accepted_->start(std::move(endpoint));
  const std::lock_guard lock(mutex_);
  sessions_.push_back(std::move(accepted_));
}

// --- own threads -----------------------------------------------------------------------

void ExecutionHandler::reap() {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto ended =
        std::ranges::find_if(sessions_, [](const auto& session) { return session->ended(); });
    if (ended == sessions_.end()) {
      if (ending_) return;
      changed_.wait(lock);
      continue;
    }
    // It stays in the list meanwhile: what runs in it may be what does not end.
    std::shared_ptr<Session> session = *ended;
    lock.unlock();
    session->finish();
    lock.lock();
    std::erase(sessions_, session);
    lock.unlock();
    session.reset();
    lock.lock();
    changed_.notify_all();
  }
}

std::optional<Stuck> ExecutionHandler::stuck(Clock::time_point now) const {
  for (const auto& session : sessions_) {
    if (auto stuck = session->stuck(now)) return stuck;
  }
  const auto end = ends_->overdue(now);
  if (!end) return std::nullopt;
  return Stuck{.session = end->session,
               .blamed = end->model.value_or(end->module),
               .what = (end->model ? "an inference of the model sha256:" + end->model->hex()
                                   : "a call into the module sha256:" + end->module.hex()),
               .call = std::nullopt,
               .end = end->key};
}

void ExecutionHandler::watch() {
  int looks = 0;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kWatchEvery, [this] { return unwatched_; })) {
    const auto now = Clock::now();
    const std::optional<Stuck> stuck = this->stuck(now);
    looks = stuck ? looks + 1 : 0;
    if (looks < kLooks) continue;
    lock.unlock();
    give_way(*stuck);
    return;
  }
}

void ExecutionHandler::give_way(const Stuck& stuck) {
  const std::string reason = stuck.what + " did not end when it was told to";
  spdlog::error("session {}: {}; this worker gives way to another", stuck.session, reason);
  if (auto added = quarantine_.add(stuck.blamed, reason); !added)
    spdlog::error("{}", added.error().message);
  {
    const std::lock_guard lock(listener_mutex_);
    listener_.reset();
  }
  succession_.hand_over();
  const Error error{Errc::deadline_exceeded, reason + "; it is in quarantine at this edge now"};
  if (stuck.end) ends_->give_up(*stuck.end, error);
  for (const auto& session : sessions()) {
    if (session->id() == stuck.session) session->answer_for(stuck, error);
  }
  close({Errc::unreachable, "going away: " + reason + ", so this process is replaced"}, kFarewell);
  succession_.end();
}

}  // namespace aloft::host
