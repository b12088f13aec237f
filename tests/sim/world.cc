#include "world.h"

#include <utility>

#include "call_world.h"

namespace aloft::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Of simulated time, once all faults are healed: what is under way ends by then.
constexpr Duration kPatience = seconds(120);
// No run of a correct protocol comes near.
constexpr std::uint64_t kMaxEvents = 300'000;

}  // namespace

World::World(const RunOptions& options)
    : seed_(options.seed),
      random_(options.seed),
      scenario_(draw(random_, options.plot)),
      contract_(scenario_, options.seed),
      trace_(options.trace),
      network_(scenario_, agenda_, random_),
      stage_{random_,   scenario_, scenario_.rates, agenda_,
             contract_, trace_,    network_,        options.seed} {}

template <class Done>
bool World::go_on_until(Duration limit, Done done) {
  const Time end = agenda_.now() + limit;
  while (!done()) {
    if (!contract_.violations().empty() || agenda_.happened() > kMaxEvents) return done();
    if (!agenda_.step(end)) return done();
  }
  return true;
}

void World::before_call() {
  if (std::exchange(in_fixed_end_, true)) contract_.broken("the fixed end is called within a call");
}

void World::after_call() {
  in_fixed_end_ = false;
  look_closed();
  contract_.looks(fixed_->home(), fixed_->moving(), fixed_->counters());
  set_timer();
}

void World::look_closed() {
  if (fixed_->closed() && !std::exchange(closed_, true)) contract_.gave_up();
}

void World::set_timer() {
  const auto when = fixed_->wakes_at();
  const std::uint64_t timer = ++timer_;
  if (!when) return;
  // Timers are late, a little.
  const Duration late =
      random_.chance(300) ? random_.between(Duration(0), milliseconds(2)) : Duration(0);
  if (*when > agenda_.now()) {
    fruitless_timers_ = 0;
  } else if (++fruitless_timers_ > 1000) {
    contract_.broken("the fixed end wants to be woken again and again, and does nothing");
    return;
  }
  agenda_.at(*when + late, [this, timer] {
    if (timer != timer_) return;
    trace_.note(agenda_.now(), "   timer");
    with_fixed_end([&] { fixed_->on_timer(agenda_.now()); });
  });
}

// --- FixedEndPort ---

void World::transmit(PlaceIndex place, std::uint32_t module, channel::EndMessage message) {
  const Time now = agenda_.now();
  trace_.message(now, "device ->", place, message);
  if (place >= links_.size() || !links_[place].up) {
    contract_.broken("something is sent to place " + std::to_string(place) + ", which is down");
    return;
  }
  Link& link = links_[place];
  if (function::stream_of(message) != function::EndStream::control &&
      !link.attached.contains(message.epoch)) {
    contract_.broken("epoch " + std::to_string(message.epoch) +
                     " is used on a connection on which it is not attached");
    return;
  }
  if (const auto* deliver = std::get_if<channel::Deliver>(&message.content)) {
    contract_.left(deliver->sequence, place, now);
    left_.insert(deliver->sequence);
    auto& under_way = under_way_[message.epoch];
    under_way.insert(deliver->sequence);
    if (under_way.size() > scenario_.options.in_flight)
      contract_.broken("more messages are under way than may be in flight");
  }
  network_.send(link.connection, Connection::Toward::place, module, message);
  strike(place);
}

void World::ended(channel::Outcome outcome) {
  look_closed();
  trace_.note(agenda_.now(), "   ended= error= dropped=", outcome.sequence,
              outcome.result ? 0U : static_cast<unsigned>(outcome.result.error().code),
              outcome.dropped);
  if (outcome.result)
    ++seen_.ok;
  else if (outcome.dropped)
    ++seen_.dropped;
  else if (outcome.result.error().code == Errc::trapped)
    ++seen_.trapped;
  else if (outcome.result.error().code == Errc::interrupted)
    ++seen_.interrupted;
  else
    ++seen_.failed;
  contract_.ended(outcome, agenda_.now());
}

