// `./dev cluster`: a cluster of several hosts, managers and members of etcd on this machine, each
// in a network namespace, to try things with, and to break it and watch. What tests have too
// (tests/support/cluster_in_namespaces.h), for people.
//
// It runs until Ctrl-C or SIGTERM, and takes commands on its standard input meanwhile; with --run
// it runs a command in the cluster, and ends with that one's status. Either way it leaves nothing:
// no process, no namespace, no folder. What a run left that was killed, the next one removes.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cluster_in_namespaces.h"
#include "test_paths.h"

namespace {

namespace fs = std::filesystem;
using aloft::Result;
using aloft::testing::ClusterInNamespaces;
using aloft::testing::ClusterLayout;

constexpr int kFailed = 1;
constexpr int kUsageError = 2;
constexpr std::string_view kPrefix = "aloft-cluster-";

struct Options {
  ClusterLayout layout;
  std::vector<std::string> run;
};

int say_error(const std::string& message, int status = kFailed) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return status;
}

// A folder with this process's number in its name, gone with everything in it at the end.
class OwnFolder {
 public:
  OwnFolder()
      : path_(fs::temp_directory_path() / (std::string(kPrefix) + std::to_string(::getpid()))) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(fs::temp_directory_path(), error)) {
      if (is_left_over(entry.path().filename().string())) fs::remove_all(entry.path(), error);
    }
    fs::remove_all(path_, error);
    fs::create_directories(path_);
    fs::permissions(path_, fs::perms::owner_all);
  }
  OwnFolder(const OwnFolder&) = delete;
  OwnFolder& operator=(const OwnFolder&) = delete;
  ~OwnFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  static bool is_left_over(const std::string& name) {
    if (!name.starts_with(kPrefix)) return false;
    pid_t owner = 0;
    const char* const end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + kPrefix.size(), end, owner);
    return read.ec == std::errc() && read.ptr == end && owner > 0 && ::kill(owner, 0) != 0 &&
           errno == ESRCH;
  }
  const fs::path path_;
};

// FOLDER/in COMMAND... runs it in the cluster's network, from any terminal.
fs::path write_entry(const ClusterInNamespaces& cluster, const fs::path& folder) {
  const fs::path file = folder / "in";
  std::ofstream script(file);
  script << "#!/bin/sh\n# in COMMAND...   runs it in the cluster's network\n";
  for (const auto& [name, value] : cluster.environment()) {
    script << "export " << name << "='" << value << "'\n";
  }
  script << "exec";
  for (const std::string& word : cluster.on("device", {})) script << " '" << word << "'";
  script << " \"$@\"\n" << std::flush;
  script.close();
  fs::permissions(file, fs::perms::owner_all);
  return file;
}

void explain(const ClusterInNamespaces& cluster, const fs::path& in) {
  const std::string keys = cluster.keys().string();
  std::string managers;
  for (const std::string& manager : cluster.managers())
    managers += (managers.empty() ? "" : ",") + manager;
  std::cout << "aloft: a cluster is up:";
  for (const std::string& name : cluster.names()) {
    std::cout << " " << name;
    if (const auto pid = cluster.pid(name)) std::cout << " (process " << *pid << ")";
  }
  std::cout << ". Ctrl-C ends it.\n\n"
            << "In another terminal:\n"
            << "  look at it:         " << in.string() << " aloft hosts\n"
            << "                      " << in.string() << " aloft sessions\n"
            << "  the demonstration:  " << in.string() << " aloft-detect --cluster " << managers
            << " --cluster-ca " << keys << "/ca.pem \\\n"
            << "                        --cluster-cert " << keys
            << "/tenant-default.pem --cluster-key " << keys << "/tenant-default.key \\\n"
            << "                        --model "
            << (aloft::testing::source_dir() / "models/pedestrian.onnx").string() << " --video "
            << aloft::testing::video().string() << "\n"
            << "  a shell in it:      " << in.string() << " bash\n"
            << "  watch it:           watch -n 1 " << in.string() << " aloft sessions\n\n"
            << "Here, to break it:  kill NAME | start NAME | cut NAME [NAME] | heal NAME [NAME] | "
               "help\n"
            << std::flush;
}

Result<void> obey(ClusterInNamespaces& cluster, const std::string& line) {
  std::istringstream text(line);
  std::string verb;
  std::string name;
  std::string other;
  text >> verb >> name >> other;
  if (verb.empty()) return {};
  if (verb == "kill") return cluster.kill(name);
  if (verb == "start") return cluster.start(name);
  auto& network = cluster.network();
  if (verb == "cut") return other.empty() ? network.cut(name) : network.cut_between(name, other);
  if (verb == "heal") return other.empty() ? network.heal(name) : network.heal_between(name, other);
  std::cout
      << "  kill NAME          as a machine that fails; `kill -9` of its process does the same\n"
         "  start NAME         again, with what it had on its disk\n"
         "  cut NAME [NAME]    from all others, or from that one: nothing comes or goes\n"
         "  heal NAME [NAME]   the reverse\n"
         "Names are";
  for (const std::string& each : cluster.names()) std::cout << " " << each;
  std::cout << ", and device, where commands run.\n" << std::flush;
  if (verb == "help") return {};
  return aloft::fail(aloft::Errc::invalid_argument, "no such command: " + verb);
}

