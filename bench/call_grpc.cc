// gRPC, C++, unary calls with one bytes field: a blocking client against the synchronous server for
// calls one at a time, the callback client against the callback server for many in flight.
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <sstream>

#include <grpcpp/grpcpp.h>

#include "call.grpc.pb.h"
#include "call_sides.h"
#include "support/process.h"

namespace aloft::bench {
namespace {

using Clock = std::chrono::steady_clock;

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void answer(const Bytes& request, Bytes& reply) {
  reply.mutable_data()->assign(
      kReply, static_cast<char>(touch_lines(request.data().data(), request.data().size())));
}

class SyncService final : public Touch::Service {
  grpc::Status Call(grpc::ServerContext*, const Bytes* request, Bytes* reply) override {
    answer(*request, *reply);
    return grpc::Status::OK;
  }
};

class CallbackService final : public Touch::CallbackService {
  grpc::ServerUnaryReactor* Call(grpc::CallbackServerContext* context, const Bytes* request,
                                 Bytes* reply) override {
    answer(*request, *reply);
    auto* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

// A call of the callback client, used again and again.
struct Slot {
  std::unique_ptr<grpc::ClientContext> context;
  Bytes reply;
  Clock::time_point start;
};

class GrpcSide final : public Side {
 public:
  explicit GrpcSide(const TlsFiles* tls) {
    std::error_code error;
    const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
    std::vector<std::string> command{"taskset", "-c",      std::string(kServerCore),
                                     self,      "--serve", "grpc"};
    if (tls != nullptr) {
      for (const auto& file : {tls->authority, tls->certificate, tls->key})
        command.push_back(file.string());
    }
    auto started = testing::Process::start(command);
    if (!started) die(started.error().message);
    server_ = std::make_unique<testing::Process>(std::move(*started));
    std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
    if (tls != nullptr) {
      credentials = grpc::SslCredentials(
          {read_file(tls->authority), read_file(tls->key), read_file(tls->certificate)});
    }
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    for (auto& stub : stubs_) {
      const auto port = server_->read_line(std::chrono::seconds(10));
      if (!port) die("the gRPC server did not start: " + server_->transcript());
      stub =
          Touch::NewStub(grpc::CreateCustomChannel("127.0.0.1:" + *port, credentials, arguments));
    }
  }

  void prepare(std::size_t request_bytes) override {
    if (request_.data().size() != request_bytes) request_.mutable_data()->assign(request_bytes, 1);
  }
  void call() override {
    grpc::ClientContext context;
    Bytes reply;
    const grpc::Status status = stubs_[0]->Call(&context, request_, &reply);
    if (!status.ok() || reply.data().size() != kReply) die("gRPC: " + status.error_message());
  }
  void pipelined(std::size_t calls, std::size_t in_flight, std::vector<double>& times) override {
    std::deque<Slot> slots(in_flight);
    left_ = calls;
    done_ = 0;
    times_ = &times;
    for (Slot& slot : slots) start(slot);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_ == calls; });
  }
  [[nodiscard]] pid_t server() const override { return server_->pid(); }

 private:
  void start(Slot& slot) {
    {
      const std::lock_guard lock(mutex_);
      if (left_ == 0) return;
      --left_;
    }
    slot.context = std::make_unique<grpc::ClientContext>();
    slot.start = Clock::now();
    stubs_[1]->async()->Call(
        slot.context.get(), &request_, &slot.reply, [this, &slot](const grpc::Status& status) {
          if (!status.ok()) die("gRPC: " + status.error_message());
          const std::chrono::duration<double, std::micro> time = Clock::now() - slot.start;
          start_next(slot, time.count());
        });
  }
  void start_next(Slot& slot, double time) {
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      times_->push_back(time);
      last = left_ == 0;
    }
    if (!last) start(slot);
    const std::lock_guard lock(mutex_);
    ++done_;
    changed_.notify_all();
  }

  std::unique_ptr<testing::Process> server_;
  std::unique_ptr<Touch::Stub> stubs_[2];  // of the synchronous server, of the callback server
  Bytes request_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t left_ = 0;
  std::size_t done_ = 0;
  std::vector<double>* times_ = nullptr;
};

}  // namespace

std::unique_ptr<Side> make_grpc_side(const TlsFiles* tls) {
  return std::make_unique<GrpcSide>(tls);
}

void serve_grpc(const std::vector<std::string>& files) {
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (files.size() == 3) {
    grpc::SslServerCredentialsOptions options(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = read_file(files[0]);
    options.pem_key_cert_pairs.push_back({read_file(files[2]), read_file(files[1])});
    credentials = grpc::SslServerCredentials(options);
  }
  SyncService sync;
  CallbackService callback;
  std::vector<std::unique_ptr<grpc::Server>> servers;
  for (grpc::Service* service :
       {static_cast<grpc::Service*>(&sync), static_cast<grpc::Service*>(&callback)}) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.SetMaxReceiveMessageSize(-1);
    builder.AddListeningPort("127.0.0.1:0", credentials, &port);
    builder.RegisterService(service);
    servers.push_back(builder.BuildAndStart());
    if (!servers.back()) die("the gRPC server cannot be made");
    std::printf("%d\n", port);
    std::fflush(stdout);
  }
  for (auto& server : servers) server->Wait();
  std::exit(0);
}

}  // namespace aloft::bench
