// aloft dev: a project at work while it is worked on. It builds the project, starts an edge and the
// program, and at each change of a source builds the modules again and hands the new versions to
// the program (aloft/live_modules.h), which has its edge take them between two calls. What does
// not build changes nothing. A change of more than what a module computes (types, other sources)
// takes a new program: it is built and started in place of the one that runs.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/wake_up.h"
#include "commands.h"
#include "config/folder_watch.h"
#include "daemon.h"
#include "project.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kStartLimit = 30s;

struct Options {
  fs::path source = ".";
  fs::path build = "build";
  std::string edge;    // HOST:PORT of one that runs; empty: one is started
  std::string record;  // a folder for the last calls; empty: none is kept
  std::vector<std::string> command;
};

void say(const std::string& line) { std::fprintf(stderr, "aloft dev: %s\n", line.c_str()); }

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string rounded(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", seconds);
  return text.data();
}

// Whether PATH leads to such a program.
bool is_installed(const std::string& program) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((fs::path(folder) / program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

// What this waits for: a signal, or a change of a file.
class Events {
 public:
  Events() {
    const sigset_t signals = block_signals();
    from_signals_ = Descriptor(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  struct Happened {
    bool end = false;      // somebody wants this to end
    bool child = false;    // some child has ended, perhaps
    bool changed = false;  // some file
  };
  enum class Until : std::uint8_t { anything, signal };
  // Blocks. A change of a file that is not waited for is told later.
  Happened wait(Until until) {
    std::array<pollfd, 2> waiting{pollfd{from_signals_.get(), POLLIN, 0},
                                  pollfd{from_files_.descriptor(), POLLIN, 0}};
    while (::poll(waiting.data(), until == Until::anything ? 2 : 1, -1) < 0) {
    }
    Happened happened;
    signalfd_siginfo info{};
    while (::read(from_signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo == SIGCHLD)
        happened.child = true;
      else
        happened.end = true;
    }
    if (until == Until::anything && waiting[1].revents != 0) {
      happened.changed = true;
      from_files_.clear();
    }
    return happened;
  }
  // From any thread.
  void change() const { from_files_.wake(); }

 private:
  Descriptor from_signals_;
  WakeUp from_files_;
};

class Session {
 public:
  explicit Session(Options options)
      : options_(std::move(options)), project_(options_.source, options_.build) {}

  // Until Ctrl-C, or until the program has ended. Errors: what is missing, what the first build
  // lacks, an edge that does not start.
  Result<void> run() {
    if (!fs::exists(project_.source() / "CMakeLists.txt"))
      return fail(Errc::not_found, (project_.source() / "CMakeLists.txt").string() +
                                       ": there is no such file; begin in a project's folder, or "
                                       "make one with aloft new NAME");
    const auto begin = Clock::now();
    files_ = project_.read_files();
    const auto first = build_all();
    if (!first) return std::unexpected(first.error());
    if (*first == Built::interrupted) return {};
    if (*first == Built::failed)
      return fail(Errc::internal, "the project does not build; what is wrong is above");
    if (auto watched = watch(); !watched) return watched;
    if (auto published = project_.publish(); !published) return std::unexpected(published.error());
    if (auto started = start_edge(); !started) return started;
    if (auto started = start_program(); !started) return started;
    say("the program runs, " + rounded(seconds_since(begin)) + " after the command; edge at " +
        options_.edge + ". Change a source; Ctrl-C ends this");
    return serve();
  }

 private:
  enum class Built : std::uint8_t { done, failed, interrupted };

  Result<void> serve() {
    for (;;) {
      const Events::Happened happened = events_.wait(Events::Until::anything);
      if (happened.end) return {};
      if (happened.changed) {
        const Result<Built> taken = take_changes();
        if (!taken) return std::unexpected(taken.error());
        if (*taken == Built::interrupted) return {};
      }
      // (A build takes the signals of its time.)
      if (auto there = look_after(); !there) return there;
    }
  }

  // Whether the edge is still there. A program that has ended is told of, and waits for a change.
  Result<void> look_after() {
    if (edge_ && edge_->ended())
      return fail(Errc::internal, "the edge has ended by itself; what it said is above");
    if (!program_) return {};
    if (const auto ended = program_->ended()) {
      program_.reset();
      say("the program has ended with " + ended->to_string() +
          "; it is started again after the next change");
    }
    return {};
  }

  Result<Built> take_changes() {
    const Files now = project_.read_files();
    for (fs::path& file : changes(files_, now)) pending_.insert(std::move(file));
    files_ = now;
    if (pending_.empty()) return Built::done;
    if (auto watched = watch(); !watched) return std::unexpected(watched.error());
    const auto begin = Clock::now();
    const Interfaces before = interfaces_;
    const bool is_module_alone = program_ && project_.are_of_modules(pending_);
    Result<Built> built = is_module_alone ? build_modules() : build_all();
    const bool is_new_program = !is_module_alone || interfaces_ != before;
    if (is_module_alone && is_new_program && built && *built == Built::done) {
      say("the types of a function have changed, which takes a new program");
      built = build_all();
    }
    if (!built) return built;
    if (*built != Built::done) {
      interfaces_ = before;
      if (*built == Built::failed) say("it does not build: the version before goes on serving");
      return built;
    }
    pending_.clear();
    const Result<std::size_t> published = project_.publish();
    if (!published) return std::unexpected(published.error());
    if (!is_new_program) {
      say(std::to_string(*published) + " new version" + (*published == 1 ? "" : "s") + ", " +
          rounded(seconds_since(begin)) + " after the change");
      return Built::done;
    }
    program_.reset();
    if (auto started = start_program(); !started) return std::unexpected(started.error());
    say("the program is started anew, " + rounded(seconds_since(begin)) + " after the change");
    return Built::done;
  }

  // A command whose output is this one's standard error. Errors: resource_exhausted.
  Result<Built> run_build(std::vector<std::string> arguments) {
    auto build = Daemon::start({.program = "/usr/bin/env",
                                .arguments = std::move(arguments),
                                .output = Daemon::Output::to_stderr});
    if (!build) return std::unexpected(build.error());
    for (;;) {
      if (const auto ended = build->ended()) return ended->well() ? Built::done : Built::failed;
      if (!events_.wait(Events::Until::signal).end) continue;
      build->terminate();  // the compilers as well
      return Built::interrupted;
    }
  }

  Result<Built> build_all() {
    const std::string source = project_.source().string();
    const std::string build = project_.build().string();
    if (!fs::exists(project_.build() / "CMakeCache.txt")) {
      std::vector<std::string> command{"cmake", "-S", source, "-B", build};
      if (std::getenv("CMAKE_GENERATOR") == nullptr && is_installed("ninja"))
        command.insert(command.end(), {"-G", "Ninja"});  // a machine may have no make
      const auto configured = run_build(std::move(command));
      if (!configured || *configured != Built::done) return configured;
    }
    return noting_interfaces(run_build({"cmake", "--build", build, "--parallel"}));
  }

  Result<Built> build_modules() {
    std::vector<std::string> command = {"cmake", "--build", project_.build().string(), "--parallel",
                                        "--target"};
    for (const std::string& module : project_.modules()) command.push_back(module + "_module");
    return noting_interfaces(run_build(std::move(command)));
  }

  Result<Built> noting_interfaces(Result<Built> built) {
    if (built && *built == Built::done) interfaces_ = project_.interfaces();
    return built;
  }

  // The folders of all sources that there are now.
  Result<void> watch() {
    std::vector<fs::path> files;
    for (const auto& [file, text] : files_) files.push_back(file);
    auto watch = config::FolderWatch::start(files, [this] { events_.change(); });
    if (!watch) return std::unexpected(watch.error());
    watch_ = *std::move(watch);
    return {};
  }

  Result<void> start_edge() {
    if (!options_.edge.empty()) return {};
    std::vector<std::string> arguments = {"--listen", "127.0.0.1:0", "--repository",
                                          project_.repository().string()};
    if (!options_.record.empty()) arguments.insert(arguments.end(), {"--record", options_.record});
    auto edge = Daemon::start({.program = "aloft-exec", .arguments = std::move(arguments)});
    if (!edge) return std::unexpected(edge.error());
    edge_.emplace(*std::move(edge));
    const auto line = edge_->wait_for("listening on ", kStartLimit);
    if (!line) return std::unexpected(line.error());
    options_.edge = last_word(*line);
    return {};
  }

  Result<void> start_program() {
    const std::string& program = options_.command.front();
    std::error_code ignored;
    if (!fs::exists(program, ignored))
      return fail(Errc::not_found,
                  program +
                      ": there is no such program after the build; say which to run: aloft "
                      "dev ./build/PROGRAM");
    auto started =
        Daemon::start({.program = program,
                       .arguments = {options_.command.begin() + 1, options_.command.end()},
                       .environment = {{"ALOFT_EDGE", options_.edge},
                                       {"ALOFT_MODULES", project_.live().string()}},
                       .output = Daemon::Output::inherited});
    if (!started) return std::unexpected(started.error());
    program_.emplace(*std::move(started));
    return {};
  }

  Options options_;
  Project project_;
  Events events_;
  Files files_;                 // as they were read last
  std::set<fs::path> pending_;  // changed since what runs was built
  Interfaces interfaces_;
  std::optional<Daemon> edge_;
  std::optional<Daemon> program_;
  std::unique_ptr<config::FolderWatch> watch_;  // last: it tells events_
};

}  // namespace

void add_dev_command(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  auto* const command = app.add_subcommand(
      "dev", "builds a project, runs it against an edge, and takes its changes while it runs");
  command->add_option("--source", options->source, "the project's folder")->capture_default_str();
  command->add_option("--build", options->build, "its build folder")->capture_default_str();
  command->add_option("--edge", options->edge,
                      "HOST:PORT of an edge that runs, with BUILD/aloft-dev/repository as its "
                      "repository; else one is started");
  command->add_option("--record", options->record,
                      "folder to keep the last calls in, for aloft replay");
  command->add_option("program", options->command, "the program to run, and its arguments")
      ->required();
  command->positionals_at_end();
  command->callback([&context, options] {
    if (options->command.front().find('/') == std::string::npos)
      options->command.front().insert(0, "./");
    if (auto ended = Session(*options).run(); !ended) failed(context, ended.error());
  });
}

}  // namespace aloft::cli
