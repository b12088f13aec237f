// The fixed end's attachments: what is sent to them, what comes from them, and how their links are
// lost and resumed. Moves are in relocation.cc.
#include <algorithm>
#include <utility>

#include "base/mutation.h"
#include "channel/fixed_end.h"

namespace aloft::channel {
namespace {

using Link = Attachment::Link;

// Attachments to be detached when their place is up again; their places drop the rest themselves,
// when nobody has resumed them for a while.
constexpr std::size_t kMaxAbandoned = 64;

}  // namespace

template <class Content>
void FixedEnd::transmit(const Attachment& to, Content content) {
  port_.transmit(to.place, to.module, {.epoch = to.epoch, .content = std::move(content)});
}
template void FixedEnd::transmit(const Attachment& to, Deliver content);
template void FixedEnd::transmit(const Attachment& to, Acknowledge content);
template void FixedEnd::transmit(const Attachment& to, SnapshotWanted content);

void FixedEnd::detach(PlaceIndex place, std::uint32_t module, Epoch epoch) {
  const Attachment which{.epoch = epoch, .place = place, .module = module};
  if (up(place)) return transmit(which, Detach{});
  if (abandoned_.size() < kMaxAbandoned) abandoned_.push_back(which);
}

Attachment* FixedEnd::attachment(PlaceIndex place, Epoch epoch) {
  const auto is = [&](const Attachment& a) { return a.epoch == epoch && a.place == place; };
  if (is(home_)) return home_.link == Link::gone ? nullptr : &home_;
  const auto found = std::ranges::find_if(old_, is);
  return found == old_.end() ? nullptr : &*found;
}

void FixedEnd::place_up(PlaceIndex place, Time now) {
  if (closed_ || !up_.insert(place).second) return;
  for (const Attachment& left : abandoned_) {
    if (left.place == place) transmit(left, Detach{});
  }
  std::erase_if(abandoned_, [&](const Attachment& left) { return left.place == place; });
  if (home_.place == place && home_.link == Link::down) resume(home_, now);
  for (Attachment& old : old_) {
    if (old.place == place && old.link == Link::down) resume(old, now);
  }
  if (!relocation_ || !relocation_->recovery) return;
  std::erase(relocation_->tried, place);
  if (relocation_->step == Relocation::Step::waiting) try_next_place(now);
}

void FixedEnd::place_down(PlaceIndex place, Time now) {
  if (closed_ || place == kHere || up_.erase(place) == 0) return;
  const auto loses_link = [&](const Attachment& a) {
    return a.place == place && (a.link == Link::up || a.link == Link::resuming);
  };
  if (loses_link(home_)) link_lost(home_, now);
  for (Attachment& old : old_) {
    if (loses_link(old)) link_lost(old, now);
  }
  if (!relocation_ || relocation_->step == Relocation::Step::waiting) return;
  if (relocation_->to == place)
    return destination_lost({Errc::unreachable, "the link to the destination was lost"}, now);
  // Once the whole state is on its way to the destination, home is not needed any more. A move
  // without state does not need it at all.
  if (options_.has_state && !relocation_->recovery && home_.link == Link::down &&
      relocation_->step != Relocation::Step::installing) {
    preferred_ = relocation_->to;
    abort_move({Errc::unreachable, "the link to the place that was to be left was lost"}, now);
  }
}

void FixedEnd::link_lost(Attachment& attachment, Time now) {
  if (attachment.link == Link::up) attachment.lost_at = now;
  attachment.link = Link::down;
  attachment.resume_until = now + options_.resume_within;
}

void FixedEnd::resume(Attachment& attachment, Time now) {
  attachment.link = Link::resuming;
  attachment.resume_until = now + options_.resume_within;
  transmit(attachment, Attach{.resume = true, .answered = attachment.answered});
}

void FixedEnd::resumed(Attachment& attachment, const Attached& message, Time now) {
  Sequence received = message.received;
  if (mutated("resume_without_check")) {
    received = attachment.delivered;
  } else if (!message.known) {
    return attachment_lost(attachment, {Errc::unreachable, "its place has it no longer"}, now);
  } else if (received < attachment.answered || received > attachment.delivered) {
    return attachment_lost(attachment,
                           {Errc::protocol, "received other messages than were delivered"}, now);
  }
  attachment.link = Link::up;
  attachment.unacknowledged = attachment.unacknowledged_bytes = 0;
  for (const Sequence sequence : attachment.out) {
    if (sequence <= received || mutated("forget_resend")) continue;
    const LoggedMessage& again = *log_.find(sequence);
    ++counters_.repeated;
    transmit(attachment, Deliver{.sequence = sequence,
                                 .method = again.method,
                                 .body = again.body,
                                 .answered = attachment.answered});
  }
  if (&attachment != &home_) return;
  if (std::exchange(snapshot_wanted_, false)) request_snapshot();
  pump(now);
  checkpoint_if_half_full();
}

void FixedEnd::received(PlaceIndex place, EndMessage message, Time now) {
  if (closed_ || !up(place)) return;
  if (relocation_ && relocation_->step != Relocation::Step::waiting && relocation_->to == place &&
      relocation_->epoch == message.epoch) {
    return from_destination(message, now);
  }
  // Whatever else comes is late: of an attachment that was given up.
  if (Attachment* const from = attachment(place, message.epoch))
    from_attachment(*from, message, now);
}

void FixedEnd::from_attachment(Attachment& from, EndMessage& message, Time now) {
  if (auto* const lost = std::get_if<Lost>(&message.content))
    return attachment_lost(from, std::move(lost->why), now);
  if (auto* const attached = std::get_if<Attached>(&message.content)) {
    if (from.link == Link::resuming) return resumed(from, *attached, now);
  } else if (from.link == Link::up) {
    if (auto* const answer = std::get_if<Answer>(&message.content)) return take(from, *answer, now);
    auto* const state = std::get_if<State>(&message.content);
    if (state != nullptr && &from == &home_) return take(*state, now);
  }
  attachment_lost(from, {Errc::protocol, "a message that does not belong here"}, now);
}

// What it had to answer is not coming any more.
void FixedEnd::release(Attachment& attachment) {
  for (const Sequence sequence : std::exchange(attachment.out, {})) {
    LoggedMessage& message = *log_.find(sequence);
    if (options_.has_effects && !mutated("repeat_effects")) {
      ++counters_.interrupted;
      log_.answer(message,
                  fail(Errc::interrupted, "its place was lost before it could say how it ended"),
                  attachment.place);
    } else {
      log_.make_pending(message);
    }
  }
}

void FixedEnd::attachment_lost(Attachment& attachment, Error why, Time now) {
  if (attachment.link == Link::up) attachment.lost_at = now;
  attachment.link = Link::gone;
  detach(attachment.place, attachment.module, attachment.epoch);
  release(attachment);
  if (&attachment != &home_) {
    std::erase_if(old_, [](const Attachment& old) { return old.link == Link::gone; });
    tell(now);
    trim();
    return pump(now);
  }
  if (up(home_.place) && home_.delivered > home_.began) ++in_vain_;
  snapshot_wanted_ = false;
  home_.copy = {};
  if (options_.has_state) {
    if (!checkpoint_) return close(why, now);
    const Sequence covered =
        checkpoint_->at + (mutated("replay_from_checkpoint_off_by_one") ? 1 : 0);
    log_.for_each([&](LoggedMessage& message) {
      if (message.left && message.sequence > covered && !message.failed) log_.make_pending(message);
    });
  }
  tell(now);
  trim();
  if (!relocation_) return recover(std::move(why), now);
  // Otherwise the destination is home soon; or, should it fail, another place is looked for then.
  if (options_.has_state && !relocation_->recovery &&
      relocation_->step != Relocation::Step::installing) {
    preferred_ = relocation_->to;
    abort_move(std::move(why), now);
  }
}

std::optional<Time> FixedEnd::wakes_at() const {
  if (closed_) return std::nullopt;
  std::optional<Time> next = log_.next_deadline();
  const auto consider = [&](std::optional<Time> time) {
    if (time && (!next || *time < *next)) next = time;
  };
  const auto resumes = [](const Attachment& a) {
    return a.link == Link::down || a.link == Link::resuming;
  };
  if (resumes(home_)) consider(home_.resume_until);
  for (const Attachment& old : old_) {
    if (resumes(old)) consider(old.resume_until);
  }
  if (relocation_) consider(relocation_->deadline);
  return next;
}

void FixedEnd::on_timer(Time now) {
  if (closed_) return;
  log_.take_unleft([&](const LoggedMessage& message) {
    if (!message.deadline || *message.deadline > now) return false;
    drop(message, {Errc::deadline_exceeded, "its time was over before it could leave"});
    return true;
  });
  const auto over = [&](const Attachment& a) {
    return (a.link == Link::down || a.link == Link::resuming) && a.resume_until <= now;
  };
  const Error silent{Errc::unreachable, "its place was lost and did not come back in time"};
  if (over(home_)) attachment_lost(home_, silent, now);
  for (bool any = !closed_; any;) {
    const auto old = std::ranges::find_if(old_, over);
    any = old != old_.end();
    if (any) attachment_lost(*old, silent, now);
  }
  if (!closed_ && relocation_ && relocation_->deadline && *relocation_->deadline <= now) {
    if (relocation_->step == Relocation::Step::waiting) {
      relocation_->tried.clear();
      try_next_place(now);
    } else {
      destination_lost({Errc::deadline_exceeded, "a step of the move took too long"}, now);
    }
  }
}

void FixedEnd::close(const Error& why, Time now) {
  if (closed_) return;
  closed_ = true;
  std::optional<MoveReport> ended_move;
  if (relocation_) {
    ended_move = report(now);
    ended_move->result = std::unexpected(why);
    if (relocation_->step != Relocation::Step::waiting)
      detach(relocation_->to, relocation_->module, relocation_->epoch);
    relocation_.reset();
  }
  if (home_.link != Link::gone) detach(home_.place, home_.module, home_.epoch);
  for (const Attachment& old : old_) detach(old.place, old.module, old.epoch);
  log_.for_each([&](LoggedMessage& message) {
    if (message.told) return;
    const bool unknown = options_.has_effects && message.left && !message.outcome;
    counters_.interrupted += unknown;
    (message.left ? counters_.answered : counters_.dropped) += 1;
    Outcome outcome{.sequence = message.sequence,
                    .result = std::unexpected(why),
                    .sent = message.sent,
                    .place = message.outcome ? message.place : home_.place,
                    .dropped = !message.left};
    if (message.outcome) {
      outcome.result = *std::move(message.outcome);
    } else if (unknown) {
      outcome.result = fail(Errc::interrupted, "the channel was closed before its answer came");
    }
    port_.ended(std::move(outcome));
  });
  log_.clear();
  old_.clear();
  home_.out.clear();
  checkpoint_.reset();
  home_.copy = {};
  if (ended_move) port_.moved(*ended_move);
}

}  // namespace aloft::channel