void World::moved(const channel::MoveReport& report) {
  trace_.note(agenda_.now(), "   moved, from= to= module= recovery= error=", report.from, report.to,
              report.module, report.recovery,
              report.result ? 0U : static_cast<unsigned>(report.result.error().code));
  if (trace_.on() && !report.result)
    trace_.text(agenda_.now(), "   (" + report.result.error().message + ")");
  if (report.recovery)
    ++seen_.recoveries;
  else
    ++(report.result ? seen_.moves : seen_.failed_moves);
  look_closed();
  steady_ = false;
  if (report.result) home_in_trouble_ = false;
  contract_.moved(report);
}

void World::arrived(const ConnectionPointer& connection, channel::EndMessage message) {
  const PlaceIndex place = connection->place;
  Link& link = links_[place];
  if (!link.up || link.connection != connection) return;
  trace_.message(agenda_.now(), "device <-", place, message);
  if (const auto* attached = std::get_if<channel::Attached>(&message.content)) {
    link.attached.insert(message.epoch);
    if (attached->known) {
      ++seen_.resumed;
      if (place == fixed_->home()) home_in_trouble_ = false;
    }
  } else if (const auto* answer = std::get_if<channel::Answer>(&message.content)) {
    under_way_[message.epoch].erase(answer->sequence);
  } else if (std::holds_alternative<channel::Lost>(message.content)) {
    steady_ = false;
    under_way_.erase(message.epoch);
    contract_.fault(place, agenda_.now());
  } else if (std::holds_alternative<channel::Installed>(message.content)) {
    ++seen_.loads;
  }
  with_fixed_end([&] { fixed_->received(place, std::move(message), agenda_.now()); });
  if (place != channel::kHere) strike(place);
}

// --- the acts ---

void World::prepare() {
  network_.at_place = [this](const ConnectionPointer& connection, std::uint32_t module,
                             channel::EndMessage message) {
    sites_[connection->place].received(connection, module, std::move(message));
  };
  network_.at_device = [this](const ConnectionPointer& connection, std::uint32_t,
                              channel::EndMessage message) {
    arrived(connection, std::move(message));
  };
  network_.broken = [this](const std::string& what) { contract_.broken(what); };

  sites_.reserve(scenario_.edges + 1);
  for (PlaceIndex place = 0; place <= scenario_.edges; ++place) sites_.emplace_back(stage_, place);
  links_.resize(scenario_.edges + 1);
  Link& here = links_[channel::kHere];
  here.connection = std::make_shared<Connection>();
  here.up = true;
  here.attached.insert(channel::FixedEnd::kFirstEpoch);
  sites_[channel::kHere].begin_here(channel::FixedEnd::kFirstEpoch, here.connection);
  const auto initial = std::make_shared<const Bytes>(Object(seed_).save());
  channel::FixedEndPort& port = *this;
  fixed_.emplace(scenario_.options, port, scenario_.options.has_state ? initial : nullptr);
  for (PlaceIndex place = 1; place <= scenario_.edges; ++place)
    connect(place, random_.skewed(Duration(0), milliseconds(200)));

  left_to_send_ = scenario_.messages;
  agenda_.after(Duration(0), [this] { application_step(); });
  if (scenario_.move_gap != Duration(0)) agenda_.after(Duration(0), [this] { ask_for_a_move(); });
  if (scenario_.fault_gap != Duration(0)) agenda_.after(Duration(0), [this] { fault_step(); });
}

// All that was begun ends, once nothing goes wrong any more.
void World::settle() {
  heal();
  const auto all_up = [this] {
    for (const Link& link : links_)
      if (!link.up || link.connection->dead != std::array<bool, 2>{}) return false;
    return true;
  };
  const bool ended = go_on_until(kPatience, [&] {
    return contract_.unanswered() == 0 && contract_.moves_untold() == 0 && !fixed_->moving() &&
           all_up();
  });
  // Late news of what happened before is heard.
  if (ended) (void)go_on_until(seconds(1), [] { return false; });
  if (!ended && contract_.violations().empty()) {
    contract_.all_told();
    if (fixed_->moving()) contract_.broken("the fixed end goes on moving for ever");
    contract_.broken("what was under way has not ended in time, with nothing in its way");
  }
}

