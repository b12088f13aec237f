#include "cluster/etcd_members.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>
#include <thread>
#include <utility>

#include <grpc/support/time.h>

#include "net/address.h"

namespace aloft::cluster {
namespace {

using namespace std::chrono_literals;

// While nobody is connected or no leader is elected.
constexpr auto kPause = 20ms;

Result<std::string> read_pem(const std::filesystem::path& file) {
  if (file.empty()) return std::string();
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream || text.empty()) return fail(Errc::not_found, "cannot read " + file.string());
  return text;
}

Result<std::shared_ptr<grpc::ChannelCredentials>> credentials(const EtcdOptions& options) {
  if (options.certificate.empty() != options.key.empty())
    return fail(Errc::invalid_argument, "etcd: a certificate and its key go together");
  if (options.authority.empty()) {
    if (!options.certificate.empty())
      return fail(Errc::invalid_argument, "etcd: a certificate needs an authority for etcd's own");
    return grpc::InsecureChannelCredentials();
  }
  const auto authority = read_pem(options.authority);
  const auto certificate = read_pem(options.certificate);
  const auto key = read_pem(options.key);
  for (const auto* pem : {&authority, &certificate, &key}) {
    if (!*pem) return std::unexpected(pem->error());
  }
  grpc::SslCredentialsOptions ssl;
  ssl.pem_root_certs = *authority;
  ssl.pem_cert_chain = *certificate;
  ssl.pem_private_key = *key;
  return grpc::SslCredentials(ssl);
}

grpc::ChannelArguments arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // Etcd closes a connection that asks more often than every 5 s, or without a call under way.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 6'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return arguments;
}

// Deadlines that do not move when a clock is set.
gpr_timespec deadline_in(EtcdMembers::Clock::duration left) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(std::max<std::int64_t>(ms, 0), GPR_TIMESPAN));
}

bool says(const grpc::Status& status, std::string_view text) {
  return status.error_message().find(text) != std::string::npos;
}

// The member refused it before it did anything, or it never left this machine.
bool was_not_done(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE &&
         (says(status, "no leader") || says(status, "failed to connect"));
}

bool is_answer(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::DATA_LOSS: return true;
    default: return false;
  }
}

Error error_of(const grpc::Status& status, const std::string& address) {
  Errc code = Errc::unreachable;
  std::string hint;
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE: code = Errc::invalid_argument; break;
    case grpc::StatusCode::NOT_FOUND: code = Errc::not_found; break;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      code = says(status, "too many requests") ? Errc::overloaded : Errc::resource_exhausted;
      if (says(status, "space exceeded"))
        hint = "; compact and defragment it, then `etcdctl alarm disarm`";
      break;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED: code = Errc::refused; break;
    case grpc::StatusCode::DATA_LOSS: code = Errc::corrupt; break;
    default: break;
  }
  return {code, "etcd at " + address + ": " + status.error_message() + hint};
}

}  // namespace

EtcdMembers::EtcdMembers(std::vector<std::unique_ptr<EtcdMember>> members,
                         std::chrono::milliseconds timeout)
    : members_(std::move(members)), timeout_(timeout) {}

Result<std::shared_ptr<EtcdMembers>> EtcdMembers::open(const EtcdOptions& options) {
  if (options.endpoints.empty())
    return fail(Errc::invalid_argument, "etcd: no endpoints are given (HOST:PORT of each member)");
  const auto shown = credentials(options);
  if (!shown) return std::unexpected(shown.error());
  std::vector<std::unique_ptr<EtcdMember>> members;
  for (const std::string& address : options.endpoints) {
    if (const auto parsed = net::Address::parse(address); !parsed)
      return fail(parsed.error().code, "etcd's endpoints: " + parsed.error().message);
    auto member = std::make_unique<EtcdMember>();
    member->address = address;
    member->channel = grpc::CreateCustomChannel(address, *shown, arguments());
    member->kv = etcdserverpb::KV::NewStub(member->channel);
    member->lease = etcdserverpb::Lease::NewStub(member->channel);
    member->watch = etcdserverpb::Watch::NewStub(member->channel);
    member->maintenance = etcdserverpb::Maintenance::NewStub(member->channel);
    member->channel->GetState(true);
    members.push_back(std::move(member));
  }
  return std::shared_ptr<EtcdMembers>(new EtcdMembers(std::move(members), options.timeout));
}

Result<EtcdMember*> EtcdMembers::connected(Clock::time_point deadline) {
  for (;;) {
    const std::size_t first = in_use_.load();
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const std::size_t index = (first + i) % members_.size();
      EtcdMember& member = *members_[index];
      if (member.channel->GetState(true) != GRPC_CHANNEL_READY) continue;
      std::size_t expected = first;
      if (index != first) in_use_.compare_exchange_strong(expected, index);
      return &member;
    }
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration(0)) return std::unexpected(nobody_answers());
    // Wakes at once when the one in use is connected, which is the usual case.
    const EtcdMember& member = *members_[first];
    const auto state = member.channel->GetState(true);
    if (state != GRPC_CHANNEL_READY)
      member.channel->WaitForStateChange(state,
                                         deadline_in(std::min<Clock::duration>(left, kPause)));
  }
}

void EtcdMembers::leave(const EtcdMember& member) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    std::size_t expected = i;
    if (members_[i].get() == &member)
      in_use_.compare_exchange_strong(expected, (i + 1) % members_.size());
  }
}

void EtcdMembers::prepare(grpc::ClientContext& context) {
  context.AddMetadata("hasleader", "true");
}

Error EtcdMembers::nobody_answers() const {
  // A call that must fail says why there is no connection: a port that is closed, a certificate.
  const EtcdMember& member = *members_[in_use_.load()];
  grpc::ClientContext context;
  context.set_deadline(deadline_in(kPause));
  etcdserverpb::StatusResponse response;
  const grpc::Status status = member.maintenance->Status(&context, {}, &response);
  std::string addresses;
  for (const auto& each : members_) addresses += (addresses.empty() ? "" : ", ") + each->address;
  return {Errc::unreachable,
          "no member of etcd can be reached (" + addresses + "): " + status.error_message()};
}

Result<void> EtcdMembers::call(EtcdRepeat repeat, const Call& call, bool* compacted) {
  const auto deadline = Clock::now() + timeout_;
  // A member that is silent must leave time for another one.
  const auto patience = repeat == EtcdRepeat::fine && members_.size() > 1 ? timeout_ / 2 : timeout_;
  for (;;) {
    const auto member = connected(deadline);
    if (!member) return std::unexpected(member.error());
    grpc::ClientContext context;
    prepare(context);
    context.set_deadline(deadline_in(std::min<Clock::duration>(deadline - Clock::now(), patience)));
    const grpc::Status status = call(**member, context);
    if (status.ok()) return {};
    if (is_answer(status)) {
      if (compacted != nullptr) *compacted = status.error_code() == grpc::StatusCode::OUT_OF_RANGE;
      return std::unexpected(error_of(status, (*member)->address));
    }
    leave(**member);
    const bool again = repeat == EtcdRepeat::fine || was_not_done(status);
    if (!again || Clock::now() + kPause >= deadline)
      return std::unexpected(error_of(status, (*member)->address));
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace aloft::cluster
