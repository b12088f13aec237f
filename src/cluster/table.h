// What a manager knows of one kind of record without asking the store: a copy that the store's
// watch keeps, and that the manager's own commits run ahead of.
//
// It may be behind, and that is fine: whatever is decided on it is committed under the condition
// that it was true (ledger.h).
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/message_lite.h>

#include "aloft/cluster/records.pb.h"
#include "cluster/store.h"
#include <aloft/result.h>

namespace aloft::cluster {

inline constexpr std::size_t kTurn = 256;  // records, of Table::for_each_in_turns

// A table without its type; see Table. Thread rule: any thread.
class RecordTable {
 public:
  using Message = google::protobuf::MessageLite;
  struct Row {
    std::shared_ptr<const Message> record;  // null: there is none
    Revision revision = 0;
  };
  // Called after each change, with the table unlocked, on whichever thread brought it.
  using Told = std::function<void(const std::string& id, const Row& row)>;

  RecordTable(std::string prefix, const Message& prototype);
  ~RecordTable();
  RecordTable(const RecordTable&) = delete;
  RecordTable& operator=(const RecordTable&) = delete;

  // Before follow().
  void on_change(Told told) { told_ = std::move(told); }
  // Copies what is there, and watches. Again where the watch was lost. Errors: the store's.
  [[nodiscard]] Result<void> follow(Store& store);
  // It knows what the store has, but for the watch's delay.
  [[nodiscard]] bool following() const;
  // Ends the watch; no call of `told` after it.
  void stop();

  [[nodiscard]] Row row(std::string_view id) const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::string key(std::string_view id) const { return prefix_ + std::string(id); }
  // Asks the store for one record. Errors: the store's.
  [[nodiscard]] Result<void> refresh(Store& store, const std::string& id);
  // Of an own commit; nothing happens when something newer is known.
  void learn(const std::string& id, Row row);
  // What the store had at `revision`, as a commit that did not succeed has found it; null: nothing.
  void learn(const std::string& id, const Entry* found, Revision revision);

 protected:
  // Those with a greater id than `after`, by id, until the visitor answers false; with an empty
  // one, all.
  void visit(std::string_view after,
             const std::function<bool(const std::string&, const Row&)>& visitor) const;

 private:
  void take(const std::vector<Event>& events);
  [[nodiscard]] std::shared_ptr<const Message> parse(const std::string& key,
                                                     const std::string& value) const;

  const std::string prefix_;
  const Message& prototype_;
  Told told_;
  mutable std::mutex mutex_;
  // A record that an own commit removed stays as a row without one until the watch has told so: an
  // older event of it, still on its way, must not bring it back.
  std::map<std::string, Row, std::less<>> rows_;
  std::size_t removed_ = 0;  // rows without a record
  bool following_ = false;
  std::mutex watch_mutex_;
  std::unique_ptr<Watch> watch_;
};

template <class Record>
class Table final : public RecordTable {
 public:
  explicit Table(std::string prefix) : RecordTable(std::move(prefix), Record::default_instance()) {}

  // Null: there is none.
  [[nodiscard]] std::shared_ptr<const Record> find(std::string_view id) const {
    return std::static_pointer_cast<const Record>(row(id).record);
  }
  // With the table locked: the visitor is quick, and does not touch the table.
  template <class Visitor>
  void for_each(Visitor visitor) const {
    visit({}, [&](const std::string& id, const Row& row) {
      visitor(id, std::static_pointer_cast<const Record>(row.record));
      return true;
    });
  }
  // The next `most` records with a greater id than `after`, by id; fewer: those are the last.
  using Page = std::vector<std::pair<std::string, std::shared_ptr<const Record>>>;
  [[nodiscard]] Page page(std::string_view after, std::size_t most) const {
    Page found;
    if (most == 0) return found;
    visit(after, [&](const std::string& id, const Row& row) {
      found.emplace_back(id, std::static_pointer_cast<const Record>(row.record));
      return found.size() < most;
    });
    return found;
  }
  // All of them, for tables of many thousands: nobody waits for the whole walk, nor for the
  // visitor, and what comes and goes meanwhile is seen or not.
  template <class Visitor>
  void for_each_in_turns(Visitor visitor) const {
    for (Page turn = page({}, kTurn); !turn.empty(); turn = page(turn.back().first, kTurn)) {
      for (const auto& [id, record] : turn) visitor(id, record);
    }
  }
};

// All that managers keep; see records.proto.
struct Tables {
  Table<records::HostRecord> hosts{"hosts/"};
  Table<records::DrainRecord> drains{"drains/"};
  Table<records::ReservationRecord> reservations{"reservations/"};
  Table<records::QuotaRecord> quotas{"quotas/"};
  Table<records::SessionRecord> sessions{"sessions/"};
  Table<records::ManagerRecord> managers{"managers/"};
  Table<records::RolloutRecord> rollouts{"rollouts/"};
  Table<records::CountsRecord> counts{"counts/"};

  // Follows those that are not followed. Errors: the store's.
  [[nodiscard]] Result<void> follow(Store& store);
  [[nodiscard]] bool following() const;
  void stop();
};

}  // namespace aloft::cluster
