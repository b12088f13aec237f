// The state of a cluster: keys, values, revisions, leases, as etcd has them.
//
// Two of them: EmbeddedStore (SQLite; one manager, survives kill -9) and EtcdStore (any number of
// managers). What is built on it sees no difference; one test body (store_test.cc) runs on both.
//
// A revision is a number that rises with each change of the store. A transaction compares and then
// changes, all or nothing; it is the only way to change anything, so that whoever changes says what
// it believes. A key put under a lease goes when the lease ends: a host that is gone, a manager
// that is gone. Leases are for those two only, never for a session.
//
// Keys are paths, "sessions/3f2a..."; values are bytes (Protocol Buffers, by convention). A cluster
// has some 20,000 of them; `list` reads all of a prefix at once, and a manager that wants to know
// them all the time lists once and watches from there.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <aloft/result.h>

namespace aloft::cluster {

using Revision = std::uint64_t;  // 0: before everything; of a key that is not there
using LeaseId = std::int64_t;    // 0: none

// Bounds of a transaction; beyond them it is an invalid_argument.
inline constexpr std::size_t kMaxKeyBytes = 512;  // and at least 1
inline constexpr std::size_t kMaxConditions = 64;
inline constexpr std::size_t kMaxChanges = 64;
inline constexpr std::size_t kMaxTransactionBytes = std::size_t{1} << 20;  // of keys and values

struct Entry {
  std::string key;
  std::string value;
  Revision revision = 0;  // of its last change
};

// All entries of one moment.
struct Snapshot {
  std::vector<Entry> entries;  // by key
  Revision revision = 0;       // of the store at that moment; a watch goes on from here
};

struct Condition {
  std::string key;
  Revision revision = 0;  // the key's last change was this one; 0: the key is not there
};

struct Change {
  std::string key;
  std::optional<std::string> value;  // none: the key goes; one that is not there is no error
  LeaseId lease = 0;
};

struct Transaction {
  std::vector<Condition> conditions;
  std::vector<Change> changes;  // no key twice
};

struct Committed {
  bool succeeded = false;  // all conditions held, and all changes were made
  // Of the changes; of the store at that moment when it did not succeed, or changed nothing.
  Revision revision = 0;
  // Of one that did not succeed: what the keys of its conditions have at `revision`, so that who
  // was wrong need not ask for each of them. A key that is not there is not among them.
  std::vector<Entry> found{};
};

// Errors: invalid_argument, with what is wrong with it.
[[nodiscard]] Result<void> check(const Transaction& transaction);

// What was changed since; in order.
struct Event {
  std::string key;
  std::optional<std::string> value;  // none: it is gone
  Revision revision = 0;
};

// Dropping it ends the watch, and waits for a running call of its functions (unless called by one
// of them). To be dropped before its store is.
class Watch {
 public:
  virtual ~Watch() = default;
};

// Thread rule: any thread; many calls at a time make good use of it. They wait for the answer, at
// most for the timeout that the store was opened with.
// Errors of all: unreachable (no store, no quorum, no answer in time, a disk that fails: whether a
// commit was made is not known then), resource_exhausted (no room on the disk: not made; reading
// goes on), overloaded (too many calls wait), corrupt, invalid_argument.
class Store {
 public:
  virtual ~Store() = default;

  [[nodiscard]] virtual Result<std::optional<Entry>> get(std::string_view key) = 0;
  // All keys that begin with `prefix`.
  [[nodiscard]] virtual Result<Snapshot> list(std::string_view prefix) = 0;
  // Also not_found: a lease in it has ended; nothing was changed. On success it is on the disk (of
  // a majority). Seen by every get and list that begins afterwards, at any manager.
  [[nodiscard]] virtual Result<Committed> commit(const Transaction& transaction) = 0;

  // A lease ends `ttl` after its last keep_alive; not earlier, and not much later (1 s). Whole
  // seconds, at least 2: etcd makes a shorter one longer. It counts anew where the store itself
  // starts again (embedded) or its leader changes (etcd), so that its users have time to come back.
  [[nodiscard]] virtual Result<LeaseId> grant_lease(std::chrono::seconds ttl) = 0;
  // not_found: it has ended, and its keys are gone.
  [[nodiscard]] virtual Result<void> keep_alive(LeaseId lease) = 0;
  // Ends it now; one that has ended is no error.
  [[nodiscard]] virtual Result<void> revoke_lease(LeaseId lease) = 0;

  struct WatchCalls {
    // On a thread of the store's, one call at a time; must not block for long, may use the store.
    // In order; events of one revision come together, maybe with those of others.
    std::function<void(const std::vector<Event>&)> on_events;
    // Changes were missed (the store compacted them, or was replaced): list again, and go on from
    // there with a new watch. No event comes after.
    std::function<void()> on_lost;
  };
  // Tells each change of a key that begins with `prefix` after `since`. Goes on by itself when the
  // store was unreachable meanwhile; what was changed meanwhile is told then.
  [[nodiscard]] virtual Result<std::unique_ptr<Watch>> watch(std::string_view prefix,
                                                             Revision since, WatchCalls calls) = 0;
};

}  // namespace aloft::cluster
