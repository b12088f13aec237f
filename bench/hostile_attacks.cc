#include "hostile_attacks.h"

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/tls.h"
#include "host/testing/hellos.h"
#include "net/address.h"
#include "support/local_cluster.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::bench {
namespace {

using namespace std::chrono_literals;
using namespace aloft::testing;

std::string text_of(const std::filesystem::path& file) {
  const auto bytes = read_file(file);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "error: the attacker: %s\n", why.c_str());
  std::exit(1);
}

// A TCP connection, closed with the object; one that cannot be made is none.
class Connection {
 public:
  explicit Connection(const std::string& address) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const auto parsed = net::Address::parse(address);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(parsed ? parsed->port : 0);
    ::inet_pton(AF_INET, parsed ? parsed->host.c_str() : "", &to.sin_addr);
    (void)::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
  Connection(Connection&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  Connection& operator=(Connection&&) = delete;
  ~Connection() {
    if (socket_ >= 0) ::close(socket_);
  }
  void send(std::span<const std::byte> bytes) const {
    (void)::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

 private:
  int socket_;
};

// What goes on until it is told to stop; several threads of each.
using Work = std::function<void(const std::stop_token&)>;

class Attacker {
 public:
  explicit Attacker(const AttackOptions& options)
      : options_(options),
        device_(options.manager, text_of(options.folder + "/ca.pem"),
                {text_of(options.folder + "/evil.pem"), text_of(options.folder + "/evil.key")}) {}
  ~Attacker() {
    for (auto& thread : threads_) thread.request_stop();
    // Its end ends the calls.
    if (!session_.empty()) (void)device_.close(session_);
    threads_.clear();
  }
  Attacker(const Attacker&) = delete;
  Attacker& operator=(const Attacker&) = delete;

  void begin() {
    const std::string& kind = options_.kind;
    if (kind == "loop") return call("hostile::loop_for_ever", arguments(1U));
    if (kind == "memory") return call("hostile::allocate_without_end", arguments(4096U));
    if (kind == "traps") return call("hostile::divide", arguments(1, 0));
    if (kind == "output") return call("hostile::print_without_end", arguments(1));
    if (kind == "connections") return start(2, [this](const auto& stop) { flood(stop); });
    if (kind == "slow-clients") return start(1, [this](const auto& stop) { drip(stop); });
    if (kind == "handshakes") return start(2, [this](const auto& stop) { handshake(stop); });
    if (kind == "compile") return start(2, [this](const auto& stop) { compile(stop); });
    give_up("no such attack: " + kind);
  }

 private:
  void start(int count, const Work& work) {
    for (int i = 0; i < count; ++i) threads_.emplace_back(work);
  }

  // As many calls at once as the session takes, again and again.
  void call(const char* function, const std::vector<std::byte>& arguments) {
    const auto session = device_.open({&hostile_});
    if (!session) give_up(session.error().message);
    session_ = session->id();
    ue_ = device_.connect(session->placement());
    if (!ue_->wait_up(30s)) give_up("the link does not come up");
    const auto module = ue_->open(hostile_, {});
    if (!module) give_up(module.error().message);
    for (std::size_t i = 0; i < module->streams.size(); ++i) {
      threads_.emplace_back([this, module = *module, function, arguments](const auto& stop) {
        while (!stop.stop_requested()) (void)ue_->call(module, function, arguments);
      });
    }
  }

  void flood(const std::stop_token& stop) const {
    while (!stop.stop_requested()) {
      std::vector<Connection> silent;
      for (int i = 0; i < 200; ++i) {
        for (const std::string& target : options_.targets) silent.emplace_back(target);
      }
    }
  }

  // The beginning of a long ClientHello, a byte at a time, on many connections.
  void drip(const std::stop_token& stop) const {
    constexpr std::array kBegin{std::byte{22}, std::byte{3}, std::byte{1}, std::byte{0x3f},
                                std::byte{0xff}};
    while (!stop.stop_requested()) {
      std::vector<Connection> slow;
      for (int i = 0; i < 100; ++i) {
        for (const std::string& target : options_.targets) slow.emplace_back(target).send(kBegin);
      }
      for (int i = 0; i < 50 && !stop.stop_requested(); ++i) {
        for (const Connection& one : slow) one.send(std::span(kBegin).first(1));
        std::this_thread::sleep_for(2ms);
      }
    }
  }

  // The whole of TLS with a certificate that is good, and then no ticket.
  void handshake(const std::stop_token& stop) const {
    while (!stop.stop_requested()) {
      for (const std::string& target : options_.targets) {
        const auto ue = device_.connect(target, host::testing::plain_hello());
        (void)ue->wait_down(1000ms);
      }
    }
  }

  void compile(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const std::size_t next = next_bomb_++;
      if (next >= options_.bombs.size()) return;
      const ModuleFile bomb(options_.bombs[next]);
      const auto session = device_.open(
          {&bomb}, {.memory_bytes = std::uint64_t{16} << 20U, .cpu_millicores = 1, .limit = 60s});
      if (session) (void)device_.close(session->id());
    }
  }

  const AttackOptions& options_;
  const ModuleFile hostile_{binary_dir() / "modules/hostile.wasm"};
  const ClusterDevice device_;
  std::string session_;
  std::unique_ptr<RawUe> ue_;
  std::atomic<std::size_t> next_bomb_ = 0;
  std::vector<std::jthread> threads_;
};

}  // namespace

const std::vector<std::string>& attack_kinds() {
  static const std::vector<std::string> kinds{
      "loop", "memory", "traps", "output", "slow-clients", "connections", "handshakes", "compile"};
  return kinds;
}

int attack(const AttackOptions& options) {
  sigset_t end;
  ::sigemptyset(&end);
  ::sigaddset(&end, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &end, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  Attacker attacker(options);
  attacker.begin();
  std::printf("attacking\n");
  std::fflush(stdout);
  int signal = 0;
  ::sigwait(&end, &signal);
  return 0;
}

}  // namespace aloft::bench
