// What a move costs: the gap between two results at the move, beyond the usual gap, for a channel
// to a function that does nothing and for an object with 1 MB of state, between two edges.
#include <algorithm>
#include <chrono>
#include <thread>

#include "call_sides.h"
#include "figures.h"
#include "megabyte.aloft.h"
#include "modules/megabyte.h"
#include "support/process.h"
#include "test_paths.h"
#include <aloft/channel.h>
#include <aloft/object.h>
#include <aloft/runtime.h>

namespace aloft::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kMoves = 200;
constexpr milliseconds kBetweenMoves{20};

struct Edge {
  std::unique_ptr<testing::Process> process;
  std::string address;
};

Edge start_edge(const std::filesystem::path& cache) {
  auto started = testing::Process::start(
      {"taskset", "-c", std::string(kServerCore),
       (testing::binary_dir() / "bin/aloft-exec").string(), "--listen", "127.0.0.1:0",
       "--repository", (testing::binary_dir() / "modules").string(), "--cache", cache.string()});
  if (!started) die(started.error().message);
  Edge edge{std::make_unique<testing::Process>(std::move(*started)), {}};
  const auto line = edge.process->wait_for_line("listening on", std::chrono::seconds(60));
  if (!line) die("aloft-exec did not start: " + edge.process->transcript());
  edge.address = line->substr(line->rfind(' ') + 1);
  return edge;
}

struct Gaps {
  std::vector<double> steady, at_moves;  // milliseconds
};

// Calls without a pause while another thread moves back and forth; a move's gap is the longest
// between two results from its request to its end.
template <class Call, class Move>
Gaps measure(Call call, Move move) {
  std::vector<Clock::time_point> results;
  results.reserve(4'000'000);
  std::vector<std::pair<Clock::time_point, Clock::time_point>> moves;
  std::atomic<bool> done = false;
  std::thread mover([&] {
    for (int i = 0; i < kMoves; ++i) {
      std::this_thread::sleep_for(kBetweenMoves);
      const auto start = Clock::now();
      move(i % 2 == 0 ? Location::edge(1) : Location::edge(0));
      moves.emplace_back(start, Clock::now());
    }
    std::this_thread::sleep_for(kBetweenMoves);
    done = true;
  });
  while (!done) {
    call();
    results.push_back(Clock::now());
  }
  mover.join();
  Gaps gaps;
  std::size_t next_move = 0;
  double longest = 0;
  for (std::size_t i = 1; i < results.size(); ++i) {
    const double gap =
        std::chrono::duration<double, std::milli>(results[i] - results[i - 1]).count();
    if (next_move < moves.size() && results[i] >= moves[next_move].first) {
      longest = std::max(longest, gap);
      if (results[i - 1] > moves[next_move].second) {
        gaps.at_moves.push_back(std::exchange(longest, 0));
        ++next_move;
      }
    } else {
      gaps.steady.push_back(gap);
    }
  }
  if (gaps.at_moves.size() != kMoves) die("moves: not every move has a result after it");
  return gaps;
}

template <class T>
T value_of(Result<T> result, const char* what) {
  if (!result) die(std::string("moves: ") + what + ": " + result.error().message);
  return *std::move(result);
}

}  // namespace

MoveFigures measure_moves(const std::filesystem::path& cache) {
  const Edge a = start_edge(cache / "a");
  const Edge b = start_edge(cache / "b");
  RuntimeOptions options;
  options.edges = {a.address, b.address};
  options.log_level = LogLevel::warning;
  const auto runtime = value_of(Runtime::create(std::move(options)), "no runtime");
  for (std::size_t edge = 0; edge < 2; ++edge) {
    if (auto ready = runtime->wait_for_edge(std::chrono::seconds(60), edge); !ready)
      die("moves: " + ready.error().message);
  }
  bind(*runtime);

  MoveFigures figures;
  {
    ChannelOptions at_edge;
    at_edge.start = Location::edge(0);
    auto channel = value_of(Channel<std::uint64_t, std::uint64_t>::open(&megabyte::next, at_edge),
                            "no channel");
    std::uint64_t value = 0;
    const Gaps gaps = measure(
        [&] {
          value_of(channel.send(value), "send");
          const auto received = value_of(channel.receive(std::chrono::seconds(10)), "receive");
          if (!received.result || *received.result != ++value) ++figures.calls_failed;
        },
        [&](Location to) { value_of(channel.move_to(to), "move"); });
    figures.stateless_over_steady_p99_ms =
        quantile(gaps.at_moves, 0.99) - quantile(gaps.steady, 0.99);
  }
  megabyte::Megabyte object;
  value_of(move_to(object, Location::edge(0)), "move");
  std::uint64_t calls = 0;
  const Gaps gaps = measure(
      [&] {
        if (object.touch() != calls++) die("moves: a call of the object was lost or doubled");
      },
      [&](Location to) { value_of(move_to(object, to), "move"); });
  const double steady = quantile(gaps.steady, 0.5);
  figures.state_1mb_p50_ms = quantile(gaps.at_moves, 0.5) - steady;
  figures.state_1mb_p99_ms = quantile(gaps.at_moves, 0.99) - steady;
  unbind();
  return figures;
}

}  // namespace aloft::bench
