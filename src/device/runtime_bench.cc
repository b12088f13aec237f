// What an elastic call costs: unbound, bound and here, and at an edge in another process beside the
// same bytes over a bare socket. `device_cpu_us` is this process's CPU time for each call, the
// caller's and the I/O thread's.
#include <csignal>
#include <cstdlib>
#include <thread>

#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device/sensors.h"
#include "device/testing/demo_module.h"
#include <aloft/runtime.h>

namespace aloft {
namespace {

constexpr std::size_t kReplySize =
    100;  // bytes of the bare socket's answer, about those of a Return

void read_exactly(int socket, std::size_t size, std::vector<char>& buffer) {
  while (size > 0) {
    const ssize_t count = ::recv(socket, buffer.data(), std::min(size, buffer.size()), 0);
    if (count <= 0) std::_Exit(0);
    size -= static_cast<std::size_t>(count);
  }
}

// Answers each request (8 bytes of length in front) on a bare socket.
void serve(int listening) {
  const int socket = ::accept(listening, nullptr, nullptr);
  const int on = 1;
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  std::vector<char> buffer(256 * 1024);
  for (;;) {
    std::uint64_t size = 0;
    if (::recv(socket, &size, sizeof size, MSG_WAITALL) != sizeof size) return;
    read_exactly(socket, size, buffer);
    (void)::send(socket, buffer.data(), kReplySize, MSG_NOSIGNAL);
  }
}

// The other process: an edge, and a bare socket. Lives as long as this one.
struct OtherProcess {
  std::uint16_t edge_port = 0;
  std::uint16_t bare_port = 0;

  OtherProcess() {
    int pipe[2];
    if (::pipe(pipe) != 0) std::abort();
    if (::fork() == 0) {
      (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int listening = ::socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      socklen_t size = sizeof address;
      (void)::bind(listening, reinterpret_cast<sockaddr*>(&address), size);
      (void)::listen(listening, 1);
      (void)::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size);
      function::testing::AutomaticEdge edge(demo::answer, 0, 4U << 20U);
      const std::uint16_t ports[] = {edge.port(), ntohs(address.sin_port)};
      (void)!::write(pipe[1], ports, sizeof ports);
      serve(listening);
      ::pause();
    }
    std::uint16_t ports[2] = {};
    if (::read(pipe[0], ports, sizeof ports) != sizeof ports) std::abort();
    edge_port = ports[0];
    bare_port = ports[1];
  }
};

const OtherProcess& other_process() {
  static const OtherProcess other;
  return other;
}

std::unique_ptr<Runtime> bound_runtime(std::shared_ptr<Policy> policy, bool with_edge) {
  RuntimeOptions options;
  options.policy = std::move(policy);
  options.log_level = LogLevel::error;
  options.call_timeout = std::chrono::seconds(60);
  if (with_edge) options.edges = {"127.0.0.1:" + std::to_string(other_process().edge_port)};
  auto runtime = Runtime::create(std::move(options)).value();
  bind(*runtime);
  if (with_edge && !runtime->wait_for_edge(std::chrono::seconds(10))) std::abort();
  return runtime;
}

void count_cpu(benchmark::State& state, std::chrono::nanoseconds before) {
  const std::chrono::duration<double, std::micro> spent = device::process_cpu_time() - before;
  state.counters["device_cpu_us"] = spent.count() / static_cast<double>(state.iterations());
}

void BM_unbound(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(demo::add(1, 2));
}
BENCHMARK(BM_unbound);

void BM_bound_here(benchmark::State& state) {
  const demo::Registered module;
  const auto runtime = bound_runtime(local_policy(), false);
  for (auto _ : state) benchmark::DoNotOptimize(demo::add(1, 2));
}
BENCHMARK(BM_bound_here);

// With a policy that is told forecasts, and a predictor that learns of each call.
void BM_bound_here_with_forecasts(benchmark::State& state) {
  const demo::Registered module;
  const auto runtime = bound_runtime(min_latency_policy(), false);
  for (auto _ : state) benchmark::DoNotOptimize(demo::add(1, 2));
}
BENCHMARK(BM_bound_here_with_forecasts);

void BM_bare_socket(benchmark::State& state) {
  static const int socket = [] {
    const int made = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(other_process().bare_port);
    if (::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      std::abort();
    const int on = 1;
    (void)::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return made;
  }();
  const std::uint64_t size = static_cast<std::uint64_t>(state.range(0));
  std::vector<char> request(sizeof size + size);
  std::memcpy(request.data(), &size, sizeof size);
  std::vector<char> reply(kReplySize);
  const auto before = device::process_cpu_time();
  for (auto _ : state) {
    std::size_t sent = 0;
    while (sent < request.size()) {
      const ssize_t count =
          ::send(socket, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) std::abort();
      sent += static_cast<std::size_t>(count);
    }
    read_exactly(socket, kReplySize, reply);
  }
  count_cpu(state, before);
}
BENCHMARK(BM_bare_socket)->Arg(100)->Arg(768 * 576 * 3)->UseRealTime();

void BM_at_the_edge(benchmark::State& state) {
  const demo::Registered module;
  const auto runtime = bound_runtime(remote_policy(), true);
  const Image picture(static_cast<std::uint32_t>(state.range(0)),
                      static_cast<std::uint32_t>(state.range(1)), PixelFormat::bgr8);
  benchmark::DoNotOptimize(demo::weigh(picture));
  const auto before = device::process_cpu_time();
  for (auto _ : state) benchmark::DoNotOptimize(demo::weigh(picture));
  count_cpu(state, before);
}
BENCHMARK(BM_at_the_edge)->Args({8, 4})->Args({768, 576})->UseRealTime();

}  // namespace
}  // namespace aloft
