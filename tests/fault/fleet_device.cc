// One device of cluster_faults_test: an application in a cluster that has frames at a steady rate,
// calls a pure function for each, and one of an elastic object for every tenth.
//
// It writes a line to its standard output for all that a test has to know, as it happens:
//
//   run 1180                                  microseconds that the function takes here
//   host h2 3                                 where its session is now, and under which generation
//   frame 17 edge 81533202881 4183 ok         number, where its result was made, when it was begun
//                                             (CLOCK_MONOTONIC, us), how long it took, and `ok` or
//                                             what was wrong
//   entry 2 here 81533202999 310 ok           the same of the object's calls
//   end 1200 ok                               how many frames there were; whether the object ended
//   in
//                                             the state that all its entries, in order, make
//
// SIGTERM ends it, with nothing left under way.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "ledger.aloft.h"
#include "ledger.h"
#include "support/text_file.h"
#include <aloft/cluster.h>
#include <aloft/object.h>
#include <aloft/runtime.h>

namespace {

using namespace std::chrono_literals;
using aloft::testing::read_text;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kFramesOfAnEntry = 10;

struct Options {
  std::vector<std::string> managers;
  std::string keys;
  std::chrono::milliseconds period{50};
  std::uint32_t rounds = 0;
  std::uint32_t cpu_millicores = 0;
  std::uint64_t memory_mib = 0;
  bool verbose = false;
};

void say(const std::string& line) {
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

std::int64_t microseconds(Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

std::uint32_t amount_of(std::uint64_t number) {
  return static_cast<std::uint32_t>(number * 2654435761U % 1000);
}

// "the session is at host h2 (10.77.0.3:4711), placement 3 of session ..." -> "host h2 3".
void tell_host(const std::string& line) {
  std::istringstream words(line.substr(line.find("at host ") + 8));
  std::string host;
  std::string address;
  std::string placement;
  std::uint64_t generation = 0;
  words >> host >> address >> placement >> generation;
  say("host " + host + " " + std::to_string(generation));
}

template <class Value>
void tell(const char* kind, std::uint64_t number, Clock::time_point begun,
          const aloft::Future<Value>& future, const std::string& outcome) {
  const aloft::CallRecord record = future.record();
  say(std::string(kind) + " " + std::to_string(number) + " " +
      std::string(aloft::to_string(record.place)) + " " +
      std::to_string(microseconds(begun.time_since_epoch())) + " " +
      std::to_string(microseconds(record.latency)) + " " + outcome);
}

// What is under way, the oldest first: an application shows its frames in order.
template <class Value>
struct UnderWay {
  std::uint64_t number;
  Clock::time_point begun;
  aloft::Future<Value> future;
};

class Device {
 public:
  explicit Device(const Options& options) : options_(options) {}

  // Until `stop`.
  void run(const std::atomic<bool>& stop) {
    std::jthread taker([this] { take_all(); });
    auto next = Clock::now();
    std::uint64_t number = 0;
    while (!stop) {
      ++number;
      const std::uint64_t entry = number % kFramesOfAnEntry == 0 ? number / kFramesOfAnEntry : 0;
      {
        const std::scoped_lock lock(mutex_);
        frames_.push_back({number, Clock::now(), ledger::toil_async(number, options_.rounds)});
        if (entry != 0)
          entries_.push_back({entry, Clock::now(), record_async(ledger_, entry, amount_of(entry))});
      }
      changed_.notify_all();
      next += options_.period;
      // One that was held up does not make up for it.
      next = std::max(next, Clock::now());
      std::this_thread::sleep_until(next);
    }
    {
      const std::scoped_lock lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    taker.join();
    say("end " + std::to_string(number) + " " +
        (ledger_.audit() == unmoved_.audit() ? "ok" : "wrong"));
  }
  [[nodiscard]] ledger::Ledger& ledger() { return ledger_; }

 private:
  void take_all() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ended_ || !frames_.empty() || !entries_.empty(); });
      if (frames_.empty() && entries_.empty()) return;
      if (!entries_.empty() &&
          (frames_.empty() || entries_.front().begun < frames_.front().begun)) {
        auto entry = std::move(entries_.front());
        entries_.pop_front();
        lock.unlock();
        const auto receipt = entry.future.get();
        tell("entry", entry.number, entry.begun, entry.future,
             !receipt                                    ? receipt.error().message
             : *receipt == unmoved_receipt(entry.number) ? "ok"
                                                         : "wrong");
      } else {
        auto frame = std::move(frames_.front());
        frames_.pop_front();
        lock.unlock();
        const auto stamp = frame.future.get();
        tell("frame", frame.number, frame.begun, frame.future,
             !stamp                                 ? stamp.error().message
             : *stamp == right_answer(frame.number) ? "ok"
                                                    : "wrong");
      }
    }
  }
  [[nodiscard]] ledger::Stamp right_answer(std::uint64_t number) const {
    const aloft::PlaceScope scope(aloft::Place::here);
    return ledger::toil(number, options_.rounds);
  }
  // Entries come in order, so that one object that never moves makes the answers of all.
  [[nodiscard]] ledger::Receipt unmoved_receipt(std::uint64_t number) {
    return unmoved_.record(number, amount_of(number));
  }

