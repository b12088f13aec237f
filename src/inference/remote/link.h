// What a remote engine's graphs and executions share: the connection that there is now, and what
// happens between two of them.
//
// Its thread alone makes connections: it waits for the server's hello, loads the models that there
// are, and only then lets those go on who wait ("parked"). Private to this folder.
#pragma once

#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "inference/remote/connection.h"
#include "inference/remote/remote_engine.h"

namespace aloft::inference::remote {

// Waits for a connection. Neither may block.
class Waiter {
 public:
  virtual ~Waiter() = default;
  virtual void on_ready() = 0;
  virtual void on_no_connection(const Error& why) = 0;
};

class RemoteGraph;

// Thread rule: any thread.
class Link : public std::enable_shared_from_this<Link> {
 public:
  explicit Link(const RemoteEngineOptions& options) : options_(options) {}

  void start();
  void stop();  // waits for its thread; nobody gets a connection any more
  void connect(wire::Descriptor socket);

  // The connection that can be used, or null: `waiter` is told then, once.
  [[nodiscard]] std::shared_ptr<Connection> ready_or_park(std::shared_ptr<Waiter> waiter);
  [[nodiscard]] Result<std::shared_ptr<Graph>> load(std::span<const std::byte> model);
  [[nodiscard]] const RemoteEngineOptions& options() const { return options_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Parked {
    std::shared_ptr<Waiter> waiter;
    Clock::time_point until;
  };

  [[nodiscard]] Result<std::shared_ptr<Connection>> wait_until_ready(Clock::time_point until);
  void run();
  void make_connection(wire::Descriptor socket);
  [[nodiscard]] std::vector<std::shared_ptr<RemoteGraph>> graphs();
  void expire(std::unique_lock<std::mutex>& lock);

  const RemoteEngineOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  wire::Descriptor next_;                   // to be connected to
  std::shared_ptr<Connection> connection_;  // thread_'s: the last one, ready or not
  std::shared_ptr<Connection> ready_;       // null: none can be used now
  std::list<Parked> parked_;
  std::list<std::weak_ptr<RemoteGraph>> graphs_;
  const Connection* told_ = nullptr;  // that this one is lost
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace aloft::inference::remote
