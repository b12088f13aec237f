#include "contract.h"

#include <algorithm>
#include <utility>

namespace aloft::sim {
namespace {

constexpr std::size_t kReplyBytes = 20;  // bytes of an answer

std::string number(std::uint64_t value) { return std::to_string(value); }

}  // namespace

Contract::Contract(const Scenario& scenario, std::uint64_t object_seed)
    : scenario_(scenario), reference_(object_seed), reference_state_(reference_.fingerprint()) {
  states_.insert(reference_state_);
}

void Contract::broken(std::string what) {
  // One defect shows again and again; the first ones say most.
  if (violations_.size() < 8) violations_.push_back(std::move(what));
}

Contract::Message* Contract::find(Sequence sequence) {
  // Numbers that the application took for itself are no messages here: a search, not an index.
  const auto found = std::ranges::lower_bound(messages_, sequence, {}, &Message::sequence);
  return found == messages_.end() || found->sequence != sequence ? nullptr : &*found;
}

void Contract::sent(Sequence sequence, std::uint32_t method, SharedBytes body,
                    std::optional<Time> deadline, Time now) {
  if (!messages_.empty() && sequence <= messages_.back().sequence)
    broken("message " + number(sequence) + " was sent after " + number(messages_.back().sequence));
  Message message;
  message.sequence = sequence;
  message.method = method;
  message.body = std::move(body);
  message.deadline = deadline;
  message.sent = now;
  messages_.push_back(std::move(message));
  ++unanswered_;
}

void Contract::not_sent(const Error& why, const channel::FixedEnd::Counters& counters, Time now) {
  const Message message = std::move(messages_.back());
  messages_.pop_back();
  if (!message.ended) --unanswered_;
  next_ = std::min(next_, messages_.size());
  if (message.left) broken("a message left that was not taken");
  const bool full = counters.log_messages >= scenario_.options.max_messages ||
                    counters.log_bytes + message.body->size() > scenario_.options.max_bytes;
  const bool allowed =
      (why.code == Errc::overloaded && full) ||
      (why.code == Errc::resource_exhausted &&
       message.body->size() > scenario_.options.max_bytes) ||
      (why.code == Errc::deadline_exceeded && message.deadline && now >= *message.deadline) ||
      (why.code == Errc::refused && (closed_ || gave_up_));
  if (!allowed)
    broken("a message was not taken (" + std::string(to_string(why.code)) + ") with " +
           number(counters.log_messages) + " messages and " + number(counters.log_bytes) +
           " bytes in the log");
}

void Contract::cancelled(Sequence sequence) {
  Message* const message = find(sequence);
  if (message != nullptr && !message->left) message->cancelled = true;
}

void Contract::moving(PlaceIndex to, std::uint32_t module) { moves_.push_back({to, module}); }

void Contract::not_moving() {
  if (moves_.empty())
    broken("a move was told that was refused");
  else
    moves_.pop_back();
}

void Contract::closing(const Error& why) { closed_ = why; }

void Contract::took_here(Sequence sequence, std::uint32_t method, const Bytes& body,
                         const Reply& reply) {
  if (unanswered_ != 0) broken("a message was run here while others were waiting");
  if (!messages_.empty() && sequence <= messages_.back().sequence)
    broken("the number " + number(sequence) + " was given twice");
  if (home_ != channel::kHere) broken("a message was run here, and home is elsewhere");
  const Reply right = scenario_.options.has_state
                          ? reference_.run(method, body, reply.version)
                          : Object::run_stateless(method, body, reply.version);
  if (reply != right) broken("message " + number(sequence) + ", run here: a wrong answer");
  reference_state_ = reference_.fingerprint();
}

// Answers come in the order of the messages; what was dropped is told at once.
void Contract::ended(const channel::Outcome& outcome, Time now) {
  const std::string name = "message " + number(outcome.sequence);
  Message* const message = find(outcome.sequence);
  if (message == nullptr) {
    broken(name + " ended, and was never sent");
    return;
  }
  if (message->ended) {
    broken(name + " ended a second time");
    return;
  }
  message->ended = true;
  --unanswered_;
  while (next_ < messages_.size() && messages_[next_].ended) ++next_;
  if (outcome.sent != message->sent) broken(name + " has another age than told");
  if (outcome.dropped) {
    ++count_dropped_;
    if (outcome.result)
      broken(name + " was dropped and answered");
    else
      dropped(*message, outcome, now);
    return;
  }
  if (next_ < messages_.size() && messages_[next_].sequence < outcome.sequence)
    broken(name + " ended before " + number(messages_[next_].sequence));
  if (outcome.result)
    ended_ok(*message, outcome);
  else
    ended_badly(*message, outcome, now);
}

void Contract::ended_ok(Message& message, const channel::Outcome& outcome) {
  const std::string name = "message " + number(message.sequence);
  if (!message.left) broken(name + " was answered and had not left");
  if (message.runs == 0) broken(name + " was answered and had not run");
  if (!message.left_to.contains(outcome.place))
    broken(name + " was answered from place " + number(outcome.place) + ", where it never went");
  if (*outcome.result == nullptr) {
    broken(name + " has no answer");
    return;
  }
  if (Task::decode(*message.body).traps) broken(name + " traps and has an answer");
  const Reply reply = Reply::decode(**outcome.result);
  const Reply right = scenario_.options.has_state
                          ? reference_.run(message.method, *message.body, reply.version)
                          : Object::run_stateless(message.method, *message.body, reply.version);
  if (reply != right) {
    broken(name + (reply.task == right.task
                       ? ": the answer is not that of an object that never moved"
                       : ": the answer of another message"));
  }
  reference_state_ = reference_.fingerprint();
}

void Contract::ended_badly(Message& message, const channel::Outcome& outcome, Time now) {
  const std::string name = "message " + number(message.sequence);
  const Error& why = outcome.result.error();
  if (gave_up_) return;
  if (closed_ && why.code == closed_->code && !scenario_.options.has_effects) return;
  switch (why.code) {
    case Errc::trapped:
      if (!Task::decode(*message.body).traps) broken(name + " ended as trapped and does not trap");
      if (message.runs == 0) broken(name + " ended as trapped and had not run");
      return;
    case Errc::resource_exhausted:
      if (!message.failed) broken(name + " ended as failed and no run of it had failed");
      return;
    case Errc::interrupted: {
      if (!scenario_.options.has_effects) {
        broken(name + " was interrupted, and has no effects");
        return;
      }
      // A fault at a place where it was, after it had gone there.
      const bool excused = closed_ || std::ranges::any_of(message.left_to, [&](const auto& went) {
                             const auto fault = last_fault_.find(went.first);
                             return fault != last_fault_.end() && fault->second >= went.second;
                           });
      if (!excused) broken(name + " was interrupted, and nothing had happened to its place");
      return;
    }
    default:
      broken(name + " ended with " + std::string(to_string(why.code)) + " (" + why.message + ") " +
             number(static_cast<std::uint64_t>((now - message.sent).count())) + " ns after send()");
  }
}

void Contract::dropped(Message& message, const channel::Outcome& outcome, Time now) {
  const std::string name = "message " + number(message.sequence);
  const Errc why = outcome.result.error().code;
  if (message.runs != 0) broken(name + " was dropped, and had run");
  if (message.left) broken(name + " was dropped, and had left");
  const bool late = message.deadline && now >= *message.deadline;
  const bool stale = scenario_.options.kind == channel::Kind::latest &&
                     messages_.back().sequence > message.sequence;
  const bool allowed = (why == Errc::deadline_exceeded && late) ||
                       (why == Errc::cancelled && (message.cancelled || stale)) ||
                       (closed_ && why == closed_->code) || gave_up_;
  if (!allowed)
    broken(name + " was dropped with " + std::string(to_string(why)) + " and without a reason");
}

void Contract::moved(const channel::MoveReport& report) {
  if (report.from != home_)
    broken("a move is told from " + number(report.from) + ", and home was " + number(home_));
  if (!report.recovery) {
    if (moves_.empty()) {
      broken("a move is told that nobody asked for, or that was told before");
    } else {
      if (moves_.front().to != report.to)
        broken("a move to another place is told than was asked for");
      if (report.result && moves_.front().module != report.module)
        broken("a move took version " + number(report.module) + " instead of " +
               number(moves_.front().module));
      moves_.pop_front();
    }
  }
  if (report.result) home_ = report.to;
  if (!scenario_.options.has_state && !report.recovery && report.blackout != Duration::zero())
    broken("a move without state has a blackout");
  const bool within = report.recovery || !report.result || report.blackout <= report.took;
  if (report.blackout < Duration::zero() || !within)
    broken("a move has a blackout that is not within it");
}

void Contract::looks(PlaceIndex home, bool moving, const channel::FixedEnd::Counters& counters) {
  if (home != home_)
    broken("home is " + number(home) + ", and the last move told made it " + number(home_));
  home_ = home;
  if (!moving && !moves_.empty()) broken("a move is over and was not told");
  if (counters.dropped != count_dropped_)
    broken(number(count_dropped_) + " messages were told as dropped, and " +
           number(counters.dropped) + " counted");
  if (counters.log_messages > scenario_.options.max_messages)
    broken(number(counters.log_messages) + " messages in a log for " +
           number(scenario_.options.max_messages));
  // Answers that wait for their turn count as well, and nobody can refuse those.
  if (counters.log_bytes > scenario_.options.max_bytes + unanswered_ * kReplyBytes)
    broken(number(counters.log_bytes) + " bytes in a log for " +
           number(scenario_.options.max_bytes));
  if (unanswered() > scenario_.options.max_messages)
    broken(number(unanswered()) + " messages wait for an end, with a bound of " +
           number(scenario_.options.max_messages));
}

void Contract::left(Sequence sequence, PlaceIndex place, Time now) {
  Message* const message = find(sequence);
  if (message == nullptr) {
    broken("a message " + number(sequence) + " left that was never sent");
    return;
  }
  message->left_to.emplace(place, now);
  if (message->left) return;
  message->left = now;
  const std::string name = "message " + number(sequence);
  if (message->cancelled) broken(name + " left after it had been given up");
  if (message->deadline && now > *message->deadline) broken(name + " left after its deadline");
  if (scenario_.options.kind == channel::Kind::latest && messages_.back().sequence != sequence)
    broken(name + " left, and a newer one was waiting");
}

void Contract::runs(const RunsAt& at, Sequence sequence, std::uint32_t method, const Bytes& body) {
  const std::string name = "message " + number(sequence) + " at place " + number(at.place) +
                           ", epoch " + number(at.epoch);
  Message* const message = find(sequence);
  if (message == nullptr) {
    broken(name + " runs, and was never sent");
    return;
  }
  if (message->method != method || *message->body != body)
    broken(name + " runs, and is not what was sent");
  ++message->runs;
  if (scenario_.options.has_effects && message->runs > 1)
    broken(name + " has effects and runs a second time");
  Sequence& last = last_run_[at.epoch];
  if (sequence <= last) broken(name + " runs after " + number(last));
  last = sequence;
}

void Contract::state_became(std::uint64_t fingerprint) { states_.insert(fingerprint); }

void Contract::state_loads(std::uint64_t fingerprint) {
  if (!states_.contains(fingerprint)) broken("a state is loaded that no object ever had");
}

void Contract::fault(PlaceIndex place, Time now) { last_fault_[place] = now; }

// Modules compute the same everywhere. One that fails now and then breaks that rule, and when it
// has done so often enough its channel may say so and end.
void Contract::gave_up() {
  gave_up_ = true;
  if (mishaps_ < channel::kRecoveredInVain) broken("the channel ended by itself");
}

void Contract::mishap() { ++mishaps_; }

void Contract::run_failed(Sequence sequence) {
  mishap();
  if (Message* const message = find(sequence)) message->failed = true;
}

void Contract::all_told() {
  for (std::size_t i = next_; i < messages_.size(); ++i)
    if (!messages_[i].ended) broken("message " + number(messages_[i].sequence) + " never ended");
  if (!moves_.empty()) broken(number(moves_.size()) + " moves were never told");
}

void Contract::last_state(std::uint64_t fingerprint) {
  if (fingerprint != reference_state_)
    broken("the last state is not that of an object that never moved");
}

}  // namespace aloft::sim
