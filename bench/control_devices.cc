#include "control_devices.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <thread>
#include <utility>

namespace aloft::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kAnswerLimit = 20s;

std::string random_bytes(std::mt19937_64& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

v1::OpenSessionRequest open_request(std::mt19937_64& random) {
  v1::OpenSessionRequest request;
  auto* const module = request.add_modules();
  module->set_name("detect");
  module->set_digest("sha256:" + std::string(64, 'a'));
  request.mutable_resources()->set_memory_bytes(kSessionMemory);
  request.mutable_resources()->set_cpu_millicores(10);
  request.set_client_key_sha256(random_bytes(random, 32));
  request.set_idempotency_key(random_bytes(random, 16));
  return request;
}

void set_limit(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kAnswerLimit);
}

}  // namespace

double Requests::quantile(double q) const {
  if (milliseconds.empty()) return 0;
  std::vector<double> sorted = milliseconds;
  std::ranges::sort(sorted);
  return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
}

Result<std::unique_ptr<ControlDevices>> ControlDevices::connect(const ControlCluster& cluster,
                                                                std::size_t at_once) {
  std::unique_ptr<ControlDevices> devices(new ControlDevices());
  for (std::size_t i = 0; i < at_once; ++i) {
    auto stub = cluster.device(i);
    if (!stub) return std::unexpected(stub.error());
    devices->devices_.push_back({*std::move(stub), {}});
  }
  return devices;
}

template <class Request>
Result<Requests> ControlDevices::each(Request request) {
  std::mutex mutex;
  Requests all;
  std::optional<grpc::Status> wrong;
  std::atomic<bool> stop = false;
  const auto begin = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (Device& device : devices_) {
      threads.emplace_back([&] {
        Requests own;
        std::optional<grpc::Status> own_wrong;
        while (!stop) {
          const auto start = Clock::now();
          const std::optional<grpc::Status> status = request(device);
          if (!status) break;
          if (status->ok()) {
            own.milliseconds.push_back(
                std::chrono::duration<double, std::milli>(Clock::now() - start).count());
          } else if (status->error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
            ++own.refused;
          } else {
            own_wrong = status;
            stop = true;
          }
        }
        const std::scoped_lock lock(mutex);
        all.milliseconds.insert(all.milliseconds.end(), own.milliseconds.begin(),
                                own.milliseconds.end());
        all.refused += own.refused;
        if (own_wrong) wrong = own_wrong;
      });
    }
  }
  all.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (wrong) {
    return fail(Errc::internal, "a manager answered " + std::to_string(wrong->error_code()) + ": " +
                                    wrong->error_message());
  }
  return all;
}

Result<Requests> ControlDevices::open(std::size_t count) {
  // The next one is opened by whoever has time.
  std::atomic<std::size_t> begun = 0;
  return each([&](Device& device) -> std::optional<grpc::Status> {
    if (begun++ >= count) return std::nullopt;
    thread_local std::mt19937_64 random{std::random_device()()};
    grpc::ClientContext context;
    set_limit(context);
    v1::Session session;
    const grpc::Status status = device.stub->OpenSession(&context, open_request(random), &session);
    if (status.ok()) device.sessions.push_back({session.id(), Clock::now()});
    return status;
  });
}

Result<Requests> ControlDevices::renew(std::chrono::seconds age) {
  for (Device& device : devices_) device.next = 0;
  const auto before = Clock::now() - age;
  return each([&](Device& device) -> std::optional<grpc::Status> {
    while (device.next < device.sessions.size() && device.sessions[device.next].renewed > before) {
      ++device.next;
    }
    if (device.next == device.sessions.size()) return std::nullopt;
    Session& session = device.sessions[device.next++];
    grpc::ClientContext context;
    set_limit(context);
    v1::RenewSessionRequest request;
    request.set_id(session.id);
    v1::Session answer;
    const grpc::Status status = device.stub->RenewSession(&context, request, &answer);
    if (status.ok()) session.renewed = Clock::now();
    return status;
  });
}

Result<Requests> ControlDevices::close_all() {
  return each([&](Device& device) -> std::optional<grpc::Status> {
    if (device.sessions.empty()) return std::nullopt;
    v1::CloseSessionRequest request;
    request.set_id(device.sessions.back().id);
    device.sessions.pop_back();
    grpc::ClientContext context;
    set_limit(context);
    v1::CloseSessionResponse answer;
    return device.stub->CloseSession(&context, request, &answer);
  });
}

std::size_t ControlDevices::sessions() const {
  std::size_t count = 0;
  for (const Device& device : devices_) count += device.sessions.size();
  return count;
}

}  // namespace aloft::bench
