// Which models an inference process has under its hands, written where its death leaves it to be
// read: who starts the next one learns which models may have brought this one down.
//
// It is a page of memory that the daemon of the host has made and shares with the process.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/digest.h"
#include "inference/remote/shared_memory.h"

namespace aloft::inference::service {

// Thread rule: any thread, in both processes.
class CrashJournal {
 public:
  static constexpr std::uint64_t kBytes = 8192;
  explicit CrashJournal(SharedMemory memory) : memory_(std::move(memory)) {}

  // While it lives, `model` is in the journal. (With more models than it has places for, some are
  // not.)
  class Entry {
   public:
    Entry() = default;
    Entry(CrashJournal* journal, const Digest& model);
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry();

   private:
    std::byte* place_ = nullptr;
  };

  // What was there at the end. By the daemon, when the process has ended.
  [[nodiscard]] std::vector<Digest> entries() const;
  void clear();
  [[nodiscard]] int descriptor() const { return memory_.descriptor(); }

 private:
  // A place: taken (1 byte), then the digest.
  static constexpr std::size_t kPlace = 64;
  static constexpr std::size_t kDigestAt = 32;
  [[nodiscard]] static std::atomic_ref<std::uint8_t> taken(std::byte* place) {
    return std::atomic_ref(*reinterpret_cast<std::uint8_t*>(place));
  }
  SharedMemory memory_;
};

}  // namespace aloft::inference::service
