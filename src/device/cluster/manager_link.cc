#include "device/cluster/manager_link.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "rpc/status.h"

namespace aloft::device {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

std::optional<milliseconds> retry_after(const grpc::ClientContext& context) {
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto found = trailing.find(rpc::kRetryAfter);
  if (found == trailing.end()) return std::nullopt;
  constexpr std::int64_t kLongest = 60'000;
  std::int64_t value = 0;
  const auto [end, error] =
      std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  if (error != std::errc{} || value < 0) return std::nullopt;
  return milliseconds(std::min(value, kLongest));
}

std::shared_ptr<grpc::Channel> channel_to(const std::string& address,
                                          const ManagerCredentials& credentials) {
  grpc::ChannelArguments arguments;
  // Channels with equal arguments share their connections otherwise, and with them their fate.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Managers are named one by one: no proxy of the environment, no service configuration.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  return grpc::CreateCustomChannel(address, credentials.channel, arguments);
}

// What kept a connection from being made, and what to do: gRPC says it in its own terms, which are
// for its own authors.
std::string why_unreachable(const std::string& said) {
  if (said.contains("Connection refused"))
    return "nobody listens there: start it (aloft up, aloft-manager), or correct the address";
  // As OpenSSL and BoringSSL say it.
  if (said.contains("certificate verify failed") || said.contains("CERTIFICATE_VERIFY_FAILED")) {
    return "its certificate is not of the authority that this device trusts: are these the keys of "
           "its cluster?";
  }
  if (said.contains("DNS resolution failed"))
    return "there is no such name in the network: correct the address";
  return said;
}

}  // namespace

void Calls::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* const context : running_) context->TryCancel();
}

bool Calls::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

Calls::Running::Running(Calls& calls, grpc::ClientContext& context)
    : calls_(calls), context_(context) {
  const std::lock_guard lock(calls_.mutex_);
  calls_.running_.insert(&context);
  if (calls_.cancelled_) context.TryCancel();
}

Calls::Running::~Running() {
  const std::lock_guard lock(calls_.mutex_);
  calls_.running_.erase(&context_);
}

CallFailure failure_of(const grpc::Status& status, const grpc::ClientContext& context,
                       const std::string& manager) {
  using Then = CallFailure::Then;
  const std::string message = "manager " + manager + ": " + status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::FAILED_PRECONDITION: return {Then::never, {Errc::refused, message}, {}};
    case grpc::StatusCode::INVALID_ARGUMENT:
      return {Then::never, {Errc::invalid_argument, message}, {}};
    case grpc::StatusCode::NOT_FOUND: return {Then::gone, {Errc::not_found, message}, {}};
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return {Then::later, {Errc::overloaded, message}, retry_after(context)};
    case grpc::StatusCode::CANCELLED: return {Then::stopped, {Errc::cancelled, message}, {}};
    case grpc::StatusCode::UNAVAILABLE:
      return {Then::next_manager,
              {Errc::unreachable,
               "manager " + manager + ": " + why_unreachable(status.error_message())},
              {}};
    default: return {Then::next_manager, {Errc::unreachable, message}, {}};
  }
}

ManagerCredentials credentials_of(const ClusterOptions& options) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = options.authority;  // empty: the system's
  tls.pem_cert_chain = options.certificate;
  tls.pem_private_key = options.key;
  return {.channel = grpc::SslCredentials(tls), .token = options.token};
}

ManagerLink::ManagerLink(std::string address, const ManagerCredentials& credentials)
    : address_(std::move(address)), credentials_(credentials) {}

std::shared_ptr<ManagerLink::Stub> ManagerLink::stub() {
  const std::lock_guard lock(mutex_);
  if (!stub_) stub_ = v1::OffloadManager::NewStub(channel_to(address_, credentials_));
  return stub_;
}

void ManagerLink::leave(const std::shared_ptr<Stub>& stub) {
  const std::lock_guard lock(mutex_);
  if (stub_ == stub) stub_ = nullptr;
}

void ManagerLink::prepare(grpc::ClientContext& context, std::optional<milliseconds> limit) const {
  if (limit) context.set_deadline(std::chrono::system_clock::now() + *limit);
  if (!credentials_.token.empty())
    context.AddMetadata("authorization", "Bearer " + credentials_.token);
}

std::expected<ManagerLink::Pinged, CallFailure> ManagerLink::ping(Calls& calls, milliseconds limit,
                                                                  int round_trips) {
  Pinged pinged{.cluster = {}, .round_trip = std::chrono::microseconds::max()};
  const auto deadline = steady_clock::now() + limit;
  // The first one connects, which takes several round trips, and is not counted.
  for (int i = 0; i <= round_trips; ++i) {
    const auto begin = steady_clock::now();
    if (begin >= deadline) break;
    const auto left = std::chrono::ceil<milliseconds>(deadline - begin);
    const auto answer = call(&Stub::Ping, v1::PingRequest(), calls, left);
    if (!answer) {
      if (i <= 1) return std::unexpected(answer.error());
      break;
    }
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - begin);
    pinged.cluster = answer->cluster();
    if (i > 0 || steady_clock::now() >= deadline)
      pinged.round_trip = std::min(pinged.round_trip, took);
  }
  return pinged;
}

}  // namespace aloft::device
