// What a call costs: requests of four sizes, 1 KB back, over bare TCP (the limit), gRPC and aloft,
// the latter two also with TLS.
//
// Client and server are processes pinned to a core each; sides take turns, block by block, so that
// what else the machine does meets all of them, and what is compared are medians over the rounds.
// CPU time is that of both processes.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <tuple>

#include <nlohmann/json.hpp>
#include <sched.h>
#include <time.h>

#include "call_sides.h"
#include "channel/testing/certificates.h"
#include "support/temp_dir.h"

namespace aloft::bench {

using Clock = std::chrono::steady_clock;

namespace {

struct Options {
  std::string json;
  int rounds = 7;
  double block_ms = 150;
  std::size_t in_flight = 8;
  std::string only;       // of the sides
  int spin_us = -1;       // of aloft; negative: as by default
  std::size_t bytes = 0;  // only requests of this size, in clear; 0: everything
};

// CPU time of a process and those that it started, in microseconds.
double cpu_us(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  double total = static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
  const std::string number = std::to_string(pid);
  std::ifstream children("/proc/" + number + "/task/" + number + "/children");
  for (pid_t child = 0; children >> child;) total += cpu_us(child);
  return total;
}

double own_cpu_us() {
  timespec time{};
  (void)::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

// One block of calls of one side.
struct Block {
  double p50 = 0, p99 = 0, calls_per_second = 0, cpu_us_per_call = 0;
  double calls = 0;
};

Block measure(Side& side, std::size_t bytes, std::size_t in_flight, double milliseconds) {
  side.prepare(bytes);
  // Half of what is measured warms up, and says how many calls there is time for.
  std::size_t warm = 0;
  const auto warm_start = Clock::now();
  const auto warm_time = std::chrono::duration<double, std::milli>(milliseconds / 2);
  std::vector<double> times;
  while (Clock::now() - warm_start < warm_time || warm < 4) {
    if (in_flight == 1) {
      side.call();
      ++warm;
    } else {
      side.pipelined(in_flight * 8, in_flight, times);
      warm += in_flight * 8;
    }
  }
  const std::size_t calls = std::max<std::size_t>(
      in_flight * 8, static_cast<std::size_t>(static_cast<double>(warm) * 2 * warm_time /
                                              (Clock::now() - warm_start)));
  times.clear();
  times.reserve(calls);
  const double cpu_before = cpu_us(side.server()) + own_cpu_us();
  const auto start = Clock::now();
  if (in_flight > 1) {
    side.pipelined(calls, in_flight, times);
  } else {
    for (std::size_t i = 0; i < calls; ++i) {
      const auto before = Clock::now();
      side.call();
      times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
    }
  }
  const std::chrono::duration<double> time = Clock::now() - start;
  const double cpu = cpu_us(side.server()) + own_cpu_us() - cpu_before;
  const auto count = static_cast<double>(calls);
  return {quantile(times, 0.5), quantile(times, 0.99), count / time.count(), cpu / count, count};
}

using Key = std::tuple<std::string, bool, std::size_t, std::size_t>;  // side, tls, bytes, in flight

double median(const std::vector<Block>& blocks, double Block::* field) {
  std::vector<double> values;
  for (const Block& block : blocks) values.push_back(block.*field);
  return quantile(std::move(values), 0.5);
}

// The ratio of two sides' medians, and what it is to be.
void compare(const std::map<Key, std::vector<Block>>& all, const Key& of, const Key& to,
             double Block::* field, double target, bool at_least) {
  const auto a = all.find(of);
  const auto b = all.find(to);
  if (a == all.end() || b == all.end()) return;
  const double ratio = median(a->second, field) / median(b->second, field);
  const bool met = at_least ? ratio >= target : ratio <= target;
  const auto name = [](const Key& key) {
    return std::get<0>(key) + (std::get<1>(key) ? " TLS" : "");
  };
  std::printf("%8zu B x%-2zu  %-9s over %-9s %6.2f  (%s %.2f)  %s\n", std::get<2>(of),
              std::get<3>(of), name(of).c_str(), name(to).c_str(), ratio,
              at_least ? ">=" : "<=", target, met ? "met" : "not met");
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (i + 1 >= argc) die(std::string(option) + " needs a value");
    const char* const value = argv[++i];
    if (option == "--json") {
      options.json = value;
    } else if (option == "--rounds") {
      options.rounds = std::max(1, std::atoi(value));
    } else if (option == "--block-ms") {
      options.block_ms = std::max(1.0, std::atof(value));
    } else if (option == "--in-flight") {
      options.in_flight = std::max<std::size_t>(2, static_cast<std::size_t>(std::atoi(value)));
    } else if (option == "--bytes") {
      options.bytes = static_cast<std::size_t>(std::max(0, std::atoi(value)));
    } else if (option == "--spin-us") {
      options.spin_us = std::max(0, std::atoi(value));
    } else if (option == "--only") {
      options.only = value;
    } else {
      die("unknown option " + std::string(option) +
          "; there are --json FILE, --rounds N, --block-ms N, --in-flight N, --only SIDES, "
          "--spin-us N, --bytes N");
    }
  }
  return options;
}

void pin(std::string_view core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(core[0] - '0'), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) die("two processors are needed");
}

// For a closer look at one kind of call with other tools: how many there were, and what they took.
int run_one_size(const Options& options, std::vector<SideInfo>& sides) {
  for (int round = 0; round < options.rounds; ++round) {
    for (SideInfo& info : sides) {
      for (const std::size_t in_flight : {std::size_t{1}, options.in_flight}) {
        if (in_flight > 1 && !info.side->has_pipeline()) continue;
        const Block block = measure(*info.side, options.bytes, in_flight, options.block_ms);
        std::printf("%-6s %zu B x%zu: %.0f calls, p50 %.1f us, p99 %.1f us, cpu %.1f us/call\n",
                    info.name.c_str(), options.bytes, in_flight, block.calls, block.p50, block.p99,
                    block.cpu_us_per_call);
      }
    }
  }
  return 0;
}

int run(const Options& options) {
  const testing::TempDir folder;
  pin(kClientCore);
  const auto wanted = [&](std::string_view name) {
    return options.only.empty() || options.only.find(name) != std::string::npos;
  };
  std::vector<SideInfo> sides;
  if (wanted("tcp")) sides.push_back({"tcp", false, make_tcp_side()});
  if (wanted("grpc")) sides.push_back({"grpc", false, make_grpc_side(nullptr)});
  if (wanted("aloft"))
    sides.push_back(
        {"aloft", false, make_aloft_side(folder.path() / "cache", nullptr, options.spin_us)});
  if (options.bytes != 0) return run_one_size(options, sides);
  const TlsFiles tls = channel::testing::Authority(folder.path()).issue("127.0.0.1", "both");
  if (wanted("grpc")) sides.push_back({"grpc", true, make_grpc_side(&tls)});
  if (wanted("aloft"))
    sides.push_back(
        {"aloft", true, make_aloft_side(folder.path() / "cache", &tls, options.spin_us)});

  constexpr std::size_t kSizes[] = {64, 102'400, 921'600, 3'145'728};
  std::map<Key, std::vector<Block>> all;
  const auto turn = [&](std::size_t bytes, std::size_t in_flight) {
    for (SideInfo& info : sides) {
      if (in_flight > 1 && !info.side->has_pipeline()) continue;
      const Block block = measure(*info.side, bytes, in_flight, options.block_ms);
      all[{info.name, info.tls, bytes, in_flight}].push_back(block);
    }
  };
  for (int round = 0; round < options.rounds; ++round) {
    for (const std::size_t bytes : kSizes) turn(bytes, 1);
    turn(64, options.in_flight);
  }
  const double dispatch_ns = measure_dispatch();
  const MoveFigures moves =
      wanted("aloft") ? measure_moves(folder.path() / "cache") : MoveFigures{};

  nlohmann::json calls = nlohmann::json::array();
  std::printf("%-6s %-4s %9s %9s %10s %10s %12s %12s\n", "side", "tls", "bytes", "in flight",
              "p50 us", "p99 us", "calls/s", "cpu us/call");
  for (const auto& [key, blocks] : all) {
    const auto& [side, with_tls, bytes, in_flight] = key;
    const double p50 = median(blocks, &Block::p50);
    const double p99 = median(blocks, &Block::p99);
    const double rate = median(blocks, &Block::calls_per_second);
    const double cpu = median(blocks, &Block::cpu_us_per_call);
    std::printf("%-6s %-4s %9zu %9zu %10.1f %10.1f %12.0f %12.1f\n", side.c_str(),
                with_tls ? "yes" : "no", bytes, in_flight, p50, p99, rate, cpu);
    calls.push_back({{"side", side},
                     {"tls", with_tls},
                     {"request_bytes", bytes},
                     {"in_flight", in_flight},
                     {"p50_us", p50},
                     {"p99_us", p99},
                     {"calls_per_second", rate},
                     {"cpu_us_per_call", cpu}});
  }
  std::printf("\n");
  for (const std::size_t bytes : kSizes) {
    const Key aloft{"aloft", false, bytes, 1};
    const double of_tcp = bytes == 64 ? 1.3 : bytes == 102'400 ? 1.15 : 1.25;
    const double of_grpc = bytes <= 102'400 ? 0.7 : 0.75;
    compare(all, aloft, {"tcp", false, bytes, 1}, &Block::p50, of_tcp, false);
    compare(all, aloft, {"grpc", false, bytes, 1}, &Block::p50, of_grpc, false);
    compare(all, {"aloft", true, bytes, 1}, {"grpc", true, bytes, 1}, &Block::p50, 0.7, false);
  }
  // Calls a second and core are the inverse of the CPU time of a call.
  for (const bool with_tls : {false, true}) {
    compare(all, {"grpc", with_tls, 64, options.in_flight},
            {"aloft", with_tls, 64, options.in_flight}, &Block::cpu_us_per_call, 3, true);
  }
  std::printf("         here  dispatch beyond a plain call: %.0f ns  (<= 200)  %s\n", dispatch_ns,
              verdict(dispatch_ns, 200));
  const auto move = [](const char* what, double value, double target) {
    std::printf("         move  %-36s %7.2f ms  (<= %.0f)  %s\n", what, value, target,
                verdict(value, target));
  };
  move("no state, p99 above the steady p99", moves.stateless_over_steady_p99_ms, 2);
  move("1 MB of state, p50", moves.state_1mb_p50_ms, 10);
  move("1 MB of state, p99", moves.state_1mb_p99_ms, 25);
  std::printf("         move  calls failed: %d\n", moves.calls_failed);
  write_json(options.json,
             nlohmann::json{{"calls", calls},
                            {"move",
                             {{"stateless_over_steady_p99_ms", moves.stateless_over_steady_p99_ms},
                              {"state_1mb_p50_ms", moves.state_1mb_p50_ms},
                              {"state_1mb_p99_ms", moves.state_1mb_p99_ms}}},
                            {"dispatch_ns", dispatch_ns}});
  return 0;
}

}  // namespace

void Side::pipelined(std::size_t, std::size_t, std::vector<double>&) {
  die("this side has no pipeline");
}

}  // namespace aloft::bench

int main(int argc, char** argv) {
  if (argc > 2 && std::strcmp(argv[1], "--serve") == 0) {
    const std::vector<std::string> rest(argv + 3, argv + argc);
    if (std::strcmp(argv[2], "tcp") == 0) aloft::bench::serve_tcp();
    aloft::bench::serve_grpc(rest);
  }
  return aloft::bench::run(aloft::bench::parse(argc, argv));
}
