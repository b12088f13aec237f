#include "function/elastic_calls.h"

#include <atomic>
#include <string>

#include "function/binding.h"

namespace aloft::function {
namespace {

using channel::Outcome;
using channel::SharedBytes;
using detail::ElasticCall;
using std::chrono::steady_clock;

// Takes what came over into the call.
void take(ElasticCall& call, Result<SharedBytes> result, channel::PlaceIndex place) {
  call.record.place = place == channel::kHere ? Place::here : Place::edge;
  call.record.location = place == channel::kHere ? Location::here() : Location::edge(place - 1);
  if (!result) return call.set_error(std::move(result.error()));
  if (auto decoded = call.decode(**result); !decoded) {
    call.set_error(
        {Errc::protocol, "the result cannot be read: " + std::move(decoded.error().message)});
  }
}

}  // namespace

Result<SharedBytes> encoded_arguments(const ElasticCall& call) {
  codec::Writer writer;
  call.encode(writer);
  if (!writer.ok())
    return fail(Errc::invalid_argument, "the arguments are larger than can be encoded");
  auto bytes = std::make_shared<channel::Bytes>();
  bytes->reserve(writer.size());
  for (const auto segment : writer.segments())
    bytes->insert(bytes->end(), segment.begin(), segment.end());
  return bytes;
}

// On the stack of the thread that waits.
class ElasticCalls::Waited final : public EndSender {
 public:
  void on_outcome(Outcome told) override {
    outcome = std::move(told);
    ended.finish();
  }

  std::optional<Outcome> outcome;
  detail::Completion ended;
};

// Kept by whoever may still need it: the end until the outcome, the call until its completion.
class ElasticCalls::Async final : public EndSender,
                                  public ElasticTask,
                                  public std::enable_shared_from_this<Async> {
 public:
  // What the call keeps.
  struct Kept final : ElasticCall::Attachment {
    explicit Kept(std::shared_ptr<Async> kept) : async(std::move(kept)) {}
    const std::shared_ptr<Async> async;
  };

  Async(ElasticCall& call, std::shared_ptr<ElasticEnd> end)
      : end_(std::move(end)), start_(steady_clock::now()), call_(&call) {}

  void encode() { arguments_ = encoded_arguments(*call_.load()); }
  void send() {
    if (call_.load() == nullptr) return;  // cancelled meanwhile
    Result<channel::Sequence> sent = fail(Errc::internal, "not sent");
    if (arguments_) {
      sent = end_->send(method_, std::exchange(*arguments_, nullptr), shared_from_this());
    } else {
      sent = std::unexpected(std::move(arguments_.error()));
    }
    if (sent) {
      sequence_.store(*sent);
      if (call_.load() == nullptr) end_->cancel(*sent);
    } else if (ElasticCall* const call = call_.exchange(nullptr)) {
      call->set_error(std::move(sent.error()));
      settle(*call);
    }
  }
  void cancel() {
    ElasticCall* const call = call_.exchange(nullptr);
    if (call == nullptr) return;
    if (const auto sequence = sequence_.load(); sequence != 0) end_->cancel(sequence);
    call->set_error({Errc::cancelled, "the call was given up"});
    settle(*call);
  }

 private:
  void on_outcome(Outcome told) override {
    outcome_ = std::move(told);
    end_->places().thread().post(shared_from_this());
  }
  void run_task() override {
    ElasticCall* const call = call_.exchange(nullptr);
    if (call == nullptr) return;
    take(*call, std::move(outcome_->result), outcome_->place);
    settle(*call);
  }
  void settle(ElasticCall& call) {
    call.record.latency = steady_clock::now() - start_;
    // After either the owner may destroy the call.
    if (const auto& on_settled = end_->places().options().on_settled) return on_settled(call);
    call.completion().finish();
  }

  const std::shared_ptr<ElasticEnd> end_;
  const steady_clock::time_point start_;
  std::atomic<ElasticCall*> call_;  // whoever takes it settles it
  const std::uint32_t method_ = call_.load()->function().index;
  Result<SharedBytes> arguments_ = SharedBytes();
  std::atomic<channel::Sequence> sequence_ = 0;
  std::optional<Outcome> outcome_;
};

void ElasticCalls::run(ElasticCall& call) const {
  const auto start = steady_clock::now();
  if (end_->begin_here()) {
    const inference::GraphScope graphs(*end_->places().options().graphs);
    const InPlaceScope in_place;
    call.run_native();
    end_->end_here();
    call.record.place = Place::here;
    call.record.location = Location::here();
  } else if (auto arguments = encoded_arguments(call); !arguments) {
    call.set_error(std::move(arguments.error()));
  } else {
    Waited waited;
    // It outlives the wait: nothing is to be counted.
    std::shared_ptr<EndSender> sender(std::shared_ptr<void>(), &waited);
    const auto sent = end_->send(call.function().index, *std::move(arguments), std::move(sender));
    if (sent) {
      waited.ended.wait();
      take(call, std::move(waited.outcome->result), waited.outcome->place);
    } else {
      call.set_error(sent.error());
    }
  }
  call.record.latency = steady_clock::now() - start;
}

void ElasticCalls::start(ElasticCall& call) const {
  const auto async = std::make_shared<Async>(call, end_);
  call.attachment = std::make_unique<Async::Kept>(async);
  async->encode();
  async->send();
}

void ElasticCalls::run(ElasticCall& call, Location to) const {
  if (end_->location() != to) (void)end_->move(to);
  run(call);
}

void ElasticCalls::start(ElasticCall& call, Location to) const {
  if (end_->location() == to) return start(call);
  const auto async = std::make_shared<Async>(call, end_);
  call.attachment = std::make_unique<Async::Kept>(async);
  async->encode();
  end_->move(to, [async](const Result<MoveReport>&) { async->send(); });
}

void ElasticCalls::cancel(ElasticCall& call) {
  const auto* const kept = dynamic_cast<const Async::Kept*>(call.attachment.get());
  if (kept == nullptr) return;
  const std::shared_ptr<Async> async = kept->async;  // which the call's owner may destroy
  async->cancel();
}

}  // namespace aloft::function
