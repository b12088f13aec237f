#include "inference/remote/link.h"

#include <algorithm>
#include <utility>

#include "inference/remote/remote_graph.h"

namespace aloft::inference {

RemoteEngine::RemoteEngine(RemoteEngineOptions options)
    : options_(std::move(options)), link_(std::make_shared<remote::Link>(options_)) {
  link_->start();
}
RemoteEngine::~RemoteEngine() { link_->stop(); }
void RemoteEngine::connect(wire::Descriptor socket) { link_->connect(std::move(socket)); }
Result<std::shared_ptr<Graph>> RemoteEngine::load_onnx(std::span<const std::byte> model) {
  return link_->load(model);
}
std::string RemoteEngine::description() const { return options_.description; }

}  // namespace aloft::inference

namespace aloft::inference::remote {
namespace {

constexpr std::chrono::milliseconds kHelloLimit{5'000};
constexpr int kMostLosses = 2;

Error nobody() {
  return {Errc::unreachable, "there is no inference process (aloft-infer) at this host now"};
}

}  // namespace

void Link::start() {
  thread_ = std::thread([this] { run(); });
}

void Link::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (connection_) connection_->end();
    changed_.notify_all();
  }
  thread_.join();
}

void Link::connect(wire::Descriptor socket) {
  const std::lock_guard lock(mutex_);
  next_ = std::move(socket);
  // What waits for an answer of the last one is told at once.
  if (connection_) connection_->end();
  changed_.notify_all();
}

std::shared_ptr<Connection> Link::ready_or_park(std::shared_ptr<Waiter> waiter) {
  {
    const std::lock_guard lock(mutex_);
    if (ready_ && !ready_->ended()) return ready_;
    if (!stopping_) {
      parked_.push_back({std::move(waiter), Clock::now() + options_.patience});
      changed_.notify_all();
      return nullptr;
    }
  }
  waiter->on_no_connection(nobody());
  return nullptr;
}

Result<std::shared_ptr<Connection>> Link::wait_until_ready(Clock::time_point until) {
  std::unique_lock lock(mutex_);
  const auto usable = [this] { return ready_ && !ready_->ended(); };
  changed_.wait_until(lock, until, [&] { return stopping_ || usable(); });
  if (stopping_ || !usable()) return std::unexpected(nobody());
  return ready_;
}

Result<std::shared_ptr<Graph>> Link::load(std::span<const std::byte> model) {
  const auto graph = std::make_shared<RemoteGraph>(
      shared_from_this(), std::vector<std::byte>(model.begin(), model.end()));
  for (int losses = 0;;) {
    auto connection = wait_until_ready(Clock::now() + options_.patience);
    if (!connection) return std::unexpected(connection.error());
    auto loaded = graph->load(*connection);
    if (loaded) {
      const std::lock_guard lock(mutex_);
      // A connection made meanwhile has loaded the models that it knew of.
      if (ready_ == *connection) {
        graphs_.push_back(graph);
        return graph;
      }
    } else if (loaded.error().code != Errc::unreachable) {
      return std::unexpected(loaded.error());
    }
    if (++losses == kMostLosses) {
      return fail(Errc::unreachable,
                  "the inference process ended while it loaded this model, twice");
    }
  }
}

std::vector<std::shared_ptr<RemoteGraph>> Link::graphs() {
  const std::lock_guard lock(mutex_);
  std::erase_if(graphs_, [](const auto& graph) { return graph.expired(); });
  std::vector<std::shared_ptr<RemoteGraph>> all;
  for (const auto& weak : graphs_) {
    if (auto graph = weak.lock()) all.push_back(std::move(graph));
  }
  return all;
}

// --- its thread ------------------------------------------------------------------------

void Link::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (connection_ && connection_->ended() && !next_ && told_ != connection_.get()) {
      ready_.reset();
      told_ = connection_.get();
      if (options_.lost) {
        lock.unlock();
        options_.lost();
        lock.lock();
        continue;
      }
    }
    if (next_) {
      wire::Descriptor socket = std::move(next_);
      ready_.reset();
      lock.unlock();
      make_connection(std::move(socket));
      lock.lock();
      continue;
    }
    expire(lock);
    if (stopping_ || next_) continue;
    if (parked_.empty()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, parked_.front().until);
    }
  }
  ready_.reset();
  auto connection = std::move(connection_);
  auto parked = std::move(parked_);
  lock.unlock();
  if (connection) connection->finish();
  for (const Parked& one : parked) one.waiter->on_no_connection(nobody());
}

void Link::expire(std::unique_lock<std::mutex>& lock) {
  std::list<Parked> late;
  const auto now = Clock::now();
  while (!parked_.empty() && parked_.front().until <= now)
    late.splice(late.end(), parked_, parked_.begin());
  if (late.empty()) return;
  lock.unlock();
  for (const Parked& one : late) one.waiter->on_no_connection(nobody());
  lock.lock();
}

void Link::make_connection(wire::Descriptor socket) {
  const std::weak_ptr<Link> self = weak_from_this();
  auto connection = std::make_shared<Connection>(std::move(socket), [self] {
    const auto link = self.lock();
    if (!link) return;
    const std::lock_guard lock(link->mutex_);
    link->changed_.notify_all();
  });
  std::shared_ptr<Connection> last;
  {
    const std::lock_guard lock(mutex_);
    last = std::exchange(connection_, connection);
    told_ = nullptr;
    if (stopping_ || next_) connection->end();
  }
  if (last) last->finish();
  if (!connection->hello(kHelloLimit)) return connection->end();
  for (const auto& graph : graphs()) {
    // One that cannot be loaded says so to those who use it; the others go on.
    (void)graph->load(connection);
    if (connection->ended()) return;
  }
  std::list<Parked> parked;
  {
    const std::lock_guard lock(mutex_);
    if (next_ || connection->ended()) return;
    ready_ = connection;
    parked.swap(parked_);
    changed_.notify_all();
  }
  for (const Parked& one : parked) one.waiter->on_ready();
}

}  // namespace aloft::inference::remote
