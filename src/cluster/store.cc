#include "cluster/store.h"

#include <set>

namespace aloft::cluster {
namespace {

Result<void> check_key(std::string_view key) {
  if (key.empty()) return fail(Errc::invalid_argument, "a key of the store is empty");
  if (key.size() > kMaxKeyBytes) {
    return fail(Errc::invalid_argument, "a key of the store has " + std::to_string(key.size()) +
                                            " bytes, the limit is " + std::to_string(kMaxKeyBytes));
  }
  return {};
}

}  // namespace

Result<void> check(const Transaction& transaction) {
  if (transaction.conditions.size() > kMaxConditions || transaction.changes.size() > kMaxChanges)
    return fail(Errc::invalid_argument, "a transaction has more than 64 conditions or changes");
  std::size_t bytes = 0;
  for (const Condition& condition : transaction.conditions) {
    if (auto fine = check_key(condition.key); !fine) return fine;
    bytes += condition.key.size();
  }
  std::set<std::string_view> keys;
  for (const Change& change : transaction.changes) {
    if (auto fine = check_key(change.key); !fine) return fine;
    if (!keys.insert(change.key).second)
      return fail(Errc::invalid_argument, "a transaction changes the key " + change.key + " twice");
    if (change.lease != 0 && !change.value)
      return fail(Errc::invalid_argument, "the key " + change.key + " goes, but has a lease");
    bytes += change.key.size() + (change.value ? change.value->size() : 0);
  }
  if (bytes > kMaxTransactionBytes) {
    return fail(Errc::invalid_argument, "a transaction has " + std::to_string(bytes) +
                                            " bytes, the limit is " +
                                            std::to_string(kMaxTransactionBytes));
  }
  return {};
}

}  // namespace aloft::cluster
