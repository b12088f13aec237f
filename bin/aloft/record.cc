// aloft record: has an edge of this user that runs keep the calls that it gets, until Ctrl-C or for
// some seconds, for aloft replay. The edge keeps them for as long as this command holds on to it
// (host/record_protocol.h), so nothing is left on when this ends, however it does. A worker of the
// edge that ends takes the recording with it: the next one is asked at once.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "commands.h"
#include "host/record_protocol.h"
#include "ops/user_socket.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using host::RecordGreeting;
using host::RecordSummary;

constexpr auto kPatience = 5s;     // for an answer of an edge
constexpr auto kNextWorker = 30s;  // for a worker that takes over
constexpr auto kListing = 500ms;   // for a greeting, of edges that are only listed

struct Options {
  pid_t process = 0;  // 0: the only one
  host::RecordRequest request;
  fs::path folder;
  std::optional<double> seconds;
};

// Ctrl-C, from here on no end of this process but something to wait for.
class Interrupt {
 public:
  Interrupt() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&signals, signal);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    from_ = Descriptor(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  [[nodiscard]] int descriptor() const { return from_.get(); }
  // It is no longer to be waited for.
  void take() { from_ = Descriptor(); }
  [[nodiscard]] bool taken() const { return !from_; }

 private:
  Descriptor from_;
};

enum class Said : std::uint8_t { line, nothing, interrupt, late };

// One worker of an edge.
class Edge {
 public:
  explicit Edge(Descriptor connection) : connection_(std::move(connection)) {}

  // The next line, unless the edge closes, `until` comes, or there is an interrupt before.
  Said wait(Interrupt& interrupt, Clock::time_point until, std::string& line) {
    for (;;) {
      if (const std::size_t end = read_.find('\n'); end != std::string::npos) {
        line = read_.substr(0, end);
        read_.erase(0, end + 1);
        return Said::line;
      }
      if (read_.size() > host::kMaxRecordLine) return Said::nothing;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
      if (left <= 0ms) return Said::late;
      std::array<pollfd, 2> waiting{pollfd{connection_.get(), POLLIN, 0},
                                    pollfd{interrupt.descriptor(), POLLIN, 0}};
      constexpr std::chrono::milliseconds kLongest = 1h;  // an int of them
      if (::poll(waiting.data(), waiting.size(),
                 static_cast<int>(std::min(left, kLongest).count())) < 0)
        continue;
      if (waiting[1].revents != 0) {
        interrupt.take();
        return Said::interrupt;
      }
      if (waiting[0].revents == 0) continue;
      std::array<char, 4096> room;
      const ssize_t size = ::read(connection_.get(), room.data(), room.size());
      if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) return Said::nothing;
      if (size > 0) read_.append(room.data(), static_cast<std::size_t>(size));
    }
  }
  [[nodiscard]] bool say(const std::string& line) const {
    return ::send(connection_.get(), line.data(), line.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(line.size());
  }
  void say_no_more() const { (void)::shutdown(connection_.get(), SHUT_WR); }

 private:
  Descriptor connection_;
  std::string read_;
};

// The parent of a process; 0: there is no such process.
pid_t parent_of(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string key; status >> key; std::getline(status, key)) {
    pid_t parent = 0;
    if (key == "PPid:" && status >> parent) return parent;
  }
  return 0;
}

struct Found {
  pid_t process = 0;
  RecordGreeting greeting;
};

// Edges of this user that run.
std::vector<Found> edges(Interrupt& interrupt) {
  std::vector<Found> found;
  for (const pid_t process : ops::processes_with(ops::user_folder(), host::kRecordSocket)) {
    auto connection =
        ops::connect_to(ops::user_socket(ops::user_folder(), process, host::kRecordSocket));
    if (!connection) continue;
    std::string line;
    if (Edge(*std::move(connection)).wait(interrupt, Clock::now() + kListing, line) != Said::line)
      continue;
    if (auto greeting = host::read_greeting(line)) found.push_back({process, *std::move(greeting)});
  }
  return found;
}

// The one that is meant: people may name a worker of it as well, or the `aloft dev` that started
// it.
Result<pid_t> choose_edge(pid_t named, Interrupt& interrupt) {
  const std::vector<Found> found = edges(interrupt);
  std::string they;
  for (const Found& each : found) {
    const bool started_it = named > 1 && named == parent_of(each.process);
    if (named == each.process || started_it || (named > 1 && parent_of(named) == each.process) ||
        (named == 0 && found.size() == 1))
      return each.process;
    they += " " + std::to_string(each.process) + " (" + each.greeting.edge + ")";
  }
  if (found.empty()) {
    return fail(Errc::not_found,
                "no edge of this user runs here: start one with aloft-exec, or with aloft dev");
  }
  return fail(named == 0 ? Errc::invalid_argument : Errc::not_found,
              (named == 0 ? std::string("which edge? These run:")
                          : std::to_string(named) + " is no edge of this user; these run:") +
                  they);
}

class Recorder {
 public:
  Recorder(const Options& options, pid_t process, Interrupt& interrupt)
      : options_(options), process_(process), interrupt_(interrupt) {}

