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
// Thousands of devices do not wait for each other.
constexpr std::size_t kMoreAtOnce = 64;

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

Result<std::unique_ptr<ControlDevices>> ControlDevices::connect(const ControlCluster& cluster,
                                                                std::size_t at_once) {
  std::unique_ptr<ControlDevices> devices(new ControlDevices());
  for (std::size_t i = 0; i < at_once; ++i) {
    auto device = cluster.device(i);
    if (!device) return std::unexpected(device.error());
    devices->devices_.push_back(*std::move(device));
  }
  return devices;
}

template <class Request>
Result<Requests> ControlDevices::each(std::size_t count, std::size_t threads, Request request) {
  std::mutex mutex;
  Requests all;
  std::optional<grpc::Status> wrong;
  std::atomic<std::size_t> begun = 0;
  const auto begin = Clock::now();
  const auto work = [&](Stub& device) {
    Requests own;
    std::optional<grpc::Status> own_wrong;
    for (std::size_t i = begun++; i < count; i = begun++) {
      const auto start = Clock::now();
      const grpc::Status status = request(device, i);
      if (status.ok()) {
        own.milliseconds.push_back(
            std::chrono::duration<double, std::milli>(Clock::now() - start).count());
      } else if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
        ++own.refused;
      } else {
        own_wrong = status;
        begun = count;  // the others need not go on
      }
    }
    const std::scoped_lock lock(mutex);
    all.milliseconds.insert(all.milliseconds.end(), own.milliseconds.begin(),
                            own.milliseconds.end());
    all.refused += own.refused;
    if (own_wrong) wrong = own_wrong;
  };
  {
    std::vector<std::jthread> running;
    for (std::size_t i = 0; i < std::min(threads, count); ++i)
      running.emplace_back([&, i] { work(*devices_[i % devices_.size()]); });
  }
  all.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (wrong) {
    return fail(Errc::internal, "a manager answered " + std::to_string(wrong->error_code()) + ": " +
                                    wrong->error_message());
  }
  return all;
}

Result<Requests> ControlDevices::open(std::size_t count) {
  return each(count, devices_.size(), [&](Stub& device, std::size_t) {
    thread_local std::mt19937_64 random{std::random_device()()};
    grpc::ClientContext context;
    set_limit(context);
    v1::Session session;
    const grpc::Status status = device.OpenSession(&context, open_request(random), &session);
    if (status.ok()) {
      const std::scoped_lock lock(mutex_);
      sessions_.push_back({session.id(), &device, Clock::now()});
    }
    return status;
  });
}

Result<Requests> ControlDevices::renew(std::chrono::seconds age) {
  const auto before = Clock::now() - age;
  std::vector<Session*> due;
  for (Session& session : sessions_) {
    if (session.renewed <= before) due.push_back(&session);
  }
  return each(due.size(), kMoreAtOnce, [&](Stub&, std::size_t i) {
    grpc::ClientContext context;
    set_limit(context);
    v1::RenewSessionRequest request;
    request.set_id(due[i]->id);
    v1::Session answer;
    const grpc::Status status = due[i]->device->RenewSession(&context, request, &answer);
    if (status.ok()) due[i]->renewed = Clock::now();
    return status;
  });
}

Result<Requests> ControlDevices::close_all() {
  auto closed = each(sessions_.size(), kMoreAtOnce, [&](Stub&, std::size_t i) {
    grpc::ClientContext context;
    set_limit(context);
    v1::CloseSessionRequest request;
    request.set_id(sessions_[i].id);
    v1::CloseSessionResponse answer;
    return sessions_[i].device->CloseSession(&context, request, &answer);
  });
  sessions_.clear();
  return closed;
}

}  // namespace aloft::bench
