// A device of rollout_test: calls a function and an object of the module `tally` at a cluster, all
// the time, until it is told to end (SIGTERM).
//
// It writes to its standard output a line for its session, one each time that the version which
// answers changes, and at its end what its calls came to.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "support/text_file.h"
#include "tally.aloft.h"
#include "tally.h"
#include <aloft/cluster.h>
#include <aloft/object.h>
#include <aloft/runtime.h>

namespace {

using namespace std::chrono_literals;
using aloft::testing::read_text;

void say(const std::string& line) {
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

int fail(const aloft::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  return 1;
}

// "session ID at cluster ...", as the runtime says it.
void tell_session(std::string_view line) {
  constexpr std::string_view kBefore = "session ";
  constexpr std::string_view kAfter = " at cluster ";
  const auto end = line.find(kAfter);
  if (end == std::string_view::npos || !line.starts_with(kBefore)) return;
  say("session " + std::string(line.substr(kBefore.size(), end - kBefore.size())));
}

struct Counts {
  std::uint64_t calls = 0;
  std::uint64_t entries = 0;  // of the object
  std::uint64_t failed = 0;
  std::uint64_t wrong = 0;  // an entry that was lost, doubled or overtaken changes all after it
};

}  // namespace

int main(int argc, char** argv) {
  std::string manager;
  std::string keys;
  CLI::App app{"A device of rollout_test"};
  app.add_option("--manager", manager)->required();
  app.add_option("--credentials", keys)->required();
  CLI11_PARSE(app, argc, argv);
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);

  aloft::ClusterOptions wanted;
  wanted.managers = {manager};
  wanted.authority = read_text(keys + "/ca.pem");
  wanted.certificate = read_text(keys + "/tenant-default.pem");
  wanted.key = read_text(keys + "/tenant-default.key");
  wanted.memory_bytes = 64U << 20U;
  wanted.cpu_millicores = 50;
  auto cluster = aloft::join_cluster(std::move(wanted));
  if (!cluster) return fail(cluster.error());
  std::atomic<std::uint64_t> here = 0;
  aloft::RuntimeOptions options;
  options.cluster = *cluster;
  options.policy = aloft::remote_policy();
  options.call_timeout = 20s;
  options.on_call = [&](const aloft::CallRecord& record) {
    if (record.place == aloft::Place::here) ++here;
  };
  options.log = [](aloft::LogLevel, std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    tell_session(line);
  };
  auto runtime = aloft::Runtime::create(std::move(options));
  if (!runtime) return fail(runtime.error());
  aloft::bind(**runtime);
  if (auto ready = (*runtime)->wait_for_edge(60s); !ready) return fail(ready.error());

  tally::Tally object;
  if (auto moved = aloft::move_to(object, aloft::Location::edge()); !moved)
    return fail(moved.error());
  Counts counts;
  std::uint32_t version = 0;
  std::uint32_t object_version = 0;
  constexpr timespec kPause{0, 2'000'000};  // eight of these share a few processors
  while (::sigtimedwait(&signals, nullptr, &kPause) != SIGTERM) {
    auto call = tally::version_async(static_cast<std::uint32_t>(counts.calls));
    const auto answer = call.get();
    ++counts.calls;
    if (!answer) {
      ++counts.failed;
      say("failure: " + answer.error().message);
    } else if (call.record().place == aloft::Place::edge && *answer != version) {
      version = *answer;
      say("function version " + std::to_string(version));
    }
    const tally::Entry entry = object.add(1);
    ++counts.entries;
    if (entry.count != counts.entries || entry.sum != counts.entries) ++counts.wrong;
    if (entry.version != object_version) {
      object_version = entry.version;
      say("object version " + std::to_string(object_version));
    }
  }
  aloft::unbind();
  runtime->reset();
  say("calls " + std::to_string(counts.calls) + " failed " + std::to_string(counts.failed) +
      " wrong " + std::to_string(counts.wrong) + " here " + std::to_string(here));
  return counts.failed == 0 && counts.wrong == 0 ? 0 : 3;
}