  Result<void> run() {
    if (options_.seconds) {
      ends_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(*options_.seconds));
    }
    auto begun = begin(kPatience);
    if (!begun) return begun;
    std::fprintf(stderr, "aloft record: the calls at %s (process %d) are kept in %s; %s\n",
                 greeting_.edge.c_str(), process_, options_.folder.c_str(),
                 options_.seconds ? "Ctrl-C ends it earlier" : "Ctrl-C ends it");
    while (!is_over()) {
      hold_on();
      if (is_over()) break;
      edge_.reset();
      if (!begin(kNextWorker)) {
        if (!is_over()) std::fprintf(stderr, "aloft record: the edge has ended\n");
        break;
      }
      std::fprintf(stderr, "aloft record: another worker of the edge has taken over\n");
    }
    return {};
  }

  [[nodiscard]] const RecordSummary& summary() const { return summary_; }
  [[nodiscard]] const RecordGreeting& greeting() const { return greeting_; }
  [[nodiscard]] bool is_known() const { return is_known_; }

 private:
  [[nodiscard]] bool is_over() const { return interrupt_.taken() || Clock::now() >= ends_; }

  // Asks a worker of the edge. Errors: those that it says, unreachable.
  Result<void> begin(std::chrono::seconds patience) {
    auto connection =
        ops::connect_to(ops::user_socket(ops::user_folder(), process_, host::kRecordSocket));
    if (!connection) return std::unexpected(connection.error());
    edge_.emplace(*std::move(connection));
    const auto until = std::min(ends_, Clock::now() + patience);
    const auto nobody = [&] {
      return fail(Errc::unreachable, "process " + std::to_string(process_) + " does not answer");
    };
    std::string line;
    if (edge_->wait(interrupt_, until, line) != Said::line) return nobody();
    auto greeting = host::read_greeting(line);
    if (!greeting) return std::unexpected(greeting.error());
    greeting_ = *std::move(greeting);
    if (!edge_->say(to_line(options_.request))) return nobody();
    if (edge_->wait(interrupt_, Clock::now() + kPatience, line) != Said::line) return nobody();
    return host::read_begun(line);
  }

  // Until this is over, or the worker is.
  void hold_on() {
    std::string line;
    Said said = edge_->wait(interrupt_, ends_, line);
    if (said == Said::interrupt || said == Said::late) {
      edge_->say_no_more();
      said = edge_->wait(interrupt_, Clock::now() + kPatience, line);
    }
    const auto told = said == Said::line ? host::read_summary(line)
                                         : fail(Errc::unreachable, "it has ended without a word");
    is_known_ = told.has_value();
    if (!told) return;
    const std::uint64_t recorded = summary_.recorded + told->recorded;
    const std::uint64_t lost = summary_.lost + told->lost;
    summary_ = *told;
    summary_.recorded = recorded;
    summary_.lost = lost;
  }

  const Options& options_;
  const pid_t process_;
  Interrupt& interrupt_;
  Clock::time_point ends_ = Clock::time_point::max();
  std::optional<Edge> edge_;
  RecordGreeting greeting_;
  RecordSummary summary_;  // of all workers so far
  bool is_known_ = false;  // the last worker has said it
};

std::string counted(std::uint64_t calls) {
  return std::to_string(calls) + (calls == 1 ? " call" : " calls");
}

void print(const Options& options, const Recorder& recorder) {
  const RecordSummary& summary = recorder.summary();
  constexpr double kMib = 1 << 20;
  std::printf("%s recorded; %s in %s, %.1f MiB\n", counted(summary.recorded).c_str(),
              summary.calls == 1 ? "1 is" : (std::to_string(summary.calls) + " are").c_str(),
              options.folder.c_str(), static_cast<double>(summary.bytes) / kMib);
  if (!recorder.is_known())
    std::printf("  those of a worker that has crashed are not counted, but are there\n");
  if (summary.lost != 0)
    std::printf("  %s could not be written: %s\n", counted(summary.lost).c_str(),
                summary.why_lost.c_str());
  if (!summary.last.empty())
    std::printf("  aloft replay %s --repository %s\n",
                (options.folder / fs::path(summary.last).filename()).c_str(),
                recorder.greeting().repository.c_str());
}

Result<void> record(const Context& context, Options& options) {
  std::error_code error;
  options.request.folder = fs::absolute(options.folder, error).string();
  if (error) return fail(Errc::invalid_argument, options.folder.string() + ": " + error.message());
  Interrupt interrupt;
  const auto process = choose_edge(options.process, interrupt);
  if (!process) return std::unexpected(process.error());
  Recorder recorder(options, *process, interrupt);
  if (auto done = recorder.run(); !done) return done;
  if (!context.json) return print(options, recorder), Result<void>{};
  const RecordSummary& summary = recorder.summary();
  const nlohmann::ordered_json json = {{"pid", *process},
                                       {"folder", options.request.folder},
                                       {"recorded", summary.recorded},
                                       {"lost", summary.lost},
                                       {"calls", summary.calls},
                                       {"bytes", summary.bytes},
                                       {"last", summary.last},
                                       {"repository", recorder.greeting().repository}};
  std::printf("%s\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  return {};
}

}  // namespace

void add_record_command(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App* const at = app.add_subcommand(
      "record", "has an edge that runs keep the calls that it gets, for aloft replay");
  at->add_option("PROCESS", options->process,
                 "number of an aloft-exec of this user, or of the aloft dev that started it "
                 "(none: the only one)")
      ->check(CLI::PositiveNumber);
  at->add_option("--out", options->folder,
                 "folder to keep them in, with all that they carry; made when missing, for this "
                 "user alone")
      ->required();
  at->add_option("--calls", options->request.calls, "calls kept: the oldest go first")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  at->add_option("--mib", options->request.mib, "MiB of all of them")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  at->add_option("--function", options->request.functions,
                 "keep calls of this function alone (its qualified name; may be repeated)");
  at->add_flag_callback(
      "--failed", [options] { options->request.which = host::RecordRequest::Which::failed; },
      "keep calls alone that failed");
  at->add_option("--seconds", options->seconds, "ends after that time (default: with Ctrl-C)")
      ->check(CLI::Range(0.001, 1e6));
  at->callback([&context, options] {
    if (auto done = record(context, *options); !done) failed(context, done.error());
  });
}

}  // namespace aloft::cli
