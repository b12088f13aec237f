// What runs at the movable end in a simulation: an object that forgets nothing.
//
// Its state is a few blocks of 4 KB, of which each message changes some, and a chain over all
// messages that it ran. An answer depends on the chain, on every block and on the message, so that
// a message that is lost, doubled or out of place, or one stale block after a move, changes that
// answer and all later ones. Without state, an answer depends on the message alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "channel/end_message.h"
#include "random.h"

namespace aloft::sim {

using channel::Bytes;
using channel::SharedBytes;

[[nodiscard]] std::uint64_t digest(std::span<const std::byte> bytes);

// Arguments of a message, as they are in its body.
struct Task {
  std::uint64_t id = 0;
  bool traps = false;  // at every place, whenever it runs

  [[nodiscard]] SharedBytes encode(std::size_t padding) const;
  [[nodiscard]] static Task decode(const Bytes& body);
};

// What an answer's body says.
struct Reply {
  std::uint64_t task = 0;  // digest of the message's body
  std::uint64_t chain = 0;
  std::uint32_t version = 0;  // of the module that ran it

  [[nodiscard]] SharedBytes encode() const;
  // All zeros where `body` is none of ours.
  [[nodiscard]] static Reply decode(const Bytes& body);
  friend bool operator==(const Reply&, const Reply&) = default;
};

class Object {
 public:
  // As every run of `seed` begins.
  explicit Object(std::uint64_t seed);
  // One that was saved. `bytes` must be a whole number of words.
  explicit Object(const Bytes& bytes);

  // A message that does not trap. The module's version takes part: what was computed by one version
  // cannot be taken for another's.
  Reply run(std::uint32_t method, const Bytes& body, std::uint32_t version);
  [[nodiscard]] static Reply run_stateless(std::uint32_t method, const Bytes& body,
                                           std::uint32_t version);

  [[nodiscard]] Bytes save() const;
  [[nodiscard]] std::uint64_t fingerprint() const;  // of the whole state

 private:
  static constexpr std::size_t kBlockWords = channel::kStateBlock / sizeof(std::uint64_t);
  void resize(std::uint64_t drawn);

  std::vector<std::uint64_t> words_;
};

}  // namespace aloft::sim
