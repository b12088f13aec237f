// Fuzz target: the bytes of one link after its handshake, in pieces of any size, into an Inbox.
//
// The first byte of the input says how large the pieces are and what the owner of the inbox does
// in between. What must hold beyond not crashing: a message ends with exactly the bytes that its
// first frame announced, what is told of a stream fits together, and a header that was understood
// is written again as it was.
#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "channel/inbox.h"
#include "input.h"
#include "wire/frame.h"

namespace aloft::fuzz {
namespace {

using channel::CreditRule;
using channel::Inbox;
using wire::StreamId;

constexpr std::uint64_t kMaxBody = 1'000'000;

class Owner final : public Inbox::Sink {
 public:
  explicit Owner(unsigned habits)
      : habits_(habits),
        inbox_((habits & 1U) != 0 ? CreditRule::required : CreditRule::not_required,
               Bytes{kMaxBody}, *this) {}

  void feed(Input bytes) {
    const std::size_t most = 1 + (habits_ >> 4U) * (habits_ >> 4U) * 40;
    while (!bytes.empty() && !stopped_) {
      const std::size_t size = std::min(bytes.size(), most);
      std::size_t taken = 0;
      const auto places = inbox_.where();
      require(!places.empty(), "the inbox says where the next bytes go");
      for (const iovec& place : places) {
        const std::size_t part = std::min(place.iov_len, size - taken);
        if (part > 0) std::memcpy(place.iov_base, bytes.data() + taken, part);
        taken += part;
      }
      require(taken > 0, "the inbox takes bytes");
      bytes = bytes.subspan(taken);
      if (!inbox_.received(taken)) return;
      if ((habits_ & 4U) != 0 && !under_way_.empty()) give_up();
    }
  }

  Result<void> spend_credit(StreamId, std::uint64_t size) override {
    require((habits_ & 1U) != 0, "credits are spent only where they are required");
    if (size % 7 == 6) return fail(Errc::protocol, "no credit");
    return {};
  }
  Result<std::span<std::byte>> message_begin(StreamId stream, std::span<const std::byte> head,
                                             std::uint64_t size) override {
    require(head.size() <= wire::kMaxHead, "a head is within its bound");
    require(size <= kMaxBody, "a body is within its bound");
    require(!under_way_.contains(stream), "a message begins where none is under way");
    if ((habits_ & 2U) != 0 && stream % 3 == 2) return fail(Errc::resource_exhausted, "no room");
    auto& body = under_way_[stream];
    body.assign(static_cast<std::size_t>(size), std::byte{0});
    return body;
  }
  void message_end(StreamId stream) override {
    require(under_way_.erase(stream) == 1, "a message ends that had begun");
    if ((habits_ & 8U) != 0 && stream % 5 == 4) stop();
  }
  void message_abandoned(StreamId stream, const Error&) override {
    require(under_way_.erase(stream) == 1, "a message is abandoned that had begun");
  }
  Result<void> got_credit(StreamId stream, std::uint32_t) override {
    require(stream != wire::kControlStream, "stream 0 has no credits");
    return {};
  }
  void got_reset(StreamId stream, std::uint32_t, const Error&) override {
    require(!under_way_.contains(stream), "what is reset is not under way any more");
  }
  void got_ping(std::span<const std::byte, wire::kPingSize>) override {}
  void got_pong(std::span<const std::byte, wire::kPingSize>) override {}
  void got_close(const Error&) override { stop(); }

 private:
  void give_up() {
    const StreamId stream = under_way_.begin()->first;
    inbox_.give_up(stream, inbox_.seen(), {Errc::cancelled, "given up"});
    require(under_way_.contains(stream) == stopped_,
            "what is given up is told, by an inbox that was not stopped");
  }
  void stop() {
    stopped_ = true;
    inbox_.stop();
  }

  unsigned habits_;
  std::map<StreamId, std::vector<std::byte>> under_way_;
  bool stopped_ = false;
  Inbox inbox_;
};

void check_header(Input input) {
  if (input.size() < wire::kHeaderSize) return;
  const auto header = wire::unpack(input.first<wire::kHeaderSize>());
  if (!header) return;
  require(std::ranges::equal(wire::pack(*header), input.first<wire::kHeaderSize>()),
          "a header is written as it was read");
}

}  // namespace
}  // namespace aloft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aloft::fuzz;
  Input input = std::as_bytes(std::span(data, size));
  const unsigned habits = take_byte(input);
  check_header(input);
  Owner(habits).feed(input);
  return 0;
}
