// The round trip of a message over an endpoint against the same bytes over a bare TCP socket, in
// turns, so that the machine's drift meets both: a body of N bytes one way, 1 KB back, one caller
// that waits for each reply.
//
// Both sides receive into memory that is there already and send from it. The bare socket is what
// two blocking threads can do; an endpoint has an I/O thread between the socket and the caller at
// the client, and answers on the I/O thread at the server.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <sys/socket.h>

#include "channel/tcp.h"
#include "channel/testing/raw_peer.h"

namespace aloft::channel {
namespace {

using Clock = std::chrono::steady_clock;
using testing::RawListener;
using testing::RawPeer;

constexpr std::size_t kReply = 1024;  // bytes
constexpr StreamId kStream = 16;

// Answers each message with kReply bytes, from the I/O thread.
class Server final : public Acceptor, public Receiver {
 public:
  explicit Server(std::size_t size) : memory_(size), reply_(kReply) {}
  Result<Receiver*> accept(std::span<const std::byte>, const PeerInfo&) override { return this; }
  void ready(Receiver*, std::unique_ptr<Endpoint> endpoint) override {
    endpoint_ = std::move(endpoint);
  }
  void end() { endpoint_.reset(); }

  Result<std::span<std::byte>> on_message_begin(StreamId, std::span<const std::byte>,
                                                std::uint64_t size) override {
    return std::span(memory_).first(size);
  }
  void on_message_end(StreamId stream) override {
    const std::span<const std::byte> body(reply_);
    (void)endpoint_->send({.stream = stream, .head = {}, .body = {&body, 1}, .token = 0});
  }
  void on_sent(StreamId stream, std::uint64_t, const Result<void>&) override {
    endpoint_->grant(stream, memory_.size());
  }
  // As an instance with two receive buffers does.
  void on_up(std::span<const std::byte>) override {
    endpoint_->grant(kStream, memory_.size());
    endpoint_->grant(kStream, memory_.size());
  }
  void on_message_abandoned(StreamId, const Error&) override {}
  void on_credit(StreamId, std::uint64_t) override {}
  void on_reset(StreamId, const Error&) override {}
  void on_down(const Error&, Clock::time_point) override {}

 private:
  std::vector<std::byte> memory_;
  std::vector<std::byte> reply_;
  std::unique_ptr<Endpoint> endpoint_;
};

// A semaphore that goes to sleep at once; that of the standard library yields the processor some
// times before.
class Semaphore {
 public:
  Semaphore() { ::sem_init(&semaphore_, 0, 0); }
  ~Semaphore() { ::sem_destroy(&semaphore_); }
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  void acquire() {
    while (::sem_wait(&semaphore_) != 0) {
    }
  }
  void release() { ::sem_post(&semaphore_); }

 private:
  ::sem_t semaphore_;
};

class Client final : public Receiver {
 public:
  Client() : memory_(kReply) {}
  void call(Endpoint& endpoint, std::span<const std::byte> body) {
    credit_.acquire();
    const auto head = std::as_bytes(std::span(std::string_view("a head of about the usual size")));
    if (!endpoint.send_quietly({.stream = kStream, .head = head, .body = {&body, 1}, .token = 0}))
      std::abort();
    reply_.acquire();
  }

  Result<std::span<std::byte>> on_message_begin(StreamId, std::span<const std::byte>,
                                                std::uint64_t size) override {
    return std::span(memory_).first(size);
  }
  void on_message_end(StreamId) override { reply_.release(); }
  void on_credit(StreamId, std::uint64_t) override { credit_.release(); }
  void on_sent(StreamId, std::uint64_t, const Result<void>&) override {}
  void on_up(std::span<const std::byte>) override {}
  void on_message_abandoned(StreamId, const Error&) override {}
  void on_reset(StreamId, const Error&) override {}
  void on_down(const Error&, Clock::time_point) override {}

