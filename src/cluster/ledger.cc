#include "cluster/ledger.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace aloft::cluster {
namespace {

constexpr std::size_t kMaxJobs = 48;  // of a batch
constexpr int kMaxTries = 40;
constexpr int kAloneFrom = 3;  // so many tries, and it has a transaction of its own

}  // namespace

const Draft::Cell* Draft::find(const std::string& key) const {
  for (const Draft* draft = this; draft != nullptr; draft = draft->below_) {
    if (const auto found = draft->cells_.find(key); found != draft->cells_.end()) {
      return &found->second;
    }
  }
  return nullptr;
}

Draft::Cell& Draft::cell(RecordTable& table, std::string_view id) {
  const std::string key = table.key(id);
  if (const auto own = cells_.find(key); own != cells_.end()) return own->second;
  if (const Cell* const known = find(key)) {
    Cell copy = *known;
    copy.changed = false;
    return cells_.emplace(key, std::move(copy)).first->second;
  }
  RecordTable::Row row = table.row(id);
  Cell fresh{
      .table = &table, .id = std::string(id), .seen = row.revision, .value = std::move(row.record)};
  return cells_.emplace(key, std::move(fresh)).first->second;
}

std::shared_ptr<const RecordTable::Message> Draft::look(const RecordTable& table,
                                                        std::string_view id) const {
  if (const Cell* const known = find(table.key(id))) return known->value;
  return table.row(id).record;
}

void Draft::change(RecordTable& table, std::string_view id,
                   std::shared_ptr<const RecordTable::Message> value, LeaseId lease) {
  Cell& at = cell(table, id);
  at.value = std::move(value);
  at.lease = lease;
  at.changed = true;
}

Draft::Size Draft::size() const {
  Size size{.conditions = cells_.size(), .changes = unread_.size()};
  for (const auto& [key, cell] : cells_) {
    size.bytes += 2 * key.size();
    if (!cell.changed) continue;
    ++size.changes;
    if (cell.value) size.bytes += cell.value->ByteSizeLong();
  }
  for (const auto& [key, value] : unread_) size.bytes += key.size() + (value ? value->size() : 0);
  return size;
}

bool Draft::has_room_for(const Draft& above) const {
  const Size own = size();
  const Size more = above.size();
  return own.conditions + more.conditions <= kMaxConditions &&
         own.changes + more.changes <= kMaxChanges &&
         own.bytes + more.bytes <= kMaxTransactionBytes;
}

void Draft::take(Draft&& above) {
  for (auto& [key, cell] : above.cells_) {
    if (cell.changed) {
      cells_.insert_or_assign(key, std::move(cell));
    } else {
      cells_.emplace(key, std::move(cell));
    }
  }
  for (auto& [key, value] : above.unread_) unread_.insert_or_assign(key, std::move(value));
}

Ledger::Ledger(Store& store) : store_(store), thread_([this] { work(); }) {}

Ledger::~Ledger() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<void> Ledger::run(Decision decision) {
  auto job = std::make_unique<Job>();
  job->decision = std::move(decision);
  auto done = job->done.get_future();
  {
    const std::scoped_lock lock(mutex_);
    if (ending_) return fail(Errc::cancelled, "the manager ends");
    ++counts_.decisions;
    jobs_.push_back(std::move(job));
  }
  changed_.notify_all();
  return done.get();
}

Ledger::Counts Ledger::counts() const {
  const std::scoped_lock lock(mutex_);
  return counts_;
}

void Ledger::work() {
  for (;;) {
    Jobs batch;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ending_ || !jobs_.empty(); });
      if (ending_) break;
      // After a conflict fewer at a time: a small transaction reads its records anew so quickly
      // that nobody else gets in between.
      const std::size_t room =
          std::max<std::size_t>(1, kMaxJobs >> std::min(2 * jobs_.front()->tries, 16));
      while (!jobs_.empty() && batch.size() < room) {
        batch.push_back(std::move(jobs_.front()));
        jobs_.pop_front();
      }
    }
    settle(std::move(batch));
  }
  for (const auto& job : jobs_) job->done.set_value(fail(Errc::cancelled, "the manager ends"));
}