// SIGINT, SIGTERM, SIGCHLD as something to poll. They are blocked from here on.
int watch_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGCHLD}) ::sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  return ::signalfd(-1, &signals, SFD_CLOEXEC);
}

// The next of them; 0: there is something to read on the standard input (`input`).
int next_signal(int signals, bool input) {
  std::array<pollfd, 2> fds{{{signals, POLLIN, 0}, {input ? STDIN_FILENO : -1, POLLIN, 0}}};
  while (::poll(fds.data(), fds.size(), -1) < 0 && errno == EINTR) {
  }
  if (fds[0].revents == 0) return 0;
  signalfd_siginfo info{};
  return ::read(signals, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo)
                                                            : SIGTERM;
}

// The command has this terminal; Ctrl-C reaches it as well.
Result<int> run_command(const ClusterInNamespaces& cluster, std::vector<std::string> command,
                        int signals) {
  std::vector<std::string> words = cluster.on("device", std::move(command));
  std::vector<char*> raw;
  for (std::string& word : words) raw.push_back(word.data());
  raw.push_back(nullptr);
  const auto environment = cluster.environment();
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return aloft::fail(aloft::Errc::resource_exhausted, "no process can be started");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    if (::getppid() == parent) ::execvp(raw[0], raw.data());
    ::_exit(127);
  }
  for (;;) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child)
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (const int signal = next_signal(signals, false); signal == SIGTERM || signal == SIGINT)
      ::kill(child, signal);
  }
}

void serve(ClusterInNamespaces& cluster, int signals) {
  bool input = true;
  std::string read;
  for (;;) {
    const int signal = next_signal(signals, input);
    if (signal == SIGINT || signal == SIGTERM) return;
    if (signal != 0) continue;  // one of the parts has ended: as somebody wanted
    std::array<char, 1024> some{};
    const ssize_t size = ::read(STDIN_FILENO, some.data(), some.size());
    if (size <= 0) input = false;  // nobody is there to type; it goes on
    read.append(some.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    for (auto end = read.find('\n'); end != std::string::npos; end = read.find('\n')) {
      if (auto done = obey(cluster, read.substr(0, end)); !done) say_error(done.error().message);
      read.erase(0, end + 1);
    }
  }
}

int work(Options options) {
  if (const auto missing = ClusterInNamespaces::what_is_missing()) return say_error(*missing);
  const int signals = watch_signals();
  const OwnFolder folder;
  auto cluster = ClusterInNamespaces::start(folder.path(), std::move(options.layout));
  if (!cluster) {
    const bool wrong = cluster.error().code == aloft::Errc::invalid_argument;
    return say_error(cluster.error().message, wrong ? kUsageError : kFailed);
  }
  if (!options.run.empty()) {
    const auto status = run_command(**cluster, std::move(options.run), signals);
    return status ? *status : say_error(status.error().message);
  }
  explain(**cluster, write_entry(**cluster, folder.path()));
  serve(**cluster, signals);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  // All that comes behind it is the command's own.
  const auto run = std::find_if(argv + 1, argv + argc,
                                [](const char* word) { return std::string_view(word) == "--run"; });
  const bool runs = run != argv + argc;
  if (runs) options.run.assign(run + 1, argv + argc);
  CLI::App app{
      "A cluster on this machine, each part in a network namespace of its own (needs root)",
      "./dev cluster"};
  app.add_option("--hosts", options.layout.hosts, "how many")->capture_default_str();
  app.add_option("--managers", options.layout.managers, "how many; several need --etcd")
      ->capture_default_str();
  app.add_option("--etcd", options.layout.etcd,
                 "members; 0: none, the one manager keeps a store of its own")
      ->capture_default_str();
  std::vector<std::string> modules;
  app.add_option("--module", modules,
                 "a .wasm file to sign and push, beside the demonstration's; several")
      ->check(CLI::ExistingFile);
  bool unused = false;
  app.add_flag("--run", unused,
               "COMMAND...: runs it in the cluster (ALOFT_MANAGER and ALOFT_CREDENTIALS are set), "
               "and ends with its status");
  try {
    app.parse(static_cast<int>(run - argv), argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return say_error(std::string(error.what()) + " (./dev cluster --help)", kUsageError);
  }
  if (runs && options.run.empty())
    return say_error("--run needs a command (./dev cluster --help)", kUsageError);
  options.layout.modules.assign(modules.begin(), modules.end());
  options.layout.modules.push_back(aloft::testing::binary_dir() / "modules/detect.wasm");
  return work(std::move(options));
}
