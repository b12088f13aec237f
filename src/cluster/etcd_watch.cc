#include "cluster/etcd_watch.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace aloft::cluster {
namespace {

using namespace std::chrono_literals;
using Stream = grpc::ClientReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>;

enum class After { again, end };

// Owned by the watch and by its thread, since a call may drop its own watch.
struct State {
  std::shared_ptr<EtcdMembers> members;
  std::size_t stripped = 0;  // from the front of each key
  std::string prefix;
  Store::WatchCalls calls;
  Revision told = 0;

  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
  grpc::ClientContext* context = nullptr;  // of the stream that is open

  bool has_ended() {
    const std::lock_guard lock(mutex);
    return ended;
  }

  // True once nobody wants it any more.
  bool pause(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, time, [this] { return ended; });
  }

  void end() {
    const std::lock_guard lock(mutex);
    ended = true;
    if (context != nullptr) context->TryCancel();
    changed.notify_all();
  }

  void run() {
    while (!has_ended()) {
      const auto member = members->connected(EtcdMembers::Clock::now() + 500ms);
      if (!member) continue;
      if (follow(**member) == After::end) return;
      members->leave(**member);
      if (pause(50ms)) return;
    }
  }

  After follow(EtcdMember& member) {
    grpc::ClientContext of_stream;
    EtcdMembers::prepare(of_stream);
    {
      const std::lock_guard lock(mutex);
      if (ended) return After::end;
      context = &of_stream;
    }
    const auto stream = member.watch->Watch(&of_stream);
    const After after = read(*stream);
    of_stream.TryCancel();
    static_cast<void>(stream->Finish());
    const std::lock_guard lock(mutex);
    context = nullptr;
    return ended ? After::end : after;
  }

  After read(Stream& stream) {
    etcdserverpb::WatchRequest request;
    auto& create = *request.mutable_create_request();
    create.set_key(prefix);
    create.set_range_end(end_of_prefix(prefix));
    create.set_start_revision(static_cast<std::int64_t>(told) + 1);
    create.set_progress_notify(true);
    if (!stream.Write(request)) return After::again;

    etcdserverpb::WatchResponse response;
    while (stream.Read(&response)) {
      if (response.canceled() && response.compact_revision() == 0) return After::again;
      const bool compacted = response.compact_revision() != 0;
      if (compacted || (response.created() && is_another_store(response))) {
        if (!has_ended() && calls.on_lost) calls.on_lost();
        return After::end;
      }
      if (!response.created()) tell(response);
      if (has_ended()) return After::end;
    }
    return After::again;
  }

  // A member that is behind is no other store: the majority is asked.
  bool is_another_store(const etcdserverpb::WatchResponse& created) {
    if (static_cast<Revision>(created.header().revision()) >= told) return false;
    etcdserverpb::RangeRequest request;
    request.set_key(prefix);
    etcdserverpb::RangeResponse response;
    const auto asked =
        members->call(EtcdRepeat::fine, [&](EtcdMember& member, grpc::ClientContext& of_call) {
          return member.kv->Range(&of_call, request, &response);
        });
    return asked && static_cast<Revision>(response.header().revision()) < told;
  }

  void tell(etcdserverpb::WatchResponse& response) {
    std::vector<Event> events;
    Revision last = told;
    for (etcdserverpb::Event& event : *response.mutable_events()) {
      etcdserverpb::KeyValue& entry = *event.mutable_kv();
      const auto revision = static_cast<Revision>(entry.mod_revision());
      last = std::max(last, revision);
      if (revision <= told) continue;
      Event& next = events.emplace_back();
      next.key = entry.key().substr(std::min(stripped, entry.key().size()));
      if (event.type() == etcdserverpb::Event::PUT) next.value = std::move(*entry.mutable_value());
      next.revision = revision;
    }
    // Without events it says that there were none up to this revision.
    told = response.events().empty()
               ? std::max(told, static_cast<Revision>(response.header().revision()))
               : last;
    if (!events.empty() && !has_ended()) calls.on_events(events);
  }
};

class EtcdWatch final : public Watch {
 public:
  explicit EtcdWatch(std::shared_ptr<State> state) : state_(std::move(state)) {
    thread_ = std::thread([running = state_] { running->run(); });
  }
  EtcdWatch(const EtcdWatch&) = delete;
  EtcdWatch& operator=(const EtcdWatch&) = delete;
  ~EtcdWatch() override {
    state_->end();
    if (thread_.get_id() == std::this_thread::get_id()) {
      thread_.detach();
    } else {
      thread_.join();
    }
  }

 private:
  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace

std::string end_of_prefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  // One zero byte stands for the end of everything.
  if (prefix.empty()) return std::string(1, '\0');
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

std::unique_ptr<Watch> watch_etcd(std::shared_ptr<EtcdMembers> members,
                                  const std::string& own_prefix, std::string_view prefix,
                                  Revision since, Store::WatchCalls calls) {
  auto state = std::make_shared<State>();
  state->members = std::move(members);
  state->stripped = own_prefix.size();
  state->prefix = own_prefix + std::string(prefix);
  state->calls = std::move(calls);
  state->told = since;
  return std::make_unique<EtcdWatch>(std::move(state));
}

}  // namespace aloft::cluster
