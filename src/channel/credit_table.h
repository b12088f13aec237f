// Credits for messages, by stream, as both ends of a direction keep them: the receiver's grants,
// the sender's rights.
//
// A message uses up the oldest credit of its stream whose capacity holds its body. The sender's
// table lacks the newest credits, which are still on the way, but never an older one; so both ends
// take the same credit for the same message.
//
// Thread rule: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <unordered_map>
#include <vector>

#include "wire/frame.h"

namespace aloft::channel {

class CreditTable {
 public:
  struct Credit {
    std::uint64_t order = 0;     // rises with each credit of the table
    std::uint64_t capacity = 0;  // bytes of body
  };
  // Why there is no credit for a message.
  struct Missing {
    std::uint64_t largest = 0;  // capacity of the largest credit left, all too small
    bool any = false;           // there are credits at all
  };

  void add(wire::StreamId stream, std::uint64_t capacity);
  [[nodiscard]] std::expected<Credit, Missing> take(wire::StreamId stream, std::uint64_t body_size);
  // Undoes take(): the message never began.
  void give_back(wire::StreamId stream, Credit credit);

  [[nodiscard]] std::size_t count(wire::StreamId stream) const;
  // How many streams the table knows; some may have used up theirs.
  [[nodiscard]] std::size_t streams() const { return streams_.size(); }

 private:
  std::unordered_map<wire::StreamId, std::vector<Credit>> streams_;  // oldest first
  std::uint64_t added_ = 0;
};

}  // namespace aloft::channel
