#include "cluster/etcd_store.h"

#include <string_view>
#include <utility>

#include "cluster/etcd_members.h"
#include "cluster/etcd_watch.h"

namespace aloft::cluster {
namespace {

// Of a list, in one message: a few MB of sessions.
constexpr std::int64_t kPage = 2'000;
// A list that takes so long that its revision is forgotten begins anew.
constexpr int kListTries = 3;

class Etcd final : public Store {
 public:
  Etcd(std::shared_ptr<EtcdMembers> members, std::string prefix)
      : members_(std::move(members)), prefix_(std::move(prefix)) {}

  Result<std::optional<Entry>> get(std::string_view key) override {
    etcdserverpb::RangeRequest request;
    request.set_key(prefix_ + std::string(key));
    auto response = range(request);
    if (!response) return std::unexpected(response.error());
    if (response->kvs().empty()) return std::nullopt;
    return entry_of(*response->mutable_kvs(0));
  }

  Result<Snapshot> list(std::string_view prefix) override {
    for (int i = 1;; ++i) {
      bool compacted = false;
      auto snapshot = list_once(prefix, compacted);
      if (snapshot || !compacted || i == kListTries) return snapshot;
    }
  }

  Result<Committed> commit(const Transaction& transaction) override {
    if (auto fine = check(transaction); !fine) return std::unexpected(fine.error());
    etcdserverpb::TxnRequest request;
    for (const Condition& condition : transaction.conditions) {
      auto& compare = *request.add_compare();
      compare.set_result(etcdserverpb::Compare::EQUAL);
      compare.set_target(etcdserverpb::Compare::MOD);
      compare.set_key(prefix_ + condition.key);
      compare.set_mod_revision(static_cast<std::int64_t>(condition.revision));
      request.add_failure()->mutable_request_range()->set_key(compare.key());
    }
    for (const Change& change : transaction.changes) {
      auto& operation = *request.add_success();
      if (change.value) {
        auto& put = *operation.mutable_request_put();
        put.set_key(prefix_ + change.key);
        put.set_value(*change.value);
        put.set_lease(change.lease);
      } else {
        operation.mutable_request_delete_range()->set_key(prefix_ + change.key);
      }
    }
    etcdserverpb::TxnResponse response;
    const EtcdRepeat repeat = transaction.changes.empty() ? EtcdRepeat::fine : EtcdRepeat::never;
    const auto done = members_->call(repeat, [&](auto& member, auto& context) {
      return member.kv->Txn(&context, request, &response);
    });
    if (!done) return std::unexpected(done.error());
    Committed committed{.succeeded = response.succeeded(),
                        .revision = static_cast<Revision>(response.header().revision())};
    if (committed.succeeded) return committed;
    for (auto& answer : *response.mutable_responses()) {
      for (auto& found : *answer.mutable_response_range()->mutable_kvs())
        committed.found.push_back(entry_of(found));
    }
    return committed;
  }

  Result<LeaseId> grant_lease(std::chrono::seconds ttl) override {
    if (ttl < std::chrono::seconds(1) || ttl > std::chrono::hours(24 * 365))
      return fail(Errc::invalid_argument, "a lease lasts between a second and a year");
    etcdserverpb::LeaseGrantRequest request;
    request.set_ttl(ttl.count());
    etcdserverpb::LeaseGrantResponse response;
    // One that was made without an answer ends by itself.
    const auto done = members_->call(EtcdRepeat::fine, [&](auto& member, auto& context) {
      return member.lease->LeaseGrant(&context, request, &response);
    });
    if (!done) return std::unexpected(done.error());
    return response.id();
  }

  Result<void> keep_alive(LeaseId lease) override {
    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(lease);
    etcdserverpb::LeaseKeepAliveResponse response;
    const auto done = members_->call(EtcdRepeat::fine, [&](auto& member, auto& context) {
      const auto stream = member.lease->LeaseKeepAlive(&context);
      const bool answered =
          stream->Write(request) && stream->WritesDone() && stream->Read(&response);
      const grpc::Status status = stream->Finish();
      if (status.ok() && !answered)
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "no answer to a keep-alive");
      return answered ? grpc::Status::OK : status;
    });
    if (!done) return std::unexpected(done.error());
    if (response.ttl() <= 0)
      return fail(Errc::not_found, "the lease " + std::to_string(lease) + " has ended");
    return {};
  }

  Result<void> revoke_lease(LeaseId lease) override {
    etcdserverpb::LeaseRevokeRequest request;
    request.set_id(lease);
    etcdserverpb::LeaseRevokeResponse response;
    auto done = members_->call(EtcdRepeat::fine, [&](auto& member, auto& context) {
      return member.lease->LeaseRevoke(&context, request, &response);
    });
    if (!done && done.error().code == Errc::not_found) return {};
    return done;
  }

  Result<std::unique_ptr<Watch>> watch(std::string_view prefix, Revision since,
                                       WatchCalls calls) override {
    if (!calls.on_events) return fail(Errc::invalid_argument, "a watch without on_events");
    return watch_etcd(members_, prefix_, prefix, since, std::move(calls));
  }

 private:
  Result<etcdserverpb::RangeResponse> range(const etcdserverpb::RangeRequest& request,
                                            bool* compacted = nullptr) {
    etcdserverpb::RangeResponse response;
    const auto done = members_->call(
        EtcdRepeat::fine,
        [&](auto& member, auto& context) { return member.kv->Range(&context, request, &response); },
        compacted);
    if (!done) return std::unexpected(done.error());
    return response;
  }

  // Page by page, all of the first one's revision.
  Result<Snapshot> list_once(std::string_view prefix, bool& compacted) {
    etcdserverpb::RangeRequest request;
    request.set_key(prefix_ + std::string(prefix));
    request.set_range_end(end_of_prefix(request.key()));
    if (request.key().empty()) request.set_key(std::string(1, '\0'));
    request.set_limit(kPage);
    Snapshot snapshot;
    for (;;) {
      auto response = range(request, &compacted);
      if (!response) return std::unexpected(response.error());
      if (request.revision() == 0) {
        request.set_revision(response->header().revision());
        snapshot.revision = static_cast<Revision>(response->header().revision());
      }
      for (auto& found : *response->mutable_kvs()) snapshot.entries.push_back(entry_of(found));
      if (!response->more() || response->kvs().empty()) return snapshot;
      // The first key after the last one.
      request.set_key(prefix_ + snapshot.entries.back().key + '\0');
    }
  }

  Entry entry_of(etcdserverpb::KeyValue& found) const {
    return {.key = found.key().substr(prefix_.size()),
            .value = std::move(*found.mutable_value()),
            .revision = static_cast<Revision>(found.mod_revision())};
  }

  const std::shared_ptr<EtcdMembers> members_;
  const std::string prefix_;
};

}  // namespace

Result<std::unique_ptr<Store>> EtcdStore::open(EtcdOptions options) {
  auto members = EtcdMembers::open(options);
  if (!members) return std::unexpected(members.error());
  return std::make_unique<Etcd>(std::move(*members), std::move(options.prefix));
}

}  // namespace aloft::cluster
