// What the application in a simulation does: sends, gives up, moves, closes.
#include <algorithm>
#include <utility>

#include "world.h"

namespace aloft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

std::uint32_t World::a_version() {
  return static_cast<std::uint32_t>(random_.below(scenario_.versions));
}

// One whose state is that of the version that every run begins with.
std::uint32_t World::a_good_version() {
  const std::uint32_t version = a_version();
  return ((scenario_.bad_versions >> version) & 1U) != 0 ? 0 : version;
}

void World::application_step() {
  if (left_to_send_ == 0 || closed_) return;
  --left_to_send_;
  send_one(false);
  if (scenario_.takes_here && random_.chance(300)) take_one();
  if (scenario_.cancels && random_.chance(200) && last_sequence_ != 0) {
    const Sequence sequence = last_sequence_ - random_.below(std::min<Sequence>(last_sequence_, 6));
    trace_.note(agenda_.now(), "application: cancel=", sequence);
    contract_.cancelled(sequence);
    with_fixed_end([&] { fixed_->cancel(sequence, agenda_.now()); });
  }
  if (random_.chance(scenario_.rates.checkpoint)) {
    trace_.note(agenda_.now(), "application: checkpoint");
    with_fixed_end([&] { fixed_->checkpoint(agenda_.now()); });
  }
  if (scenario_.close_amid && left_to_send_ < scenario_.messages / 2) {
    close();
    return;
  }
  // A burst, the usual, or time for everything to become quiet.
  const std::uint64_t drawn = random_.below(100);
  const Duration gap = drawn < 20   ? Duration(0)
                       : drawn < 98 ? random_.between(Duration(0), scenario_.send_gap)
                                    : random_.between(milliseconds(1), seconds(2));
  agenda_.after(gap, [this] { application_step(); });
}

// `last`: one that has no reason not to be answered.
void World::send_one(bool last) {
  const Time now = agenda_.now();
  Task task;
  task.id = random_.next();
  task.traps = !last && random_.chance(scenario_.rates.trap);
  const SharedBytes body = task.encode(random_.below(random_.below(scenario_.largest_message) + 1));
  const auto method = static_cast<std::uint32_t>(random_.below(3));
  std::optional<Time> deadline;
  if (scenario_.options.kind == channel::Kind::deadline)
    deadline = now + scenario_.options.deadline;
  std::optional<Time> asked;
  if (!last && scenario_.options.kind == channel::Kind::reliable && scenario_.cancels &&
      random_.chance(200))
    deadline = asked = now + random_.between(milliseconds(-1), milliseconds(300));

  std::size_t under_way = 0;
  for (const auto& [epoch, sequences] : under_way_) under_way += sequences.size();
  const bool room = under_way < scenario_.options.in_flight && contract_.unanswered() == under_way;
  const bool move_without_state = steady_ && !scenario_.options.has_state && fixed_->moving();

  const auto counters = fixed_->counters();
  // It is known to the contract before it is sent, since it may leave within the call.
  const Sequence expected = last_sequence_ + 1;
  contract_.sent(expected, method, body, deadline, now);
  const auto sent = with_fixed_end([&] {
    auto result = fixed_->send(method, body, now, asked);
    if (!result) contract_.not_sent(result.error(), counters, now);
    return result;
  });
  if (!sent) {
    ++seen_.overloaded;
    trace_.note(now, "application: not sent=", static_cast<unsigned>(sent.error().code));
    return;
  }
  trace_.note(now, "application: sent= traps=", *sent, task.traps);
  if (closed_) contract_.broken("a closed channel takes a message");
  if (*sent != expected) contract_.broken("the numbers of messages do not follow each other");
  last_sequence_ = *sent;
  if (room && move_without_state && !left_.contains(*sent))
    contract_.broken("message " + std::to_string(*sent) + " waits for a move without state");
}

void World::take_one() {
  const auto sequence = with_fixed_end([&] { return fixed_->take_here(); });
  if (!sequence) return;
  trace_.note(agenda_.now(), "application: takes=", *sequence);
  Task task;
  task.id = random_.next();
  const SharedBytes body = task.encode(8);
  const Reply reply = sites_[channel::kHere].run_by_owner(*sequence, 0, *body);
  contract_.took_here(*sequence, 0, *body, reply);
  if (*sequence != last_sequence_ + 1) contract_.broken("a number was taken that is not the next");
  last_sequence_ = *sequence;
}

void World::ask_for_a_move() {
  if (healed_ || closed_) return;
  agenda_.after(random_.between(Duration(0), scenario_.move_gap), [this] { ask_for_a_move(); });
  const auto to = static_cast<PlaceIndex>(random_.below(links_.size()));
  const std::uint32_t version = a_version();
  const bool was_moving = fixed_->moving();
  const bool was_up = links_[to].up;
  const bool home_up = links_[fixed_->home()].up;
  trace_.note(agenda_.now(), "application: move, to= version=", to, version);
  // It may be over within the call.
  contract_.moving(to, version);
  const bool was_steady = std::exchange(steady_, home_up && !home_in_trouble_);
  const auto accepted = with_fixed_end([&] {
    auto result = fixed_->move(to, version, agenda_.now());
    if (!result) contract_.not_moving();
    if (!result) steady_ = was_steady;
    return result;
  });
  if (accepted) {
    // A copy that nobody needs, in the middle of those that the move needs.
    if (random_.chance(500)) {
      const Duration amid = scenario_.delay * 4 + scenario_.run_time * 2;
      agenda_.after(random_.between(Duration(0), amid), [this] {
        if (closed_) return;
        trace_.note(agenda_.now(), "application: checkpoint");
        with_fixed_end([&] { fixed_->checkpoint(agenda_.now()); });
      });
    }
    return;
  }
  const Errc why = accepted.error().code;
  const bool allowed = (why == Errc::refused && (was_moving || home_in_trouble_)) ||
                       (why == Errc::unreachable && !was_up);
  if (!allowed) contract_.broken("a move is refused without a reason: " + accepted.error().message);
}

void World::close() {
  const Error why{Errc::invalid_argument, "closed"};
  trace_.note(agenda_.now(), "application: close");
  contract_.closing(why);
  closed_ = true;
  with_fixed_end([&] { fixed_->close(why, agenda_.now()); });
  contract_.all_told();
  send_one(true);
  if (with_fixed_end([&] { return fixed_->move(0, 0, agenda_.now()); }))
    contract_.broken("a closed channel moves");
}

}  // namespace aloft::sim
