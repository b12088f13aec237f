// What transactions, one after another, make of a store's contents, before it is written: each sees
// what the earlier ones changed, readers see nothing yet. It lets commits that come at a time share
// one write; when that fails, the draft is dropped, and nothing has happened.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cluster/store.h"
#include "cluster/store_file.h"
#include <aloft/result.h>

namespace aloft::cluster {

// Thread rule: one thread at a time; the contents must not change meanwhile.
class StoreDraft {
 public:
  explicit StoreDraft(const StoreContents& contents);

  // Errors: not_found (a lease that is not there).
  [[nodiscard]] Result<Committed> apply(const Transaction& transaction);
  void grant_lease(LeaseId lease, std::chrono::seconds ttl);
  // Its keys go with it. One that is not there is no error.
  [[nodiscard]] Committed end_lease(LeaseId lease);

  [[nodiscard]] const StoreChanges& changes() const { return changes_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  // of keys and values

  // Makes the contents, which must be those of the constructor, what the draft says. The answer is
  // what happened, by revision; the draft is used up.
  [[nodiscard]] std::vector<std::vector<Event>> apply_to(StoreContents& contents) &&;

 private:
  [[nodiscard]] Committed refusal(const Transaction& transaction) const;
  [[nodiscard]] const StoredEntry* find(const std::string& key) const;
  [[nodiscard]] bool has_lease(LeaseId lease) const;
  void change(const std::string& key, std::optional<StoredEntry> entry, std::vector<Event>& events);

  const StoreContents& contents_;
  StoreChanges changes_;
  std::vector<std::vector<Event>> events_;
  std::size_t bytes_ = 0;
};

}  // namespace aloft::cluster
