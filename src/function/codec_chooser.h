// Chooses how the images of one function's calls go to an edge: as they are, or as JPEG of which
// quality.
//
// Whichever takes the least time, of those whose results are good enough:
//
//     time(c) = encode + decode + a + b * bytes(c)         a, b: of the link, as it was just now
//     loss(c) <= most_loss                                  of results, as checks found them
//
// The link's a (seconds a message) and b (seconds a byte) are fitted, by least squares, to how long
// the last messages were on their way. The bytes are what is typical of a quality, times how much
// detail the last images had. What JPEG costs in results is known from checks alone: now and then a
// call is computed a second time on its other images, raw ones or encoded ones, and the application
// says how much is lost (aloft::Loss). Of each quality there is an expectation,
//
//     expected(q) = (sum of its checks + 4 * prior) / (number of its checks + 4)
//     prior(q) = expected(the next better quality) + most_loss / 2,     expected(raw) = 0
//
// in which a check counts for less with each one that follows (by 1/20). So calls begin with the
// second-best quality, the next worse one is tried once some checks have found nothing lost, and
// one that is found too lossy is left at once. What was known of the others is forgotten then, as
// it is about another scene.
//
// Pure: no I/O, no clock. Thread rule: one at a time.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <aloft/image_codec.h>

namespace aloft::function {

class CodecChooser {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Worst first; what is better than all of them is raw.
  static constexpr std::array<int, 7> kQualities{50, 60, 70, 80, 85, 90, 95};

  struct Rules {
    double most_loss = 0.03;   // of results, on average
    double check_share = 0.1;  // of calls, and of the link's time, at the most
  };
  explicit CodecChooser(const Rules& rules) : rules_(rules) {}

  // For a call whose images have so many bytes of pixels.
  [[nodiscard]] ImageCoding choose(std::uint64_t raw_bytes);

  // A call, or a check, came back from the edge.
  struct Sent {
    std::uint64_t bytes = 0;                // of its messages, on the wire
    std::chrono::nanoseconds on_the_way{};  // from its start to its end, less the time at the edge
    std::chrono::nanoseconds round_trip{};  // of the link, with little on it; 0: not known
    ImageCodingRecord images;               // all zero where they went as they are
  };
  void sent(const Sent& sent);

  // Where a check's second computation takes place.
  enum class CheckAt : std::uint8_t { edge, here };
  // Whether a call that goes with `used` is to be checked, and the coding to compare it with: raw
  // for one that is JPEG, JPEG for one that is raw. A check that this asks for is paid for.
  [[nodiscard]] std::optional<ImageCoding> check(Time now, const ImageCoding& used,
                                                 std::uint64_t raw_bytes, CheckAt at);
  // What one found for JPEG of a quality among kQualities, 0..1; of others nothing is kept.
  void checked(int quality, double loss);

  // For tests and reports.
  [[nodiscard]] double expected_loss(int quality) const;
  // Of the link, as fitted; 0 before the first message.
  [[nodiscard]] double bytes_per_second() const;

 private:
  static constexpr std::size_t kRaw = kQualities.size();  // as an index of a quality
  static constexpr std::size_t kMessages = 12;

  struct Quality {
    double checks = 0;  // weights
    double loss = 0;    // sum, by weight
  };
  struct Message {
    double bytes = 0;
    double seconds = 0;
  };
  struct Line {
    double seconds = 0;           // a message
    double seconds_per_byte = 0;  // 0: nothing is known
  };

  [[nodiscard]] static std::optional<std::size_t> index_of(int quality);
  [[nodiscard]] static ImageCoding coding_of(std::size_t index);
  [[nodiscard]] double expected(std::size_t index) const;
  [[nodiscard]] bool is_good_enough(std::size_t index) const;
  [[nodiscard]] double ratio(std::size_t index) const;
  // Seconds that a call's images take, 0 of what all have in common.
  [[nodiscard]] double cost(std::size_t index, double raw_bytes) const;
  void fit(std::chrono::nanoseconds round_trip);

  const Rules rules_;
  std::array<Quality, kQualities.size()> qualities_{};
  std::size_t current_ = kRaw - 2;
  std::array<Message, kMessages> messages_{};
  std::size_t message_count_ = 0;
  Line link_;
  double detail_ = 1;  // how many bytes images take lately, beside what is typical of a quality
  double encode_ = 0;  // seconds a byte of pixels, lately; 0: not known yet
  double decode_ = 0;
  double call_budget_ = 1;             // checks
  std::optional<double> time_budget_;  // seconds of the link; none: nothing was spent yet
  Time budget_at_{};
};

}  // namespace aloft::function
