// The sides that bench/call_bench.cc compares: ways to have a server process, pinned to a core of
// its own, read a request and answer 1 KB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "channel/tls.h"
#include "figures.h"

namespace aloft::bench {

constexpr std::size_t kReply = 1024;  // bytes
constexpr std::string_view kClientCore = "0";
constexpr std::string_view kServerCore = "1";

// What a server does with a request before it answers: one byte of each cache line.
inline std::uint8_t touch_lines(const void* data, std::size_t size) {
  const auto* const bytes = static_cast<const volatile std::uint8_t*>(data);
  std::uint8_t sum = 0;
  for (std::size_t i = 0; i < size; i += 64) sum = static_cast<std::uint8_t>(sum + bytes[i]);
  return sum;
}

using channel::TlsFiles;  // one certificate, which both ends show

class Side {
 public:
  virtual ~Side() = default;
  // Before a block of calls.
  virtual void prepare(std::size_t request_bytes) = 0;
  // One call, to its end.
  virtual void call() = 0;
  // `calls` calls, `in_flight` at a time; adds each call's time in microseconds.
  virtual void pipelined(std::size_t calls, std::size_t in_flight, std::vector<double>& times);
  [[nodiscard]] virtual bool has_pipeline() const { return true; }
  // The server's.
  [[nodiscard]] virtual pid_t server() const = 0;
};

struct SideInfo {
  std::string name;  // tcp, grpc, aloft
  bool tls = false;
  std::unique_ptr<Side> side;
};

[[nodiscard]] std::unique_ptr<Side> make_tcp_side();
[[nodiscard]] std::unique_ptr<Side> make_grpc_side(const TlsFiles* tls);
// `spin_us`: how long either end looks for what comes before it sleeps; negative: as by default.
[[nodiscard]] std::unique_ptr<Side> make_aloft_side(const std::filesystem::path& cache,
                                                    const TlsFiles* tls, int spin_us);

// The server processes, this program under `--serve`. They print their port, and never return.
[[noreturn]] void serve_tcp();
[[noreturn]] void serve_grpc(const std::vector<std::string>& arguments);

// What a move between two edges adds to the gap between two results; milliseconds.
struct MoveFigures {
  double stateless_over_steady_p99_ms = 0;
  double state_1mb_p50_ms = 0, state_1mb_p99_ms = 0;
  int calls_failed = 0;
};
[[nodiscard]] MoveFigures measure_moves(const std::filesystem::path& cache);

// Nanoseconds that a call of an elastic function here costs beyond a plain call of the same.
[[nodiscard]] double measure_dispatch();

}  // namespace aloft::bench
