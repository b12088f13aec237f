#include "channel/credit_table.h"

#include <algorithm>

namespace aloft::channel {

void CreditTable::add(wire::StreamId stream, std::uint64_t capacity) {
  streams_[stream].push_back({added_++, capacity});
}

std::expected<CreditTable::Credit, CreditTable::Missing> CreditTable::take(
    wire::StreamId stream, std::uint64_t body_size) {
  const auto entry = streams_.find(stream);
  if (entry == streams_.end() || entry->second.empty()) return std::unexpected(Missing{});
  std::vector<Credit>& credits = entry->second;
  const auto found = std::ranges::find_if(
      credits, [&](const Credit& credit) { return credit.capacity >= body_size; });
  if (found == credits.end()) {
    const Credit& largest = *std::ranges::max_element(credits, {}, &Credit::capacity);
    return std::unexpected(Missing{.largest = largest.capacity, .any = true});
  }
  const Credit credit = *found;
  credits.erase(found);
  // A stream without credit stays while there are few: it is about to get the next one.
  constexpr std::size_t kIdleStreams = 64;
  if (credits.empty() && streams_.size() > kIdleStreams) streams_.erase(entry);
  return credit;
}

void CreditTable::give_back(wire::StreamId stream, Credit credit) {
  std::vector<Credit>& credits = streams_[stream];
  credits.insert(std::ranges::upper_bound(credits, credit.order, {}, &Credit::order), credit);
}

std::size_t CreditTable::count(wire::StreamId stream) const {
  const auto entry = streams_.find(stream);
  return entry == streams_.end() ? 0 : entry->second.size();
}

}  // namespace aloft::channel