// They keep their place: they come before what arrived since.
void Ledger::again(Jobs jobs) {
  const std::scoped_lock lock(mutex_);
  jobs_.insert(jobs_.begin(), std::make_move_iterator(jobs.begin()),
               std::make_move_iterator(jobs.end()));
}

Result<void> Ledger::refresh(const Draft& draft) {
  Transaction look;
  const auto ask = [&]() -> Result<void> {
    const auto looked = store_.commit(look);
    if (!looked) return std::unexpected(looked.error());
    if (!looked->succeeded) learn(draft, look, *looked);
    return {};
  };
  for (const auto& [key, cell] : draft.cells_) {
    look.conditions.push_back({key, cell.seen});
    if (look.conditions.size() < kMaxConditions) continue;
    if (auto asked = ask(); !asked) return asked;
    look.conditions.clear();
  }
  return ask();
}

void Ledger::learn(const Draft& draft, const Transaction& refused, const Committed& answer) {
  std::map<std::string_view, const Entry*> found;
  for (const Entry& entry : answer.found) found.emplace(entry.key, &entry);
  for (const Condition& condition : refused.conditions) {
    const Draft::Cell& cell = draft.cells_.at(condition.key);
    const auto at = found.find(condition.key);
    cell.table->learn(cell.id, at == found.end() ? nullptr : at->second, answer.revision);
  }
}

void Ledger::settle(Jobs batch) {
  Draft draft;
  Jobs decided;
  Jobs later;
  for (auto& job : batch) {
    Draft own(draft, 0);
    auto result = job->decision(own);
    if (!result) {
      // Only a decision on records that are fresh refuses anything.
      if (!job->looked && !own.cells_.empty()) {
        job->looked = true;
        if (auto read = refresh(own); !read) {
          job->done.set_value(std::unexpected(read.error()));
        } else {
          later.push_back(std::move(job));
        }
      } else {
        job->done.set_value(std::move(result));
      }
      continue;
    }
    if (!decided.empty() && !draft.has_room_for(own)) {
      later.push_back(std::move(job));
      continue;
    }
    draft.take(std::move(own));
    decided.push_back(std::move(job));
  }
  if (!later.empty()) again(std::move(later));
  if (decided.empty()) return;
  if (draft.size().changes == 0) {
    for (const auto& job : decided) job->done.set_value({});
    return;
  }

  Transaction transaction;
  for (const auto& [key, cell] : draft.cells_) {
    transaction.conditions.push_back({key, cell.seen});
    if (!cell.changed) continue;
    if (cell.value) {
      transaction.changes.push_back({key, cell.value->SerializeAsString(), cell.lease});
    } else if (cell.seen != 0) {
      transaction.changes.push_back({key, std::nullopt, 0});
    }
  }
  for (const auto& [key, value] : draft.unread_) transaction.changes.push_back({key, value, 0});

  auto committed = store_.commit(transaction);
  // One decision's lease has ended, or it is too big: no reason to fail those beside it.
  if (!committed && decided.size() > 1 &&
      (committed.error().code == Errc::not_found ||
       committed.error().code == Errc::invalid_argument)) {
    for (const auto& job : decided) job->tries = std::max(job->tries, kAloneFrom);
    again(std::move(decided));
    return;
  }
  if (!committed) {
    // A lease that has ended is no fault of the store's.
    if (committed.error().code != Errc::not_found) {
      const std::scoped_lock lock(mutex_);
      ++counts_.failures;
    }
    for (const auto& job : decided) job->done.set_value(std::unexpected(committed.error()));
    return;
  }
  if (committed->succeeded) {
    {
      const std::scoped_lock lock(mutex_);
      ++counts_.commits;
    }
    for (const auto& [key, cell] : draft.cells_) {
      if (cell.changed) cell.table->learn(cell.id, {cell.value, committed->revision});
    }
    for (const auto& job : decided) job->done.set_value({});
    return;
  }

  {
    const std::scoped_lock lock(mutex_);
    ++counts_.conflicts;
  }
  learn(draft, transaction, *committed);
  Jobs retried;
  for (auto& job : decided) {
    job->looked = false;
    if (++job->tries < kMaxTries) {
      retried.push_back(std::move(job));
    } else {
      job->done.set_value(
          fail(Errc::overloaded, "other managers change the same records all the time: ask again"));
    }
  }
  again(std::move(retried));
}

}  // namespace aloft::cluster