 private:
  std::vector<std::byte> memory_;
  Semaphore credit_;
  Semaphore reply_;
};

// The same over bare sockets.
class Bare {
 public:
  explicit Bare(std::size_t size)
      : client_(RawPeer::connect(listener_.port())), server_(listener_.accept()) {
    for (const RawPeer* peer : {&client_, &server_}) {
      const int on = 1;
      ::setsockopt(peer->socket(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    thread_ = std::thread([this, size] {
      std::vector<std::byte> memory(size);
      const std::vector<std::byte> reply(kReply);
      while (receive(server_, memory)) server_.write(reply);
    });
  }
  ~Bare() {
    client_.shut();
    thread_.join();
  }
  void call(std::span<const std::byte> body) {
    client_.write(body);
    if (!receive(client_, reply_)) std::abort();
  }

 private:
  static bool receive(const RawPeer& peer, std::span<std::byte> memory) {
    while (!memory.empty()) {
      const ssize_t size = ::recv(peer.socket(), memory.data(), memory.size(), 0);
      if (size <= 0) return false;
      memory = memory.subspan(static_cast<std::size_t>(size));
    }
    return true;
  }

  RawListener listener_;
  RawPeer client_;
  RawPeer server_;
  std::vector<std::byte> reply_ = std::vector<std::byte>(kReply);
  std::thread thread_;
};

struct Row {
  std::size_t bytes;
  double bare_us, aloft_us, ratio, bare_p99_us, aloft_p99_us;
};

double quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

template <class Call>
void measure(std::vector<double>& times, Call call) {
  const auto start = Clock::now();
  call();
  times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
}

Row run(std::size_t bytes, int blocks, int calls) {
  const std::vector<std::byte> body(bytes, std::byte{1});
  Bare bare(bytes);
  IoThread client_io;
  IoThread server_io;
  Server server(bytes);
  auto listener = listen_tcp(server_io, {"127.0.0.1", 0}, {}, server);
  if (!listener) std::abort();
  Client client;
  EndpointOptions options;
  options.receive = CreditRule::not_required;
  auto endpoint = connect_tcp(client_io, (*listener)->address(), options, client);

  std::vector<double> ratios;
  std::vector<double> all_bare;
  std::vector<double> all_aloft;
  for (int block = -1; block < blocks; ++block) {
    std::vector<double> bare_times;
    std::vector<double> aloft_times;
    for (int i = 0; i < calls; ++i) measure(bare_times, [&] { bare.call(body); });
    for (int i = 0; i < calls; ++i) measure(aloft_times, [&] { client.call(*endpoint, body); });
    if (block < 0) continue;  // warms up
    ratios.push_back(quantile(aloft_times, 0.5) / quantile(bare_times, 0.5));
    all_bare.insert(all_bare.end(), bare_times.begin(), bare_times.end());
    all_aloft.insert(all_aloft.end(), aloft_times.begin(), aloft_times.end());
  }
  endpoint.reset();
  server.end();
  return {bytes,
          quantile(all_bare, 0.5),
          quantile(all_aloft, 0.5),
          quantile(ratios, 0.5),
          quantile(all_bare, 0.99),
          quantile(all_aloft, 0.99)};
}

}  // namespace
}  // namespace aloft::channel

int main(int argc, char** argv) {
  std::string json;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) json = argv[i + 1];
  }
  std::string rows;
  std::printf("%10s %12s %12s %8s %12s %12s\n", "bytes", "bare p50 us", "aloft p50 us", "ratio",
              "bare p99 us", "aloft p99 us");
  for (const std::size_t bytes : {std::size_t{64}, std::size_t{100'000}, std::size_t{1'300'000}}) {
    const auto row = aloft::channel::run(bytes, 15, bytes > 500'000 ? 100 : 300);
    std::printf("%10zu %12.1f %12.1f %8.2f %12.1f %12.1f\n", row.bytes, row.bare_us, row.aloft_us,
                row.ratio, row.bare_p99_us, row.aloft_p99_us);
    char text[256];
    std::snprintf(
        text, sizeof text,
        "%s{\"bytes\":%zu,\"tcp_p50_us\":%.1f,\"aloft_p50_us\":%.1f,\"aloft_over_tcp\":%.3f,"
        "\"tcp_p99_us\":%.1f,\"aloft_p99_us\":%.1f}",
        rows.empty() ? "" : ",", row.bytes, row.bare_us, row.aloft_us, row.ratio, row.bare_p99_us,
        row.aloft_p99_us);
    rows += text;
  }
  if (json.empty()) return 0;
  std::ofstream out(json);
  out << "[" << rows << "]\n";
  if (out.flush()) return 0;
  std::fprintf(stderr, "error: cannot write %s\n", json.c_str());
  return 1;
}
