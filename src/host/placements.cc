#include "host/placements.h"

#include <algorithm>

namespace aloft::host {

void Placements::expect(std::string_view session, std::uint64_t generation,
                        std::string_view trace) {
  Record& record = records_[std::string(session)];
  if (generation < record.generation) return;
  if (!trace.empty()) record.trace = trace;
  record.generation = generation;
  if (!record.released || generation <= record.released_up_to) return;
  record.released = false;
  released_.erase(record.order);
}

void Placements::release(std::string_view session, std::uint64_t generation,
                         identity::ClusterTime now) {
  Record& record = records_[std::string(session)];
  record.released_up_to = std::max(record.released_up_to, generation);
  // A placement that is newer than what is released stays.
  if (record.released || record.generation > generation) return;
  record.generation = generation;
  record.released = true;
  record.at = now;
  record.order = released_.insert(released_.end(), std::string(session));
  while (released_.size() > max_released_) {
    const auto first = records_.find(released_.front());
    forget_before(first->second.at);
    records_.erase(first);
    released_.pop_front();
  }
}

Result<void> Placements::enter(std::string_view session, std::uint64_t generation,
                               identity::ClusterTime issued) {
  const auto found = records_.find(session);
  if (found == records_.end()) {
    if (issued <= forgotten_)
      return fail(Errc::refused, "the session is not known here any more; open it again");
    records_[std::string(session)].generation = generation;
    return {};
  }
  Record& record = found->second;
  if (generation <= record.released_up_to && record.released)
    return fail(Errc::refused, "the session is over, or placed elsewhere");
  if (generation < record.generation || generation <= record.released_up_to)
    return fail(Errc::refused, "the session has a newer placement (" +
                                   std::to_string(record.generation) + ", this is " +
                                   std::to_string(generation) + ")");
  expect(session, generation);
  return {};
}

std::vector<Placements::Entry> Placements::entries() const {
  std::vector<Entry> entries;
  entries.reserve(records_.size());
  for (const std::string& session : released_) {
    const Record& record = records_.find(session)->second;
    entries.push_back({session, record.released_up_to, true, record.at, {}});
  }
  for (const auto& [session, record] : records_) {
    if (!record.released) entries.push_back({session, record.generation, false, {}, record.trace});
  }
  return entries;
}

std::string Placements::trace_of(std::string_view session) const {
  const auto found = records_.find(session);
  return found == records_.end() ? std::string() : found->second.trace;
}

void Placements::forget_before(identity::ClusterTime time) {
  forgotten_ = std::max(forgotten_, time);
}

}  // namespace aloft::host
