// The device of moves_test: a program with an elastic object and an elastic channel, both with
// calls under way all the time, while it moves them about.
//
// It writes a line to its standard output before each move of the object, so that the test can act
// at that moment, and all answers and the final state to a file. With --stay it makes the same
// calls and never moves anything: that file is what the other one has to be.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <fstream>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "ledger.aloft.h"
#include "ledger.h"
#include <aloft/channel.h>
#include <aloft/object.h>
#include <aloft/runtime.h>

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kInFlight = 4;
constexpr auto kLongest = 60s;  // without a move that succeeds: edges are away for seconds

struct Options {
  std::vector<std::string> edges;
  std::string answers;
  std::uint64_t moves = 0;
  std::uint32_t seed = 1;
  bool stay = false;
  std::uint64_t calls = 0;     // with --stay
  std::uint64_t messages = 0;  // with --stay
};

std::uint32_t amount_of(std::uint64_t number) {
  return static_cast<std::uint32_t>(number * 2654435761U % 1000);
}

// All that was answered, in the order in which it was.
struct Answers {
  std::vector<ledger::Receipt> receipts;
  std::vector<ledger::Stamp> stamps;
  std::uint64_t audit = 0;

  [[nodiscard]] bool write(const std::string& path) const {
    std::ofstream file(path);
    for (const auto& receipt : receipts)
      file << "receipt " << receipt.number << ' ' << receipt.count << ' ' << receipt.chain << '\n';
    for (const auto& stamp : stamps) file << "stamp " << stamp.number << ' ' << stamp.seal << '\n';
    file << "audit " << audit << '\n' << std::flush;
    return file.good();
  }
};

