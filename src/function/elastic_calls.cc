#include "function/elastic_calls.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "function/binding.h"
#include "function/remote_session.h"

namespace aloft::function {
namespace {

using channel::Outcome;
using channel::SharedBytes;
using detail::ElasticCall;
using std::chrono::steady_clock;

// A caller that waits reads the link itself for so long at most: one that ends meanwhile may leave
// it asleep.
constexpr std::chrono::milliseconds kAssist{20};

Error late() { return {Errc::deadline_exceeded, "no result within its deadline"}; }

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

// On the stack of the thread that waits, or kept by the end as well where the wait may end early.
class ElasticCalls::Waited final : public EndSender {
 public:
  void on_outcome(Outcome told) override {
    outcome = std::move(told);
    is_told_.store(true);
    if (RemoteSession* const session = assisted_.load()) session->nudge();
    ended.finish();
  }
  // Until it is told, or `until`. Not where the end is here.
  void assist(RemoteSession* session, steady_clock::time_point until) {
    if (session == nullptr) return;
    // Either what is told is seen here, or whoever tells it sees which link this thread reads.
    assisted_.store(session);
    if (!is_told_.load()) session->assist(is_told_, until);
    assisted_.store(nullptr);
  }

  std::optional<Outcome> outcome;  // once it has ended
  detail::Completion ended;

 private:
  std::atomic<bool> is_told_ = false;
  std::atomic<RemoteSession*> assisted_ = nullptr;
};

// Kept by whoever may still need it: the end until the outcome, the call until its completion.
class ElasticCalls::Async final : public EndSender,
                                  public ElasticTask,
                                  public ElasticTimed,
                                  public std::enable_shared_from_this<Async> {
 public:
  // What the call keeps.
  struct Kept final : ElasticCall::Attachment {
    explicit Kept(std::shared_ptr<Async> kept) : async(std::move(kept)) {}
    const std::shared_ptr<Async> async;
  };

  Async(ElasticCall& call, std::shared_ptr<ElasticEnd> end, const EndCallTerms& terms)
      : end_(std::move(end)), start_(steady_clock::now()), terms_(terms), call_(&call) {}

  // Before send(). It may end by that.
  void set_timer() {
    if (terms_.deadline) end_->places().thread().wake(shared_from_this(), *terms_.deadline);
  }
  void encode() { arguments_ = encoded_arguments(*call_.load()); }
  void send() {
    if (call_.load() == nullptr) return;  // cancelled meanwhile
    Result<channel::Sequence> sent = fail(Errc::internal, "not sent");
    if (arguments_) {
      sent = end_->send(method_, std::exchange(*arguments_, nullptr), shared_from_this(),
                        terms_.deadline);
    } else {
      sent = std::unexpected(std::move(arguments_.error()));
    }
    if (sent) {
      sequence_.store(*sent);
      if (call_.load() == nullptr) end_->cancel(*sent);
    } else {
      fail_with(std::move(sent.error()));
    }
  }
  void cancel() { give_up({Errc::cancelled, "the call was given up"}); }
  // It does not leave.
  void fail_with(Error why) {
    ElasticCall* const call = call_.exchange(nullptr);
    if (call == nullptr) return;
    call->set_error(std::move(why));
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
  void on_timer() override { give_up(late()); }
  void give_up(const Error& why) {
    ElasticCall* const call = call_.exchange(nullptr);
    if (call == nullptr) return;
    if (const auto sequence = sequence_.load(); sequence != 0) end_->cancel(sequence);
    call->set_error(why);
    settle(*call);
  }
  void settle(ElasticCall& call) {
    if (terms_.deadline) {
      end_->places().thread().wake(shared_from_this(), steady_clock::time_point::max());
    }
    call.record.latency = steady_clock::now() - start_;
    // After either the owner may destroy the call.
    if (const auto& on_settled = end_->places().options().on_settled) return on_settled(call);
    call.completion().finish();
  }

  const std::shared_ptr<ElasticEnd> end_;
  const steady_clock::time_point start_;
  const EndCallTerms terms_;
  std::atomic<ElasticCall*> call_;  // whoever takes it settles it
  const std::uint32_t method_ = call_.load()->function().index;
  Result<SharedBytes> arguments_ = SharedBytes();
  std::atomic<channel::Sequence> sequence_ = 0;
  std::optional<Outcome> outcome_;
};

std::optional<Error> ElasticCalls::refusal(const EndCallTerms& terms) const {
  if (terms.deadline && steady_clock::now() >= *terms.deadline) return late();
  if (terms.fallback == Fallback::here || !end_->is_stranded()) return std::nullopt;
  return Error{Errc::unreachable,
               "the object's edge was lost, and the call is not to run here in its place"};
}

void ElasticCalls::run(ElasticCall& call, const EndCallTerms& terms) const {
  const auto start = steady_clock::now();
  if (auto why = refusal(terms)) {
    call.set_error(*std::move(why));
  } else if (end_->begin_here()) {
    const inference::GraphScope graphs(*end_->places().options().graphs);
    const InPlaceScope in_place;
    call.run_native();
    end_->end_here();
    call.record.place = Place::here;
    call.record.location = Location::here();
    if (terms.deadline && steady_clock::now() >= *terms.deadline) call.set_error(late());
  } else if (auto arguments = encoded_arguments(call); !arguments) {
    call.set_error(std::move(arguments.error()));
  } else {
    wait_for(call, *std::move(arguments), terms);
  }
  call.record.latency = steady_clock::now() - start;
}

void ElasticCalls::wait_for(ElasticCall& call, channel::SharedBytes arguments,
                            const EndCallTerms& terms) const {
  std::optional<Waited> here;
  // On the stack it outlives the wait, and nothing is to be counted.
  const auto waited = terms.deadline
                          ? std::make_shared<Waited>()
                          : std::shared_ptr<Waited>(std::shared_ptr<void>(), &here.emplace());
  const auto sent = end_->send(call.function().index, std::move(arguments), waited, terms.deadline);
  if (!sent) return call.set_error(sent.error());
  const auto longest = steady_clock::now() + kAssist;
  waited->assist(end_->session(), terms.deadline ? std::min(longest, *terms.deadline) : longest);
  if (!terms.deadline) {
    waited->ended.wait();
  } else if (!waited->ended.wait_until(*terms.deadline)) {
    end_->cancel(*sent);  // nothing, if it has left
    return call.set_error(late());
  }
  take(call, std::move(waited->outcome->result), waited->outcome->place);
}

void ElasticCalls::start(ElasticCall& call, const EndCallTerms& terms) const {
  const auto async = std::make_shared<Async>(call, end_, terms);
  call.attachment = std::make_unique<Async::Kept>(async);
  if (auto why = refusal(terms)) return async->fail_with(*std::move(why));
  async->encode();
  async->set_timer();
  async->send();
}

void ElasticCalls::run(ElasticCall& call, Location to) const {
  if (end_->location() != to) (void)end_->move(to);
  run(call);
}

void ElasticCalls::start(ElasticCall& call, Location to) const {
  if (end_->location() == to) return start(call);
  const auto async = std::make_shared<Async>(call, end_, EndCallTerms{});
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
