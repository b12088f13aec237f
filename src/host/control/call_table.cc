#include "host/control/call_table.h"

#include <utility>

namespace aloft::host {
namespace {

constexpr std::chrono::minutes kRecent{1};
constexpr std::size_t kMaxName = 64;
constexpr std::size_t kDigits = 12;  // of a digest; enough to tell versions apart

// As a label of a metric shows it.
std::string plain(std::string name, std::size_t most) {
  if (name.size() > most) name.resize(most);
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  }
  return name;
}

}  // namespace

void CallTable::turn() {
  const auto now = Clock::now();
  if (now - since_ < kRecent) return;
  const bool is_old = now - since_ >= 2 * kRecent;
  for (auto& [key, counts] : counts_) {
    counts.before = is_old ? CallTimes{} : counts.now;
    counts.now = {};
  }
  since_ = now;
}

void CallTable::add(const std::string& tenant, CallFigures::Module module) {
  Key key{tenant, plain(std::move(module.name), kMaxName),
          plain(std::move(module.digest), kDigits)};
  const std::lock_guard lock(mutex_);
  turn();
  if (!counts_.contains(key)) {
    auto& modules = modules_[tenant];
    if (modules >= of_tenant_) key = {tenant, "other", ""};
    if (!counts_.contains(key) && counts_.size() >= in_all_) key = {"other", "other", ""};
    if (!counts_.contains(key)) ++modules;
  }
  Counts& counts = counts_[key];
  counts.all.add(module.counts);
  counts.now.add(module.counts);
}

std::vector<CallTable::Row> CallTable::rows() {
  std::vector<Row> rows;
  const std::lock_guard lock(mutex_);
  turn();
  for (const auto& [key, counts] : counts_) {
    Row row{std::get<0>(key), std::get<1>(key), std::get<2>(key), counts.all, counts.now};
    row.recent.add(counts.before);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace aloft::host