// What has been through all that is as good as new.
void World::prove() {
  const auto answered = [this] {
    const std::uint64_t before = seen_.ok + seen_.trapped;
    // The log of an end with state is emptied by a checkpoint, which takes a while.
    const Sequence sequence = last_sequence_;
    const auto try_to_send = [&](auto& again) -> void {
      send_one(true);
      if (last_sequence_ == sequence) agenda_.after(milliseconds(10), [&again] { again(again); });
    };
    try_to_send(try_to_send);
    const bool sent = go_on_until(
        seconds(20), [&] { return last_sequence_ != sequence && contract_.unanswered() == 0; });
    if (!contract_.violations().empty()) return;
    if (!sent) contract_.broken("with nothing in its way, a message is not answered");
    if (seen_.ok + seen_.trapped == before && scenario_.options.kind != channel::Kind::deadline)
      contract_.broken("with nothing in its way, a message has no result");
  };
  answered();
  for (PlaceIndex place = scenario_.edges + 1; place-- > 0;) {
    if (!contract_.violations().empty()) return;
    const std::uint64_t before = seen_.moves;
    const std::uint32_t version = a_good_version();
    trace_.note(agenda_.now(), "application: move, to= version=", place, version);
    contract_.moving(place, version);
    const auto accepted = with_fixed_end([&] {
      auto result = fixed_->move(place, version, agenda_.now());
      if (!result) contract_.not_moving();
      return result;
    });
    if (!accepted) {
      contract_.broken("with nothing in its way, a move is refused: " + accepted.error().message);
      return;
    }
    const bool told = go_on_until(kPatience, [&] { return contract_.moves_untold() == 0; });
    if (!contract_.violations().empty()) return;
    if (!told || seen_.moves == before)
      contract_.broken("with nothing in its way, a move to " + std::to_string(place) + " fails");
    answered();
  }
  if (!contract_.violations().empty()) return;
  // Until what is not needed any more has gone from everywhere.
  (void)go_on_until(scenario_.grace + seconds(10), [] { return false; });
  std::size_t attachments = 0;
  for (const Site& site : sites_) attachments += site.attachments();
  if (attachments != 1)
    contract_.broken(std::to_string(attachments) + " movable ends where one is home");
  if (scenario_.options.has_state) contract_.last_state(sites_[fixed_->home()].state());
}

void World::finish() {
  if (!closed_) close();
  (void)go_on_until(scenario_.grace + seconds(10), [] { return false; });
  std::size_t attachments = 0;
  for (const Site& site : sites_) attachments += site.attachments();
  if (attachments != 0)
    contract_.broken(std::to_string(attachments) + " movable ends of a closed channel");
}

RunResult World::run() {
  prepare();
  (void)go_on_until(seconds(600), [this] { return left_to_send_ == 0 || closed_; });
  if (contract_.violations().empty()) settle();
  if (contract_.violations().empty() && !closed_) prove();
  if (contract_.violations().empty()) finish();
  if (agenda_.happened() > kMaxEvents)
    contract_.broken("more than " + std::to_string(kMaxEvents) + " events");
  RunResult result;
  result.plot = scenario_.plot;
  result.violations = contract_.violations();
  result.events = agenda_.happened();
  result.fingerprint = trace_.fingerprint();
  result.seen = seen_;
  if (fixed_) result.seen.repeated = fixed_->counters().repeated;
  return result;
}

RunResult run(const RunOptions& options) {
  Random random(options.seed);
  return draw(random, options.plot).plot == Plot::call ? run_calls(options) : World(options).run();
}

}  // namespace aloft::sim
