// All changes of the cluster's state by one manager, one after another, many to a transaction.
//
// A change is a decision: a function that looks at records through a Draft, and writes others into
// it. What it read is what it believes: the commit is under the condition that all of that is still
// so. When another manager was quicker, the records are read anew and the decision is taken again.
// So a quota and a host's capacity are exact, however many managers there are and however old their
// copies are.
//
// Decisions that wait together go into one transaction: a tenant's opens all change its one quota,
// and would otherwise wait for one commit each.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/store.h"
#include "cluster/table.h"
#include <aloft/result.h>

namespace aloft::cluster {

// A transaction in the making. Thread rule: the ledger's own thread; valid in the decision only.
class Draft {
 public:
  Draft() = default;

  // As it will be after what is in the draft already; null: there is none. The commit is under the
  // condition that nobody else has changed it.
  template <class Record>
  [[nodiscard]] std::shared_ptr<const Record> read(Table<Record>& table, std::string_view id) {
    return std::static_pointer_cast<const Record>(cell(table, id).value);
  }
  // The same without the condition: for a look at many, of which few matter.
  template <class Record>
  [[nodiscard]] std::shared_ptr<const Record> peek(const Table<Record>& table,
                                                   std::string_view id) const {
    return std::static_pointer_cast<const Record>(look(table, id));
  }
  // What read() gives, as a copy to change and to write; a new one where there is none.
  template <class Record>
  [[nodiscard]] Record edit(Table<Record>& table, std::string_view id) {
    const auto known = read(table, id);
    return known ? *known : Record{};
  }
  template <class Record>
  void write(Table<Record>& table, std::string_view id, Record record, LeaseId lease = 0) {
    change(table, id, std::make_shared<const Record>(std::move(record)), lease);
  }
  template <class Record>
  void erase(Table<Record>& table, std::string_view id) {
    change(table, id, nullptr, 0);
  }
  // A record that nobody keeps a copy of, and no decision reads. None: it goes.
  void put(std::string key, std::optional<std::string> value) {
    unread_.insert_or_assign(std::move(key), std::move(value));
  }

 private:
  friend class Ledger;
  struct Cell {
    RecordTable* table = nullptr;
    std::string id;
    Revision seen = 0;
    std::shared_ptr<const RecordTable::Message> value;
    bool changed = false;
    LeaseId lease = 0;
  };

  explicit Draft(const Draft& below, int) : below_(&below) {}
  [[nodiscard]] const Cell* find(const std::string& key) const;
  Cell& cell(RecordTable& table, std::string_view id);
  [[nodiscard]] std::shared_ptr<const RecordTable::Message> look(const RecordTable& table,
                                                                 std::string_view id) const;
  void change(RecordTable& table, std::string_view id,
              std::shared_ptr<const RecordTable::Message> value, LeaseId lease);
  struct Size {
    std::size_t conditions = 0, changes = 0, bytes = 0;
  };
  [[nodiscard]] Size size() const;
  [[nodiscard]] bool has_room_for(const Draft& above) const;
  void take(Draft&& above);

  const Draft* below_ = nullptr;
  std::map<std::string, Cell, std::less<>> cells_;                         // by key
  std::map<std::string, std::optional<std::string>, std::less<>> unread_;  // by key
};

// Thread rule: any thread, but not from a decision or a table's on_change.
class Ledger {
 public:
  // May be called several times, on a thread of the ledger's; is quick, and uses no store. What it
  // refuses is refused on a fresh look only. An error leaves nothing of it in the draft.
  using Decision = std::function<Result<void>(Draft&)>;

  explicit Ledger(Store& store);
  // After the last run().
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Takes the decision and commits it; waits for both. Errors: the decision's; the store's
  // (unreachable: it may have been committed; not_found: a lease has ended); overloaded, when
  // others were quicker too often; cancelled, when the ledger ends.
  [[nodiscard]] Result<void> run(Decision decision);

  struct Counts {
    std::uint64_t commits = 0;    // transactions that were made
    std::uint64_t conflicts = 0;  // that were not, since another manager was quicker
    std::uint64_t failures = 0;   // store errors
    std::uint64_t decisions = 0;
  };
  [[nodiscard]] Counts counts() const;

 private:
  struct Job {
    Decision decision;
    std::promise<Result<void>> done;
    bool looked = false;  // at fresh records
    int tries = 0;
  };
  using Jobs = std::vector<std::unique_ptr<Job>>;

  void work();
  void settle(Jobs batch);
  // What the store has of all that the draft has read, in one round trip. Errors: the store's.
  [[nodiscard]] Result<void> refresh(const Draft& draft);
  static void learn(const Draft& draft, const Transaction& refused, const Committed& answer);
  void again(Jobs jobs);

  Store& store_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Job>> jobs_;
  Counts counts_;
  bool ending_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace aloft::cluster
