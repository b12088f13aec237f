#include "cluster/table.h"

#include <algorithm>
#include <array>

#include <spdlog/spdlog.h>

namespace aloft::cluster {

RecordTable::RecordTable(std::string prefix, const Message& prototype)
    : prefix_(std::move(prefix)), prototype_(prototype) {}

RecordTable::~RecordTable() { stop(); }

void RecordTable::stop() {
  std::unique_ptr<Watch> ended;
  {
    const std::scoped_lock lock(watch_mutex_);
    ended = std::move(watch_);
  }
  ended.reset();
  const std::scoped_lock lock(mutex_);
  following_ = false;
}

bool RecordTable::following() const {
  const std::scoped_lock lock(mutex_);
  return following_;
}

std::shared_ptr<const RecordTable::Message> RecordTable::parse(const std::string& key,
                                                               const std::string& value) const {
  std::shared_ptr<Message> record(prototype_.New());
  if (record->ParseFromString(value)) return record;
  spdlog::error("the store's key {} has no record of this manager's kind in it: left alone", key);
  return nullptr;
}

Result<void> RecordTable::follow(Store& store) {
  const std::scoped_lock watch_lock(watch_mutex_);
  watch_.reset();
  auto snapshot = store.list(prefix_);
  if (!snapshot) return std::unexpected(snapshot.error());

  std::map<std::string, Row, std::less<>> fresh;
  for (const Entry& entry : snapshot->entries) {
    if (auto record = parse(entry.key, entry.value)) {
      fresh.emplace(entry.key.substr(prefix_.size()), Row{std::move(record), entry.revision});
    }
  }
  std::vector<std::pair<std::string, Row>> changed;
  {
    const std::scoped_lock lock(mutex_);
    // An own commit may be newer than the list.
    for (auto& [id, row] : rows_) {
      const auto listed = fresh.find(id);
      if (row.revision > snapshot->revision) {
        fresh.insert_or_assign(id, row);
      } else if (listed == fresh.end() && row.record) {
        changed.emplace_back(id, Row{nullptr, snapshot->revision});
      }
    }
    for (const auto& [id, row] : fresh) {
      const auto known = rows_.find(id);
      if (known == rows_.end() || known->second.revision != row.revision) {
        changed.emplace_back(id, row);
      }
    }
    rows_ = std::move(fresh);
    removed_ = 0;
    for (const auto& [id, row] : rows_) removed_ += row.record ? 0U : 1U;
    following_ = true;
  }
  if (told_) {
    for (const auto& [id, row] : changed) told_(id, row);
  }

  auto watch = store.watch(prefix_, snapshot->revision,
                           {.on_events = [this](const std::vector<Event>& events) { take(events); },
                            .on_lost =
                                [this] {
                                  const std::scoped_lock lock(mutex_);
                                  following_ = false;
                                }});
  if (!watch) {
    const std::scoped_lock lock(mutex_);
    following_ = false;
    return std::unexpected(watch.error());
  }
  watch_ = *std::move(watch);
  return {};
}

void RecordTable::take(const std::vector<Event>& events) {
  for (const Event& event : events) {
    if (!event.key.starts_with(prefix_)) continue;
    const std::string id = event.key.substr(prefix_.size());
    Row row{nullptr, event.revision};
    if (event.value) {
      row.record = parse(event.key, *event.value);
      if (!row.record) continue;
    }
    {
      const std::scoped_lock lock(mutex_);
      const auto known = rows_.find(id);
      const bool is_known = known != rows_.end();
      if (is_known && known->second.revision > event.revision) continue;
      const bool same = is_known && known->second.revision == event.revision;
      if (is_known && !known->second.record) --removed_;
      if (row.record) {
        rows_.insert_or_assign(id, row);
      } else if (is_known) {
        rows_.erase(known);
      }
      if (same) continue;  // an own commit: told already
    }
    if (told_) told_(id, row);
  }
}

void RecordTable::learn(const std::string& id, Row row) {
  {
    const std::scoped_lock lock(mutex_);
    const auto known = rows_.find(id);
    if (known != rows_.end() && known->second.revision >= row.revision) return;
    if (known != rows_.end() && !known->second.record) --removed_;
    if (!row.record) ++removed_;
    rows_.insert_or_assign(id, row);
  }
  if (told_) told_(id, row);
}

Result<void> RecordTable::refresh(Store& store, const std::string& id) {
  const std::string at = key(id);
  auto entry = store.get(at);
  if (!entry) return std::unexpected(entry.error());
  if (*entry) {
    if (auto record = parse(at, (*entry)->value)) {
      learn(id, {std::move(record), (*entry)->revision});
    }
    return {};
  }
  if (!row(id).record) return {};
  // Gone, says the store; a list says as of when, and only what is older than that may be dropped.
  auto snapshot = store.list(at);
  if (!snapshot) return std::unexpected(snapshot.error());
  const auto found = std::ranges::find(snapshot->entries, at, &Entry::key);
  learn(id, found == snapshot->entries.end() ? nullptr : &*found, snapshot->revision);
  return {};
}

void RecordTable::learn(const std::string& id, const Entry* found, Revision revision) {
  if (found == nullptr) {
    // Of what is not known nothing has to be kept for events that are still on their way.
    if (row(id).record) learn(id, {nullptr, revision});
  } else if (auto record = parse(found->key, found->value)) {
    learn(id, {std::move(record), found->revision});
  }
}

RecordTable::Row RecordTable::row(std::string_view id) const {
  const std::scoped_lock lock(mutex_);
  const auto found = rows_.find(id);
  if (found == rows_.end() || !found->second.record) return {};
  return found->second;
}

std::size_t RecordTable::size() const {
  const std::scoped_lock lock(mutex_);
  return rows_.size() - removed_;
}

void RecordTable::visit(std::string_view after,
                        const std::function<bool(const std::string&, const Row&)>& visitor) const {
  const std::scoped_lock lock(mutex_);
  for (auto at = rows_.upper_bound(after); at != rows_.end(); ++at) {
    if (at->second.record && !visitor(at->first, at->second)) return;
  }
}

Result<void> Tables::follow(Store& store) {
  const std::array<RecordTable*, 8> all{&hosts,    &drains,   &reservations, &quotas,
                                        &sessions, &managers, &rollouts,     &counts};
  for (RecordTable* const table : all) {
    if (table->following()) continue;
    if (auto followed = table->follow(store); !followed) return followed;
  }
  return {};
}

bool Tables::following() const {
  return hosts.following() && drains.following() && reservations.following() &&
         quotas.following() && sessions.following() && managers.following() &&
         rollouts.following() && counts.following();
}

void Tables::stop() {
  hosts.stop();
  drains.stop();
  reservations.stop();
  quotas.stop();
  sessions.stop();
  managers.stop();
  rollouts.stop();
  counts.stop();
}

}  // namespace aloft::cluster
