#include "inference/service/crash_journal.h"

#include <cstring>

namespace aloft::inference::service {

CrashJournal::Entry::Entry(CrashJournal* journal, const Digest& model) {
  if (journal == nullptr) return;
  const auto bytes = journal->memory_.bytes();
  for (std::size_t at = 0; at + kPlace <= bytes.size(); at += kPlace) {
    std::uint8_t free = 0;
    if (!taken(&bytes[at]).compare_exchange_strong(free, 1)) continue;
    place_ = &bytes[at];
    std::memcpy(place_ + kDigestAt, model.bytes.data(), model.bytes.size());
    taken(place_).store(2, std::memory_order_release);
    return;
  }
}

CrashJournal::Entry::~Entry() {
  if (place_ != nullptr) taken(place_).store(0, std::memory_order_release);
}

std::vector<Digest> CrashJournal::entries() const {
  std::vector<Digest> models;
  const auto bytes = memory_.bytes();
  for (std::size_t at = 0; at + kPlace <= bytes.size(); at += kPlace) {
    if (taken(&bytes[at]).load(std::memory_order_acquire) != 2) continue;
    Digest model;
    std::memcpy(model.bytes.data(), &bytes[at + kDigestAt], model.bytes.size());
    models.push_back(model);
  }
  return models;
}

void CrashJournal::clear() { std::memset(memory_.bytes().data(), 0, memory_.bytes().size()); }

}  // namespace aloft::inference::service