void say(const std::string& line) {
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// What has gone wrong is said at once; the program then ends with a status that is not zero.
std::atomic<std::uint64_t> failures = 0;
void failed(const std::string& what) {
  ++failures;
  say("failure: " + what);
}

// Counts answers, and wakes who waits for a number of them.
class Progress {
 public:
  void add() {
    const std::scoped_lock lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  // False: nothing came for so long that something must be stuck.
  [[nodiscard]] bool wait_for_more(std::uint64_t more) {
    std::unique_lock lock(mutex_);
    const std::uint64_t wanted = count_ + more;
    return changed_.wait_for(lock, 30s, [&] { return count_ >= wanted; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t count_ = 0;
};

// Keeps kInFlight calls of the object under way until it is stopped.
void make_calls(ledger::Ledger& ledger, const std::stop_token& stop, Progress& progress,
                std::vector<ledger::Receipt>& receipts) {
  std::deque<aloft::Future<ledger::Receipt>> under_way;
  std::uint64_t next = 1;
  while (!stop.stop_requested() || !under_way.empty()) {
    while (under_way.size() < kInFlight && !stop.stop_requested()) {
      under_way.push_back(record_async(ledger, next, amount_of(next)));
      ++next;
    }
    if (under_way.empty()) break;
    const auto receipt = under_way.front().get();
    under_way.pop_front();
    if (receipt) {
      receipts.push_back(*receipt);
    } else {
      failed("call " + std::to_string(next - under_way.size() - 1) + ": " +
             receipt.error().message);
    }
    progress.add();
  }
}

using Channel = aloft::Channel<std::uint64_t, ledger::Stamp>;

// The same with messages of the channel.
void send_messages(Channel& channel, const std::stop_token& stop,
                   std::vector<ledger::Stamp>& stamps) {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  while (!stop.stop_requested() || received < sent) {
    while (sent - received < kInFlight && !stop.stop_requested()) {
      const auto sequence = channel.send(++sent);
      if (!sequence || *sequence != sent)
        return failed("message " + std::to_string(sent) + " was not taken");
    }
    if (received == sent) break;
    const auto stamp = channel.receive(30s);
    ++received;
    if (!stamp) return failed("message " + std::to_string(received) + " was lost");
    if (stamp->sequence != received)
      return failed("message " + std::to_string(received) + " was overtaken or doubled by " +
                    std::to_string(stamp->sequence));
    if (!stamp->result)
      return failed("message " + std::to_string(received) + ": " + stamp->result.error().message);
    stamps.push_back(*stamp->result);
  }
}

aloft::Location location(std::uint32_t number) {
  return number == 0 ? aloft::Location::here() : aloft::Location::edge(number - 1);
}

struct Moved {
  std::uint64_t done = 0;
  std::uint64_t refused = 0;  // the place was down, or was lost during the move
};

Moved move_about(const Options& options, ledger::Ledger& ledger, Channel& channel,
                 Progress& progress) {
  std::mt19937 random(options.seed);
  const auto places = static_cast<std::uint32_t>(options.edges.size()) + 1;
  const auto below = [&](std::uint32_t bound) {
    return static_cast<std::uint32_t>(random()) % bound;
  };
  Moved moved;
  std::uint32_t at = 0;
  auto last_success = std::chrono::steady_clock::now();
  for (std::uint64_t number = 1; moved.done < options.moves && failures == 0; ++number) {
    // A random moment: so many answers later, with others under way.
    if (!progress.wait_for_more(1 + below(40))) {
      failed("no answer in 30 s before move " + std::to_string(number));
      break;
    }
    const std::uint32_t to = (at + 1 + below(places - 1)) % places;
    say("move " + std::to_string(number) + " of " + std::to_string(moved.done));
    channel.move_to(location(below(places)), [](const auto&) {});
    const auto report = aloft::move_to(ledger, location(to));
    // After a loss it is here again, maybe without this loop having seen it.
    const auto now = std::chrono::steady_clock::now();
    if (report) {
      last_success = now;
      if (report->from != report->to) ++moved.done;
    } else {
      ++moved.refused;
      if (now - last_success > kLongest)
        failed("no move has succeeded for a minute; this one: " + report.error().message);
    }
    at = to;
  }
  return moved;
}

int move(const Options& options, Answers& answers) {
  aloft::RuntimeOptions wanted;
  wanted.edges = options.edges;
  wanted.log_level = aloft::LogLevel::warning;
  auto runtime = aloft::Runtime::create(std::move(wanted));
  if (!runtime) {
    failed(runtime.error().message);
    return 1;
  }
  aloft::bind(**runtime);
  {
    ledger::Ledger ledger;
    auto channel = Channel::open(&ledger::stamp);
    if (!channel) {
      failed("the channel: " + channel.error().message);
      return 1;
    }
    Progress progress;
    std::jthread caller(
        [&](const std::stop_token& stop) { make_calls(ledger, stop, progress, answers.receipts); });
    std::jthread sender(
        [&](const std::stop_token& stop) { send_messages(*channel, stop, answers.stamps); });
    const Moved moved = move_about(options, ledger, *channel, progress);
    caller.request_stop();
    sender.request_stop();
    caller.join();
    sender.join();
    answers.audit = ledger.audit();
    const aloft::ChannelStats stats = channel->stats();
    say("moved " + std::to_string(moved.done) + ", refused " + std::to_string(moved.refused) +
        "; the channel moved " + std::to_string(stats.moves) + ", was recovered " +
        std::to_string(stats.recoveries) + ", repeated " + std::to_string(stats.repeated) +
        ", suppressed " + std::to_string(stats.duplicates));
  }
  aloft::unbind();
  return 0;
}

// Without a runtime all runs here.
void stay(const Options& options, Answers& answers) {
  ledger::Ledger ledger;
  for (std::uint64_t number = 1; number <= options.calls; ++number)
    answers.receipts.push_back(ledger.record(number, amount_of(number)));
  for (std::uint64_t number = 1; number <= options.messages; ++number)
    answers.stamps.push_back(ledger::stamp(number));
  answers.audit = ledger.audit();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"The device of moves_test"};
  app.add_option("--edge", options.edges, "HOST:PORT; several");
  app.add_option("--answers", options.answers, "file for all answers")->required();
  app.add_option("--moves", options.moves, "moves of the object that must succeed");
  app.add_option("--seed", options.seed, "of the moves");
  app.add_flag("--stay", options.stay, "make the calls, and move nothing");
  app.add_option("--calls", options.calls, "with --stay");
  app.add_option("--messages", options.messages, "with --stay");
  CLI11_PARSE(app, argc, argv);

  Answers answers;
  if (options.stay) {
    stay(options, answers);
  } else if (const int status = move(options, answers); status != 0) {
    return status;
  }
  if (!answers.write(options.answers)) failed("cannot write " + options.answers);
  say("calls " + std::to_string(answers.receipts.size()));
  say("messages " + std::to_string(answers.stamps.size()));
  return failures == 0 ? 0 : 1;
}
