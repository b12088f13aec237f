#include "cluster/session_watchers.h"

#include <utility>
#include <vector>

namespace aloft::cluster {
namespace {

constexpr std::size_t kMaxStreams = 50'000;
constexpr std::size_t kMaxOfSession = 4;

bool same_place(const v1::Session& a, const v1::Session& b) {
  return a.state() == b.state() && a.placement().generation() == b.placement().generation() &&
         a.placement().address() == b.placement().address();
}

}  // namespace

// Its own shared pointer keeps it until gRPC is done with it.
class SessionWatchers::Stream final : public grpc::ServerWriteReactor<v1::Session> {
 public:
  explicit Stream(SessionWatchers& watchers) : watchers_(watchers) {}

  // With the watchers' mutex held; tell() comes after it has been set.
  [[nodiscard]] const std::string& id() const { return id_; }
  void id(std::string id) { id_ = std::move(id); }

  // Writes what is, when that was not told yet and nothing is on its way.
  void tell() {
    auto now = watchers_.look_(id_);
    const std::scoped_lock lock(mutex_);
    if (finished_) return;
    if (writing_) {
      again_ = true;
      return;
    }
    if (!now) {
      if (told_.state() == v1::Session::CLOSED) return;
      now.emplace();
      now->set_id(id_);
      now->set_state(v1::Session::CLOSED);
    } else if (now->state() == v1::Session::STATE_UNSPECIFIED || same_place(*now, told_) ||
               now->placement().generation() < told_.placement().generation()) {
      return;  // the last: somebody looked later, and told first
    }
    told_ = *std::move(now);
    writing_ = true;
    if (told_.state() == v1::Session::CLOSED) {
      finished_ = true;
      StartWriteAndFinish(&told_, grpc::WriteOptions(), grpc::Status::OK);
    } else {
      StartWrite(&told_);
    }
  }

  void finish(const grpc::Status& status) {
    const std::scoped_lock lock(mutex_);
    if (std::exchange(finished_, true)) return;
    Finish(status);
  }

  void OnWriteDone(bool ok) override {
    {
      const std::scoped_lock lock(mutex_);
      writing_ = false;
      if (!std::exchange(again_, false) && ok) return;
    }
    if (ok) {
      tell();
    } else {
      finish({grpc::StatusCode::CANCELLED, "the reader is gone"});
    }
  }
  void OnCancel() override { finish({grpc::StatusCode::CANCELLED, "the reader is gone"}); }
  void OnDone() override { watchers_.closed(this); }

 private:
  SessionWatchers& watchers_;
  std::string id_;
  std::mutex mutex_;
  v1::Session told_;
  bool writing_ = false, again_ = false, finished_ = false;
};

SessionWatchers::SessionWatchers(Look look) : look_(std::move(look)) {}
SessionWatchers::~SessionWatchers() = default;

SessionWatchers::Opened SessionWatchers::open() {
  auto stream = std::make_shared<Stream>(*this);
  const std::scoped_lock lock(mutex_);
  if (ended_ || count_ >= kMaxStreams) return {};
  streams_[stream->id()].insert(stream);
  ++count_;
  return {.reactor = stream.get(),
          .decide = [this, stream](const auto& id) { decided(stream, id); }};
}

void SessionWatchers::decided(const std::shared_ptr<Stream>& stream,
                              const Result<std::string, grpc::Status>& id) {
  if (!id) return stream->finish(id.error());
  {
    const std::scoped_lock lock(mutex_);
    const auto undecided = streams_.find(stream->id());
    if (undecided == streams_.end() || !undecided->second.contains(stream)) return;  // gave it up
    auto& of_session = streams_[*id];
    if (of_session.size() < kMaxOfSession) {
      of_session.insert(stream);
      undecided->second.erase(stream);
      stream->id(*id);
    }
  }
  if (stream->id().empty()) {
    return stream->finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "too many watch it already"});
  }
  stream->tell();
}

void SessionWatchers::tell(const std::string& id) {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = streams_.find(id);
    if (found == streams_.end()) return;
    streams.assign(found->second.begin(), found->second.end());
  }
  for (const auto& stream : streams) stream->tell();
}

void SessionWatchers::closed(Stream* stream) {
  std::shared_ptr<Stream> last;
  const std::scoped_lock lock(mutex_);
  const auto found = streams_.find(stream->id());
  if (found == streams_.end()) return;
  for (auto at = found->second.begin(); at != found->second.end(); ++at) {
    if (at->get() != stream) continue;
    last = *at;
    found->second.erase(at);
    --count_;
    break;
  }
  if (found->second.empty()) streams_.erase(found);
}

void SessionWatchers::end() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    const std::scoped_lock lock(mutex_);
    ended_ = true;
    for (const auto& [id, of_session] : streams_) {
      streams.insert(streams.end(), of_session.begin(), of_session.end());
    }
  }
  for (const auto& stream : streams) {
    stream->finish({grpc::StatusCode::UNAVAILABLE, "this manager ends: ask another one"});
  }
}

std::size_t SessionWatchers::size() const {
  const std::scoped_lock lock(mutex_);
  return count_;
}

}  // namespace aloft::cluster
