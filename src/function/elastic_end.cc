#include "function/elastic_end.h"

#include <algorithm>
#include <future>
#include <random>
#include <string>
#include <utility>

#include "function/elastic_here.h"

namespace aloft::function {
namespace {

using channel::EndMessage;
using channel::Epoch;
using channel::kHere;
using channel::PlaceIndex;
using channel::SharedBytes;
using std::chrono::steady_clock;

EndId random_id() {
  std::random_device random;
  EndId id{};
  for (std::byte& byte : id) byte = static_cast<std::byte>(random());
  return id;
}

Location location_of(PlaceIndex place) {
  return place == kHere ? Location::here() : Location::edge(place - 1);
}

std::string to_text(Location location) {
  return location.is_here() ? "here" : "edge " + std::to_string(location.number() - 1);
}

EndTerms terms_of(const EndSetup& setup) {
  EndTerms terms{.module = setup.module,
                 .object_class = {},
                 .in_flight = static_cast<std::uint32_t>(setup.options.in_flight),
                 .priority = setup.priority,
                 .has_state = setup.options.has_state,
                 .has_effects = setup.options.has_effects};
  if (setup.object_class != nullptr) terms.object_class = setup.object_class->index;
  return terms;
}

}  // namespace

ElasticEnd::ElasticEnd(std::shared_ptr<EndPlaces> places, const EndSetup& setup)
    : places_(std::move(places)),
      setup_(setup),
      id_(random_id()),
      fixed_(setup.options, static_cast<channel::FixedEndPort&>(*this)) {
  here_.push_back(
      std::make_unique<Here>(*this, channel::FixedEnd::kFirstEpoch, Here::Begin::serving));
}

ElasticEnd::~ElasticEnd() = default;

void ElasticEnd::connect() {
  const Step step(*this);
  if (closed_) return;
  for (PlaceIndex place = 1; place <= places_->links().size(); ++place) {
    EndLinks& links = *places_->links()[place - 1];
    if (links.add(id_, weak_from_this(), place, terms_of(setup_)) == EndLinks::Place::up)
      fixed_.place_up(place, step.now);
  }
}

// --- Messages

Result<channel::Sequence> ElasticEnd::send(std::uint32_t method, SharedBytes body,
                                           std::shared_ptr<EndSender> sender,
                                           std::optional<TimePoint> deadline) {
  const Step step(*this);
  if (closed_) return fail(Errc::refused, "this channel is closed");
  auto sent = fixed_.send(method, std::move(body), step.now, deadline);
  if (sent) sent_.push_back({*sent, std::move(sender)});
  return sent;
}

void ElasticEnd::cancel(channel::Sequence sequence) {
  const Step step(*this);
  if (!closed_) fixed_.cancel(sequence, step.now);
}

void ElasticEnd::ended(channel::Outcome outcome) {
  const auto found = std::ranges::lower_bound(sent_, outcome.sequence, {}, &Sent::sequence);
  if (found == sent_.end() || found->sequence != outcome.sequence) return;
  const std::shared_ptr<EndSender> sender = std::move(found->sender);
  sent_.erase(found);
  sender->on_outcome(std::move(outcome));
  if (sent_.empty()) changed_.notify_all();
}

void ElasticEnd::transmit(PlaceIndex place, std::uint32_t version, EndMessage message) {
  if (place == kHere) {
    said_.push_back({kHere, std::move(message), Said::To::here});
    return;
  }
  const Epoch epoch = message.epoch;
  auto sent = places_->links()[place - 1]->transmit(id_, version, message);
  if (sent) return;
  const auto to = sent.error().code == Errc::unreachable ? Said::To::fixed : Said::To::no_room;
  said_.push_back({place, {epoch, channel::Lost{std::move(sent.error())}}, to});
}

void ElasticEnd::on_place_up(PlaceIndex place) {
  const Step step(*this);
  too_small_.erase(place);
  if (!closed_ && !alone_) fixed_.place_up(place, step.now);
}

void ElasticEnd::on_place_down(PlaceIndex place) {
  const Step step(*this);
  if (!closed_ && !alone_) fixed_.place_down(place, step.now);
}

void ElasticEnd::on_end_message(PlaceIndex place, EndMessage message) {
  const Step step(*this);
  if (!closed_ && !alone_) fixed_.received(place, std::move(message), step.now);
}

void ElasticEnd::on_no_room(PlaceIndex place, Epoch epoch, const Error& why) {
  const Step step(*this);
  leave(place, {epoch, channel::Lost{why}}, step.now);
}

// Without the second step, an end could be recovered from one such edge to the other for ever.
void ElasticEnd::leave(PlaceIndex place, EndMessage lost, TimePoint now) {
  if (closed_ || alone_) return;
  fixed_.received(place, std::move(lost), now);
  if (too_small_.insert(place).second) fixed_.place_down(place, now);
}

void ElasticEnd::on_timer() {
  const Step step(*this);
  timer_.reset();
  if (!closed_) fixed_.on_timer(step.now);
}

// --- The place here

void ElasticEnd::settle(TimePoint now) {
  do {
    hand_over(now);
    start_moves(now);
  } while (!said_.empty());
  sweep_here();
  if (closed_) return;
  // A timer that comes too early does no harm; one that is put off at each message would cost.
  if (const auto at = fixed_.wakes_at(); at && (!timer_ || *at < *timer_)) {
    timer_ = at;
    places_->thread().wake(shared_from_this(), *at);
  }
}

void ElasticEnd::hand_over(TimePoint now) {
  while (!said_.empty()) {
    Said said = std::move(said_.front());
    said_.pop_front();
    if (said.to == Said::To::here) {
      to_here(std::move(said.message));
    } else if (said.to == Said::To::no_room) {
      leave(said.place, std::move(said.message), now);
    } else if (!closed_) {
      fixed_.received(said.place, std::move(said.message), now);
    }
  }
}

void ElasticEnd::to_here(EndMessage message) {
  auto found =
      std::ranges::find(here_, message.epoch, [](const auto& here) { return here->epoch; });
  if (found == here_.end()) {
    if (!std::holds_alternative<channel::Attach>(message.content)) return;
    here_.push_back(std::make_unique<Here>(*this, message.epoch, Here::Begin::attached));
    found = std::prev(here_.end());
  }
  (*found)->received(std::move(message));
}

void ElasticEnd::sweep_here() {
  for (const auto& here : here_) {
    if (here->is_over()) here->drop_job();
  }
  std::erase_if(here_, [](const auto& here) { return here->is_over() && !here->has_job(); });
}

bool ElasticEnd::runs_here() const {
  return std::ranges::any_of(here_, [](const auto& here) { return here->runs(); });
}

bool ElasticEnd::is_quiet() const { return sent_.empty() && !direct_ && !runs_here(); }

bool ElasticEnd::begin_here() {
  const std::lock_guard lock(mutex_);
  if (closed_ || direct_ || here_.empty() || runs_here()) return false;
  const auto sequence = fixed_.take_here();
  if (!sequence) return false;
  here_.back()->skip(*sequence);
  direct_ = true;
  return true;
}

void ElasticEnd::end_here() {
  const std::lock_guard lock(mutex_);
  direct_ = false;
  for (const auto& here : here_) here->go_on();
  changed_.notify_all();
}

// --- Moving

void ElasticEnd::move(Location to, OnMoved then) {
  const Step step(*this);
  if (closed_) return tell(std::move(then), fail(Errc::refused, "this channel is closed"));
  if (to.number() > places_->links().size()) {
    return tell(std::move(then), fail(Errc::invalid_argument, "the runtime has no " + to_text(to)));
  }
  wanted_at_edge_.store(!to.is_here(), std::memory_order_release);
  moves_.push_back({to, std::move(then)});  // settle() starts it
}

void ElasticEnd::follow_version(OnMoved then) {
  const Step step(*this);
  if (closed_) return tell(std::move(then), fail(Errc::refused, "this channel is closed"));
  moves_.push_back({std::nullopt, std::move(then)});
}

bool ElasticEnd::follows_version() const {
  const std::lock_guard lock(mutex_);
  return closed_ || (!fixed_.moving() && has_its_version());
}

bool ElasticEnd::has_its_version() const {
  return fixed_.home() == kHere || fixed_.module() == places_->version(*setup_.module);
}

Result<MoveReport> ElasticEnd::move(Location to) {
  std::promise<Result<MoveReport>> promise;
  auto report = promise.get_future();
  move(to, [&](Result<MoveReport> told) { promise.set_value(std::move(told)); });
  return report.get();
}

void ElasticEnd::start_moves(TimePoint now) {
  while (!moves_.empty() && !moving_ && !fixed_.moving() && !closed_) {
    Move next = std::move(moves_.front());
    moves_.pop_front();
    if (next.to) next.to = places_->destination(*next.to);
    const Location to = next.to.value_or(location_of(fixed_.home()));
    if (fixed_.home() == to.number() && (next.to || has_its_version())) {
      tell(std::move(next.then), MoveReport{.from = to, .to = to});
      continue;
    }
    moving_ = std::move(next.then);
    if (too_small_.erase(to.number()) != 0) fixed_.place_up(to.number(), now);
    auto begun = fixed_.move(to.number(), places_->version(*setup_.module), now);
    if (!begun && moving_)
      tell(*std::exchange(moving_, std::nullopt), std::unexpected(std::move(begun.error())));
  }
}

void ElasticEnd::moved(const channel::MoveReport& report) {
  Result<MoveReport> told = MoveReport{.from = location_of(report.from),
                                       .to = location_of(report.to),
                                       .recovery = report.recovery,
                                       .took = report.took,
                                       .blackout = report.blackout,
                                       .state_bytes = report.state_bytes,
                                       .copied_bytes = report.copied_bytes};
  if (!report.result) told = std::unexpected(report.result.error());
  if (report.result) stranded_ = report.recovery && report.to == kHere;
  changed_.notify_all();
  told_.push_back([places = places_, setup = &setup_, self = shared_from_this(), report, told] {
    const Log& log = *places->options().log;
    const bool stays = report.from == report.to && !report.recovery;
    const std::string what =
        std::string(setup->name) +
        (stays ? ": another version of the module, "
               : (report.recovery ? ": lost at " : ": from ") + to_text(location_of(report.from)) +
                     (report.recovery ? ", recovered " : " to ")) +
        to_text(location_of(report.to));
    if (!told) {
      log(LogLevel::warning, what + " failed: " + told.error().message);
    } else if (log.wants(LogLevel::info)) {
      const auto us = [](auto d) {
        return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(d).count());
      };
      log(LogLevel::info, what + " in " + us(report.took) + " us, blackout " + us(report.blackout) +
                              " us, " + std::to_string(report.state_bytes) + " bytes of state");
    }
    if (places->options().on_move) places->options().on_move(*setup->module, told);
  });
  if (!report.recovery && moving_) tell(*std::exchange(moving_, std::nullopt), std::move(told));
}

