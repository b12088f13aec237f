// One client of the inference process: what it has, and what it may have. All that it says is
// checked here; what breaks the rules ends its connection.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "inference/service/batch_queue.h"
#include "inference/service/crash_journal.h"
#include "inference/service/job.h"
#include "inference/service/model_table.h"
#include "inference/service/runner.h"

namespace aloft::inference::service {

enum class Accelerator : std::uint8_t { no, yes };

// Of one connection.
struct ClientLimits {
  std::uint64_t memory = std::uint64_t{1} << 30U;  // bytes, shared
  std::uint64_t models = std::uint64_t{2} << 30U;  // bytes of their files
  std::size_t graphs = 64;
  std::size_t memories = 1024;  // so as many requests at a time
  Accelerator accelerator = Accelerator::no;
};

// Thread rule: one thread, that of the service, unless stated otherwise.
class Client {
 public:
  struct Services {
    BatchQueue& queue;
    Runner& runner;
    ModelTable& models;
    CrashJournal* journal;  // null: none
    std::function<void(const std::string& tenant, const std::string& line)> log;
    std::function<void()> wake;  // the service's thread looks at its clients
  };

  Client(std::string tenant, const ClientLimits& limits, wire::Descriptor socket,
         const std::string& engine, const Services& services);
  // Its requests are cancelled; waits for a model that is being loaded, which cannot be
  // interrupted: see loading_since().
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] const std::string& tenant() const { return tenant_; }
  [[nodiscard]] int socket() const { return line_->socket(); }

  // Reads what has come, a bounded number of packets. Errors: the client is to be dropped, with the
  // reason; unreachable: it has gone by itself.
  [[nodiscard]] Result<void> read();
  // Takes over what its thread has loaded.
  void collect();
  // Cancels all; the thread ends as soon as it can. Dropping the client then does not wait if
  // finished().
  void end();
  [[nodiscard]] bool finished() const;
  // A load under way, and for how long. Any thread.
  struct Loading {
    Digest model;
    std::chrono::steady_clock::time_point since;
  };
  [[nodiscard]] std::optional<Loading> loading() const;

 private:
  struct LoadTask {
    remote::Load request;
    std::shared_ptr<ClientMemory> memory;
  };
  struct Graph {
    std::shared_ptr<ServedModel> model;
    std::uint64_t bytes = 0;
  };
  struct LoadedTask {
    std::uint32_t call = 0;
    Result<Graph> graph;
  };
  struct Place {
    std::shared_ptr<ClientMemory> memory;
    std::shared_ptr<ServedModel> last;  // whose user it is, in the queue
    std::shared_ptr<Job> job;           // the latest
  };

  [[nodiscard]] Result<void> take(const remote::Message& message);
  [[nodiscard]] Result<void> take(const remote::MakeMemory& wish);
  [[nodiscard]] Result<void> take(const remote::Load& load);
  [[nodiscard]] Result<void> take(const remote::Compute& compute);
  [[nodiscard]] Result<void> take(const remote::Cancel& cancel);
  [[nodiscard]] Result<void> take(const remote::DropGraph& drop);
  [[nodiscard]] Result<void> take(const remote::DropMemory& drop);
  template <class Other>
  [[nodiscard]] Result<void> take(const Other&);

  void refuse(std::uint32_t call, const Error& why);
  void use(Place& place, const std::shared_ptr<ServedModel>& model);
  void give_up(Place& place);
  void work();  // its thread: loads, and tries out
  [[nodiscard]] Result<Graph> load(const LoadTask& task);

  const std::string tenant_;
  const ClientLimits limits_;
  const std::shared_ptr<ClientLine> line_;
  const Services services_;
  std::map<std::uint32_t, Place> memories_;
  std::map<std::uint32_t, Graph> graphs_;
  std::uint64_t memory_bytes_ = 0;
  std::uint64_t model_bytes_ = 0;
  std::uint32_t last_number_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<LoadTask> to_load_;
  std::deque<std::shared_ptr<ServedModel>> to_try_;
  std::deque<LoadedTask> loaded_;
  std::optional<Loading> loading_;
  std::stop_source stop_;
  bool ending_ = false;
  bool finished_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aloft::inference::service
