#include "host/model_upload.h"

#include <string>
#include <utility>

namespace aloft::host {

Result<std::vector<std::byte>> ModelUpload::fetch(channel::Endpoint& endpoint,
                                                  std::uint32_t module_id, const Digest& digest,
                                                  std::uint64_t size,
                                                  std::chrono::milliseconds limit) {
  channel::StreamId stream = 0;
  {
    const std::lock_guard lock(mutex_);
    // A stream of its own each time, so that what is late for one model is not taken for another.
    stream_ = stream_ % (kFirstCallStream - 1) + 1;
    stream = stream_;
    state_ = State::wanted;
    digest_ = digest;
    size_ = size;
  }
  const auto head = function::encode(
      function::ModelWanted{.module_id = module_id, .sha256 = digest.hex(), .stream = stream});
  if (auto sent = endpoint.send({.stream = channel::kControlStream, .head = head, .body = {}});
      !sent) {
    return std::unexpected(sent.error());
  }
  endpoint.grant(stream, size);

  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [this] {
    return stopped_ || state_ == State::whole || state_ == State::failed;
  });
  const State reached = std::exchange(state_, State::idle);
  if (reached == State::whole) return std::exchange(bytes_, {});
  if (reached == State::failed) return std::unexpected(why_);
  if (stopped_) return fail(Errc::cancelled, "the session ended");
  const Error late{Errc::deadline_exceeded, "the model sha256:" + digest.hex() +
                                                " did not come within " +
                                                std::to_string(limit.count() / 1000) + " s"};
  if (reached == State::receiving) {
    // The endpoint writes into bytes_ as long as the link is there.
    lock.unlock();
    endpoint.close(late);
  }
  return std::unexpected(late);
}

void ModelUpload::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

Result<std::span<std::byte>> ModelUpload::begin(channel::StreamId stream,
                                                const function::ModelBytes& head,
                                                std::uint64_t body_size) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::wanted || stream != stream_)
    return fail(Errc::protocol, "a model that is not waited for");
  const auto sent = Digest::parse(head.sha256);
  if (!sent || *sent != digest_) {
    why_ = {Errc::protocol, "the UE sends a model that was not asked for"};
  } else if (body_size != size_) {
    why_ = {Errc::corrupt, "the model sha256:" + digest_.hex() + " has " +
                               std::to_string(body_size) + " bytes, the UE had said " +
                               std::to_string(size_)};
  } else {
    bytes_.resize(body_size);
    state_ = State::receiving;
    return std::span(bytes_);
  }
  state_ = State::failed;
  changed_.notify_all();
  return std::unexpected(why_);
}

void ModelUpload::end(channel::StreamId stream) {
  const std::lock_guard lock(mutex_);
  if (stream != stream_ || state_ != State::receiving) return;
  state_ = State::whole;
  changed_.notify_all();
}

void ModelUpload::abandon(channel::StreamId stream, const Error& why) {
  const std::lock_guard lock(mutex_);
  if (stream != stream_) return;
  state_ = State::failed;
  why_ = why;
  changed_.notify_all();
}

}  // namespace aloft::host
