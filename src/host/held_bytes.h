// Bodies that the host keeps for guests: of movable ends, arguments that wait, answers that may
// have to be sent again, states; of calls, arguments whose pictures are to be decoded. Counted over
// the whole process, so that they are bounded however many there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "channel/end_message.h"

namespace aloft::host {

// Thread rule: any thread.
class HeldBytes {
 public:
  explicit HeldBytes(std::uint64_t limit);

  // `size` bytes, counted as long as they live, which may be longer than this object. Null when no
  // more may be held.
  [[nodiscard]] std::shared_ptr<channel::Bytes> take(std::uint64_t size);
  // As take(), but never null: for what cannot be refused any more, since its effects are in a
  // state already.
  [[nodiscard]] std::shared_ptr<channel::Bytes> take_all_the_same(std::uint64_t size);

  [[nodiscard]] std::uint64_t held() const;

 private:
  struct Count;
  struct Counted;
  [[nodiscard]] std::shared_ptr<channel::Bytes> make(std::uint64_t size);

  const std::uint64_t limit_;
  const std::shared_ptr<Count> count_;
};

}  // namespace aloft::host
