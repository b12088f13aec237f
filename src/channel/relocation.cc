// How a fixed end moves its movable end to another place, and finds one when home was lost.
#include <algorithm>
#include <utility>

#include "base/mutation.h"
#include "channel/fixed_end.h"
#include "channel/state_blocks.h"

namespace aloft::channel {
namespace {

using Link = Attachment::Link;
using Step = Relocation::Step;

}  // namespace

Result<void> FixedEnd::move(PlaceIndex to, std::uint32_t module, Time now) {
  if (closed_) return fail(Errc::refused, "the channel is closed");
  if (relocation_) return fail(Errc::refused, "a move is under way");
  if (options_.has_state && home_.link != Link::up)
    return fail(Errc::refused, "its place was lost, it is being recovered");
  if (!up(to)) return fail(Errc::unreachable, "that place cannot be reached");
  if (to == home_.place && module == home_.module && home_.link == Link::up) {
    port_.moved({.from = to, .to = to, .module = module, .result = {}});
    return {};
  }
  relocation_.emplace();
  relocation_->from = home_.place;
  relocation_->module = module;
  relocation_->requested = now;
  preferred_.reset();
  if (home_.copy.bytes != nullptr) relocation_->to_copy = home_.copy.bytes->size();
  attach(to, now);
  if (options_.has_state && (home_.copy.bytes == nullptr || home_.copy.at < home_.delivered))
    request_snapshot();
  return {};
}

void FixedEnd::attach(PlaceIndex place, Time now) {
  Relocation& r = *relocation_;
  r.to = place;
  r.epoch = ++last_epoch_;
  r.step = Step::attaching;
  r.deadline = now + options_.step_timeout;
  r.attached = r.install_out = false;
  r.version = r.at = 0;
  r.bytes.reset();
  port_.transmit(place, r.module, {.epoch = r.epoch, .content = Attach{}});
}

void FixedEnd::from_destination(EndMessage& message, Time now) {
  Relocation& r = *relocation_;
  if (auto* const lost = std::get_if<Lost>(&message.content))
    return destination_lost(std::move(lost->why), now);
  if (const auto* const attached = std::get_if<Attached>(&message.content);
      attached != nullptr && !r.attached && !attached->known) {
    r.attached = true;
    r.deadline = now + options_.step_timeout;
    return options_.has_state ? advance(now) : make_home(now);
  }
  if (const auto* const installed = std::get_if<Installed>(&message.content);
      installed != nullptr && r.install_out && installed->version == r.version &&
      installed->final == (r.step == Step::installing)) {
    r.install_out = false;
    r.deadline = now + options_.step_timeout;
    return installed->final ? make_home(now) : advance(now);
  }
  destination_lost({Errc::protocol, "a message that does not belong into a move"}, now);
}

// The next step of a move or recovery with state, if it is time for it.
void FixedEnd::advance(Time now) {
  Relocation& r = *relocation_;
  if (!r.attached || r.install_out || r.step == Step::waiting || r.step == Step::installing) return;
  if (r.recovery) {
    r.step = Step::installing;
    return install(Finality::final, now);
  }
  const bool current = home_.copy.bytes != nullptr && home_.copy.at >= home_.delivered;
  if (r.step == Step::attaching) {
    if (snapshot_wanted_) return;
    if (home_.copy.bytes == nullptr) return request_snapshot();
    const bool there = r.bytes == home_.copy.bytes;
    if (there && !current && r.rounds < kMaxCopyRounds) return request_snapshot();
    if (!there && r.to_copy > kLittleState && r.rounds < kMaxCopyRounds)
      return install(Finality::not_final, now);
    r.step = Step::draining;
    r.cut = now;
    r.deadline = now + options_.step_timeout;
  }
  if (r.step == Step::draining && !home_.out.empty() && !mutated("move_before_drain")) return;
  if (r.step == Step::last_copy && snapshot_wanted_) return;
  // A copy that was asked for earlier, for a checkpoint say, may be on its way still: it is not the
  // last one.
  const bool asked = r.step == Step::last_copy && mutated("take_any_copy");
  if (!current && !asked && !mutated("move_before_snapshot")) {
    r.step = Step::last_copy;
    r.deadline = now + options_.step_timeout;
    return request_snapshot();
  }
  r.step = Step::installing;
  r.deadline = now + options_.step_timeout;
  install(Finality::final, now);
}

void FixedEnd::install(Finality final, Time) {
  Relocation& r = *relocation_;
  const SharedBytes& state = r.recovery ? checkpoint_->bytes : home_.copy.bytes;
  const Sequence at = r.recovery ? checkpoint_->at : home_.copy.at;
  const std::uint64_t version = r.version + 1;
  StateBlocks blocks = r.bytes == nullptr ? whole_state(version, at, state)
                                          : changed_blocks(r.version, *r.bytes, version, at, state);
  r.version = version;
  r.at = at;
  r.bytes = state;
  r.to_copy = 0;
  r.copied_bytes += blocks.bytes->size();
  ++r.rounds;
  r.install_out = true;
  port_.transmit(
      r.to, r.module,
      {.epoch = r.epoch,
       .content = Install{.state = std::move(blocks), .final = final == Finality::final}});
}

MoveReport FixedEnd::report(Time now) const {
  const Relocation& r = *relocation_;
  MoveReport report{.from = r.from,
                    .to = r.to,
                    .module = r.module,
                    .recovery = r.recovery,
                    .result = {},
                    .took = now - r.requested,
                    .state_bytes = r.bytes == nullptr ? 0 : r.bytes->size(),
                    .copied_bytes = r.copied_bytes,
                    .rounds = r.rounds};
  if (r.recovery) {
    if (home_.link == Link::gone) report.blackout = now - home_.lost_at;
  } else if (options_.has_state) {
    report.blackout = now - std::max(r.cut, home_.last_answer);
  }
  return report;
}

void FixedEnd::make_home(Time now) {
  const MoveReport done = report(now);
  const Relocation r = *std::exchange(relocation_, std::nullopt);
  Attachment next{.epoch = r.epoch, .place = r.to, .module = r.module};
  if (options_.has_state) {
    next.delivered = next.answered = next.began = r.at;
    next.copy = {.version = r.version, .at = r.at, .bytes = r.bytes};
    checkpoint_ = {.at = r.at, .bytes = r.bytes};
    snapshot_wanted_ = false;
  }
  if (home_.link != Link::gone) {
    if (options_.has_state || home_.out.empty()) {
      detach(home_.place, home_.module, home_.epoch);
    } else {
      old_.push_back(std::move(home_));
    }
  }
  home_ = std::move(next);
  preferred_.reset();
  ++(r.recovery ? counters_.recoveries : counters_.moves);
  if (mutated("drop_waiting_on_move")) log_.take_unleft([](const LoggedMessage&) { return true; });
  trim();
  pump(now);
  port_.moved(done);
  checkpoint_if_half_full();
}

void FixedEnd::destination_lost(Error why, Time now) {
  if (!relocation_->recovery) return abort_move(std::move(why), now);
  Relocation& r = *relocation_;
  detach(r.to, r.module, r.epoch);
  r.tried.push_back(r.to);
  r.why = std::move(why);
  try_next_place(now);
}

void FixedEnd::abort_move(Error why, Time now) {
  MoveReport failed = report(now);
  failed.result = std::unexpected(why);
  failed.blackout = {};
  detach(relocation_->to, relocation_->module, relocation_->epoch);
  relocation_.reset();
  port_.moved(failed);
  if (home_.link == Link::gone) return recover(std::move(why), now);
  trim();
  pump(now);
  checkpoint_if_half_full();
}

void FixedEnd::recover(Error why, Time now) {
  if (home_.link == Link::gone && in_vain_ >= kRecoveredInVain) return close(why, now);
  relocation_.emplace();
  relocation_->recovery = true;
  relocation_->from = home_.place;
  relocation_->module = home_.module;
  relocation_->requested = home_.link == Link::gone ? home_.lost_at : now;
  relocation_->why = std::move(why);
  if (in_vain_ < kRecoveredAtOnce) return try_next_place(now);
  relocation_->step = Step::waiting;
  relocation_->to = relocation_->from;
  relocation_->deadline = now + options_.step_timeout;
}

void FixedEnd::try_next_place(Time now) {
  Relocation& r = *relocation_;
  const auto will_do = [&](PlaceIndex place) {
    const bool allowed = place != kHere || options_.recover_here || home_.place == kHere;
    return allowed && up(place) && std::ranges::find(r.tried, place) == r.tried.end();
  };
  if (preferred_ && will_do(*preferred_)) return attach(*preferred_, now);
  // Its process may live, with the module warm: only the object is gone.
  if (will_do(home_.place)) return attach(home_.place, now);
  for (const PlaceIndex place : up_) {
    if (place != kHere && will_do(place)) return attach(place, now);
  }
  if (will_do(kHere)) return attach(kHere, now);
  r.step = Step::waiting;
  r.to = r.from;
  r.deadline.reset();
  if (!r.tried.empty()) r.deadline = now + options_.step_timeout;
}

}  // namespace aloft::channel