  const Options& options_;
  ledger::Ledger ledger_;
  ledger::Ledger unmoved_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<UnderWay<ledger::Stamp>> frames_;
  std::deque<UnderWay<ledger::Receipt>> entries_;
  bool ended_ = false;
};

int run(const Options& options) {
  // Before there is a second thread.
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);

  aloft::ClusterOptions where;
  where.managers = options.managers;
  where.authority = read_text(options.keys + "/ca.pem");
  where.certificate = read_text(options.keys + "/tenant-default.pem");
  where.key = read_text(options.keys + "/tenant-default.key");
  where.memory_bytes = options.memory_mib << 20U;
  where.cpu_millicores = options.cpu_millicores;
  auto cluster = aloft::join_cluster(std::move(where));
  if (!cluster) {
    std::fprintf(stderr, "error: %s\n", cluster.error().message.c_str());
    return 1;
  }
  aloft::RuntimeOptions wanted;
  wanted.cluster = *cluster;
  wanted.policy = aloft::remote_policy();
  wanted.call_timeout = 30s;
  wanted.log_level = options.verbose ? aloft::LogLevel::debug : aloft::LogLevel::info;
  wanted.log = [&](aloft::LogLevel, std::string_view text) {
    const std::string line(text);
    if (line.starts_with("the session is at host ")) tell_host(line);
    std::fprintf(stderr, "%lld %s\n",
                 static_cast<long long>(microseconds(Clock::now().time_since_epoch())),
                 line.c_str());
  };
  auto runtime = aloft::Runtime::create(std::move(wanted));
  if (!runtime) {
    std::fprintf(stderr, "error: %s\n", runtime.error().message.c_str());
    return 1;
  }
  aloft::bind(**runtime);
  // Out of the cache and into it: the second one counts.
  std::int64_t took = 0;
  for (int i = 0; i < 2; ++i) {
    const aloft::PlaceScope scope(aloft::Place::here);
    const auto begun = Clock::now();
    (void)ledger::toil(0, options.rounds);
    took = microseconds(Clock::now() - begun);
  }
  say("run " + std::to_string(took));
  if (auto ready = (*runtime)->wait_for_edge(60s); !ready) {
    std::fprintf(stderr, "error: %s\n", ready.error().message.c_str());
    return 1;
  }
  std::atomic<bool> stop = false;
  Device device(options);
  // From now on it is where the session is.
  if (auto moved = move_to(device.ledger(), aloft::Location::edge()); !moved)
    std::fprintf(stderr, "warning: %s\n", moved.error().message.c_str());
  std::jthread waiter([&] {
    int signal = 0;
    ::sigwait(&signals, &signal);
    stop = true;
  });
  device.run(stop);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int period_ms = 50;
  CLI::App app{"A device of cluster_faults_test"};
  app.add_option("--managers", options.managers, "HOST:PORT; several")->required()->delimiter(',');
  app.add_option("--keys", options.keys, "the cluster's folder")->required();
  app.add_option("--period-ms", period_ms, "between two frames");
  app.add_option("--rounds", options.rounds, "of the function's work");
  app.add_option("--cpu-millicores", options.cpu_millicores, "asked for");
  app.add_option("--memory-mib", options.memory_mib, "asked for");
  app.add_flag("--verbose", options.verbose, "all that the runtime logs");
  CLI11_PARSE(app, argc, argv);
  options.period = std::chrono::milliseconds(period_ms);
  return run(options);
}