void ElasticEnd::tell(OnMoved then, Result<MoveReport> report) {
  told_.push_back(
      [then = std::move(then), report = std::move(report)]() mutable { then(std::move(report)); });
}

void ElasticEnd::come_home() {
  const auto patience = places_->options().homecoming;
  const auto home_by = [&](TimePoint deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [&] {
      return closed_ || (fixed_.home() == kHere && !fixed_.moving() && is_quiet());
    });
  };
  move(Location::here(), [](const Result<MoveReport>&) {});
  if (home_by(steady_clock::now() + patience)) return;
  {
    // It does not come by itself: the last copy of the state is here, and what was sent since.
    const Step step(*this);
    alone_ = true;
    for (PlaceIndex place = 1; place <= places_->links().size(); ++place) {
      places_->links()[place - 1]->remove(id_);
      fixed_.place_down(place, step.now);
    }
  }
  if (!home_by(steady_clock::now() + patience)) {
    (*places_->options().log)(LogLevel::error, std::string(setup_.name) +
                                                   ": its state could not be brought here in time");
  }
  {
    const std::lock_guard lock(mutex_);
    alone_ = false;
    if (closed_) return;
  }
  connect();
}

// --- The end

void ElasticEnd::close(const Error& why) {
  const std::shared_ptr<ElasticEnd> keep = shared_from_this();  // forget() may drop the last other
  {
    const Step step(*this);
    if (!closed_.exchange(true)) {
      fixed_.close(why, step.now);
      while (!sent_.empty()) {
        ended({.sequence = sent_.front().sequence,
               .result = std::unexpected(why),
               .sent = {},
               .place = kHere,
               .dropped = false});
      }
      if (moving_) tell(*std::exchange(moving_, std::nullopt), std::unexpected(why));
      for (Move& move : std::exchange(moves_, {})) tell(std::move(move.then), std::unexpected(why));
    }
  }
  {
    std::unique_lock lock(mutex_);
    for (const auto& here : here_) here->drop_job();
    changed_.wait(lock, [&] { return !runs_here() && !direct_; });
  }
  for (const auto& links : places_->links()) links->remove(id_);
  places_->thread().wake(keep, TimePoint::max());
  places_->forget(*this);
}

Location ElasticEnd::location() const {
  const std::lock_guard lock(mutex_);
  return location_of(fixed_.home());
}

RemoteSession* ElasticEnd::session() const {
  const Location at = location();
  return at.is_here() ? nullptr : places_->options().sessions[at.number() - 1];
}

channel::FixedEnd::Counters ElasticEnd::counters() const {
  const std::lock_guard lock(mutex_);
  return fixed_.counters();
}

}  // namespace aloft::function
