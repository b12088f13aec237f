// aloft, through all of the product: an elastic function, a bound Runtime, the aloft-exec program,
// a WebAssembly guest.
#include <atomic>
#include <chrono>
#include <deque>

#include "call_sides.h"
#include "modules/touch.h"
#include "support/process.h"
#include "test_paths.h"
#include "touch.aloft.h"
#include <aloft/runtime.h>

namespace aloft::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kInFlight = 8;

class AloftSide final : public Side {
 public:
  AloftSide(const std::filesystem::path& cache, const TlsFiles* tls, int spin_us) {
    std::vector<std::string> command{"taskset",
                                     "-c",
                                     std::string(kServerCore),
                                     (testing::binary_dir() / "bin/aloft-exec").string(),
                                     "--listen",
                                     "127.0.0.1:0",
                                     "--repository",
                                     (testing::binary_dir() / "modules").string(),
                                     "--cache",
                                     cache.string()};
    if (tls != nullptr) {
      for (const std::string& argument :
           {std::string("--tls-cert"), tls->certificate.string(), std::string("--tls-key"),
            tls->key.string(), std::string("--tls-ca"), tls->authority.string()})
        command.push_back(argument);
    }
    if (spin_us >= 0) command.insert(command.end(), {"--spin-us", std::to_string(spin_us)});
    auto started = testing::Process::start(std::move(command));
    if (!started) die(started.error().message);
    server_ = std::make_unique<testing::Process>(std::move(*started));
    const auto line = server_->wait_for_line("listening on", std::chrono::seconds(60));
    if (!line) die("aloft-exec did not start: " + server_->transcript());
    RuntimeOptions options;
    options.edges = {line->substr(line->rfind(' ') + 1)};
    if (tls != nullptr) {
      options.tls_authority = tls->authority;
      options.tls_certificate = tls->certificate;
      options.tls_key = tls->key;
    }
    if (spin_us >= 0) options.spin = std::chrono::microseconds(spin_us);
    options.policy = remote_policy();
    options.max_in_flight = kInFlight;
    options.log_level = LogLevel::warning;
    options.call_timeout = std::chrono::seconds(60);
    options.on_call = [this](const CallRecord& record) {
      if (record.place != Place::edge) elsewhere_ = true;
    };
    auto runtime = Runtime::create(std::move(options));
    if (!runtime) die(runtime.error().message);
    runtime_ = *std::move(runtime);
    if (auto ready = runtime_->wait_for_edge(std::chrono::seconds(60)); !ready)
      die("aloft: " + ready.error().message + "\n" + server_->transcript());
  }

  void prepare(std::size_t request_bytes) override {
    bind(*runtime_);
    if (request_.size() != request_bytes) request_.assign(request_bytes, 1);
  }
  void call() override {
    if (touch::call(request_).size() != kReply || elsewhere_)
      die("aloft: a call did not run at the edge");
  }
  void pipelined(std::size_t calls, std::size_t in_flight, std::vector<double>& times) override {
    struct Running {
      Future<std::vector<std::uint8_t>> result;
      Clock::time_point start;
    };
    std::deque<Running> running;
    for (std::size_t started = 0; started < calls || !running.empty();) {
      if (started < calls && running.size() < in_flight) {
        const auto start = Clock::now();
        running.push_back({touch::call_async(request_), start});
        ++started;
        continue;
      }
      auto result = running.front().result.get();
      if (!result || elsewhere_) die("aloft: a call did not run at the edge");
      times.push_back(
          std::chrono::duration<double, std::micro>(Clock::now() - running.front().start).count());
      running.pop_front();
    }
  }
  [[nodiscard]] pid_t server() const override { return server_->pid(); }

 private:
  std::unique_ptr<testing::Process> server_;
  std::atomic<bool> elsewhere_ = false;
  std::unique_ptr<Runtime> runtime_;
  std::vector<std::uint8_t> request_;
};

template <class Call>
double nanoseconds_each(Call call) {
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    constexpr int kCalls = 50'000;
    const auto start = Clock::now();
    std::uint32_t value = 0;
    for (int i = 0; i < kCalls; ++i) value = call(value);
    const std::chrono::duration<double, std::nano> time = Clock::now() - start;
    if (value != kCalls) die("aloft: a call here went wrong");
    best = std::min(best, time.count() / kCalls);
  }
  return best;
}

[[gnu::noinline]] std::uint32_t plain(std::uint32_t value) {
  asm volatile("" : "+r"(value));
  return value + 1;
}

}  // namespace

std::unique_ptr<Side> make_aloft_side(const std::filesystem::path& cache, const TlsFiles* tls,
                                      int spin_us) {
  return std::make_unique<AloftSide>(cache, tls, spin_us);
}

double measure_dispatch() {
  RuntimeOptions options;
  options.log_level = LogLevel::warning;
  auto runtime = Runtime::create(std::move(options));
  if (!runtime) die(runtime.error().message);
  bind(**runtime);
  const double bound = nanoseconds_each([](std::uint32_t value) { return touch::nothing(value); });
  return bound - nanoseconds_each([](std::uint32_t value) { return plain(value); });
}

}  // namespace aloft::bench
