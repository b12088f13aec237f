#include "cluster/store_draft.h"

#include <algorithm>
#include <utility>

namespace aloft::cluster {

StoreDraft::StoreDraft(const StoreContents& contents) : contents_(contents) {
  changes_.revision = contents.revision;
}

const StoredEntry* StoreDraft::find(const std::string& key) const {
  if (const auto changed = changes_.entries.find(key); changed != changes_.entries.end())
    return changed->second ? &*changed->second : nullptr;
  const auto found = contents_.entries.find(key);
  return found == contents_.entries.end() ? nullptr : &found->second;
}

bool StoreDraft::has_lease(LeaseId lease) const {
  if (const auto changed = changes_.leases.find(lease); changed != changes_.leases.end())
    return changed->second.has_value();
  return contents_.leases.contains(lease);
}

void StoreDraft::change(const std::string& key, std::optional<StoredEntry> entry,
                        std::vector<Event>& events) {
  bytes_ += key.size() + (entry ? entry->value.size() : 0);
  events.push_back({.key = key,
                    .value = entry ? std::optional(entry->value) : std::nullopt,
                    .revision = changes_.revision});
  changes_.entries.insert_or_assign(key, std::move(entry));
}

Committed StoreDraft::refusal(const Transaction& transaction) const {
  Committed refused{.succeeded = false, .revision = changes_.revision};
  for (const Condition& condition : transaction.conditions) {
    if (const StoredEntry* const entry = find(condition.key)) {
      refused.found.push_back(
          {.key = condition.key, .value = entry->value, .revision = entry->revision});
    }
  }
  return refused;
}

Result<Committed> StoreDraft::apply(const Transaction& transaction) {
  for (const Condition& condition : transaction.conditions) {
    const StoredEntry* entry = find(condition.key);
    if ((entry == nullptr ? 0 : entry->revision) != condition.revision) return refusal(transaction);
  }
  bool changes_anything = false;
  for (const Change& change : transaction.changes) {
    if (change.lease != 0 && !has_lease(change.lease))
      return fail(Errc::not_found, "the lease of the key " + change.key + " has ended");
    changes_anything = changes_anything || change.value || find(change.key) != nullptr;
  }
  if (!changes_anything) return Committed{.succeeded = true, .revision = changes_.revision};

  ++changes_.revision;
  std::vector<Event> events;
  for (const Change& next : transaction.changes) {
    if (next.value) {
      change(next.key,
             StoredEntry{.value = *next.value, .revision = changes_.revision, .lease = next.lease},
             events);
    } else if (find(next.key) != nullptr) {
      change(next.key, std::nullopt, events);
    }
  }
  events_.push_back(std::move(events));
  return Committed{.succeeded = true, .revision = changes_.revision};
}

void StoreDraft::grant_lease(LeaseId lease, std::chrono::seconds ttl) {
  changes_.leases[lease] = ttl;
}

Committed StoreDraft::end_lease(LeaseId lease) {
  if (has_lease(lease)) {
    std::vector<std::string> keys;
    for (const auto& [key, entry] : contents_.entries) {
      if (entry.lease == lease && !changes_.entries.contains(key)) keys.push_back(key);
    }
    for (const auto& [key, entry] : changes_.entries) {
      if (entry && entry->lease == lease) keys.push_back(key);
    }
    changes_.leases[lease] = std::nullopt;
    if (!keys.empty()) {
      ++changes_.revision;
      std::vector<Event> events;
      for (const std::string& key : keys) change(key, std::nullopt, events);
      events_.push_back(std::move(events));
    }
  }
  return {.succeeded = true, .revision = changes_.revision};
}

std::vector<std::vector<Event>> StoreDraft::apply_to(StoreContents& contents) && {
  for (auto& [key, entry] : changes_.entries) {
    if (entry) {
      contents.entries.insert_or_assign(key, std::move(*entry));
    } else {
      contents.entries.erase(key);
    }
  }
  for (const auto& [lease, ttl] : changes_.leases) {
    if (ttl) {
      contents.leases.insert_or_assign(lease, *ttl);
    } else {
      contents.leases.erase(lease);
    }
  }
  contents.revision = changes_.revision;
  return std::move(events_);
}

}  // namespace aloft::cluster
