#include "function/codec_chooser.h"

#include <algorithm>
#include <cmath>

namespace aloft::function {
namespace {

using Seconds = std::chrono::duration<double>;

// Of coded bytes to raw ones for pictures of streets, by kQualities: as `bench codec` measures
// them.
constexpr std::array<double, CodecChooser::kQualities.size()> kTypicalRatio{
    0.034, 0.039, 0.046, 0.058, 0.067, 0.083, 0.115};
// Seconds a byte of pixels, until they were measured: a millisecond for 1280 x 720.
constexpr double kTypicalTime = 0.5e-9;

constexpr double kPriorChecks = 4;    // how many checks a prior is worth
constexpr double kForgetting = 0.95;  // weight of a check when another one has followed
constexpr double kNew = 0.2;          // weight of the newest value in an average of late ones
constexpr double kStay = 1.1;         // by so much another coding must be better to be taken
constexpr double kMostSaved = 4;      // checks that may be saved up

void average(double& late, double value) {
  late = late == 0 ? value : (1 - kNew) * late + kNew * value;
}

}  // namespace

std::optional<std::size_t> CodecChooser::index_of(int quality) {
  const auto found = std::ranges::find(kQualities, quality);
  if (found == kQualities.end()) return std::nullopt;
  return static_cast<std::size_t>(found - kQualities.begin());
}

ImageCoding CodecChooser::coding_of(std::size_t index) {
  if (index == kRaw) return {};
  return {ImageFormat::jpeg, kQualities[index]};
}

// --- Loss
// ---------------------------------------------------------------------------------------

double CodecChooser::expected(std::size_t index) const {
  double better = 0;
  for (std::size_t i = kRaw; i-- > index;) {
    const Quality& quality = qualities_[i];
    const double prior = better + rules_.most_loss / 2;
    better = (quality.loss + kPriorChecks * prior) / (quality.checks + kPriorChecks);
  }
  return better;
}

bool CodecChooser::is_good_enough(std::size_t index) const {
  constexpr double kRounding = 1e-9;
  return index == kRaw || expected(index) <= rules_.most_loss + kRounding;
}

double CodecChooser::expected_loss(int quality) const {
  const auto index = index_of(quality);
  return index ? expected(*index) : 0;
}

void CodecChooser::checked(int quality, double loss) {
  const auto index = index_of(quality);
  if (!index || !std::isfinite(loss)) return;
  const bool was_good = is_good_enough(*index);
  for (Quality& each : qualities_) {
    each.checks *= kForgetting;
    each.loss *= kForgetting;
  }
  qualities_[*index].checks += 1;
  qualities_[*index].loss += std::clamp(loss, 0.0, 1.0);
  if (!was_good || is_good_enough(*index)) return;
  for (std::size_t i = 0; i < qualities_.size(); ++i) {
    if (i == *index) continue;
    qualities_[i].checks = 0;
    qualities_[i].loss = 0;
  }
}

// --- Time
// ---------------------------------------------------------------------------------------

double CodecChooser::ratio(std::size_t index) const {
  return index == kRaw ? 1 : std::min(1.0, kTypicalRatio[index] * detail_);
}

double CodecChooser::cost(std::size_t index, double raw_bytes) const {
  const double code = index == kRaw ? 0
                                    : (encode_ > 0 ? encode_ : kTypicalTime) +
                                          (decode_ > 0 ? decode_ : kTypicalTime);
  return raw_bytes * (code + ratio(index) * link_.seconds_per_byte);
}

ImageCoding CodecChooser::choose(std::uint64_t raw_bytes) {
  call_budget_ = std::min(call_budget_ + rules_.check_share, kMostSaved);
  const auto bytes = static_cast<double>(raw_bytes);
  std::size_t best = kRaw;
  for (std::size_t i = 0; i <= kRaw; ++i) {
    if (is_good_enough(i) && cost(i, bytes) < cost(best, bytes)) best = i;
  }
  const bool is_known = link_.seconds_per_byte > 0;
  const bool stays =
      is_good_enough(current_) && (!is_known || cost(current_, bytes) <= kStay * cost(best, bytes));
  if (!stays) current_ = is_known ? best : kRaw;
  return coding_of(current_);
}

void CodecChooser::sent(const Sent& sent) {
  messages_[message_count_++ % kMessages] = {static_cast<double>(sent.bytes),
                                             Seconds(sent.on_the_way).count()};
  fit(sent.round_trip);
  const ImageCodingRecord& images = sent.images;
  if (images.raw_bytes == 0) return;
  const auto raw_bytes = static_cast<double>(images.raw_bytes);
  average(encode_, Seconds(images.encode).count() / raw_bytes);
  average(decode_, Seconds(images.decode).count() / raw_bytes);
  if (const auto index = index_of(images.coding.quality)) {
    const double ratio = static_cast<double>(images.coded_bytes) / raw_bytes;
    average(detail_, ratio / kTypicalRatio[*index]);
  }
}

void CodecChooser::fit(std::chrono::nanoseconds round_trip) {
  constexpr double kFastest = 1e-11;  // seconds a byte
  const std::span messages(messages_.data(), std::min(message_count_, kMessages));
  const auto count = static_cast<double>(messages.size());
  double bytes = 0;
  double seconds = 0;
  double most = 0;
  for (const Message& message : messages) {
    bytes += message.bytes / count;
    seconds += message.seconds / count;
    most = std::max(most, message.bytes);
  }
  double together = 0;
  double spread = 0;
  for (const Message& message : messages) {
    together += (message.bytes - bytes) * (message.seconds - seconds);
    spread += (message.bytes - bytes) * (message.bytes - bytes);
  }
  // Messages of one size say nothing of what a message costs by itself.
  const bool differ = spread / count > most * most / 100;
  link_.seconds = std::min(Seconds(round_trip).count(), seconds / 2);
  link_.seconds_per_byte = (seconds - link_.seconds) / std::max(1.0, bytes);
  if (differ && together > 0) {
    // No more than if a message cost nothing by itself.
    link_.seconds_per_byte = std::min(together / spread, seconds / std::max(1.0, bytes));
    link_.seconds = std::max(0.0, seconds - link_.seconds_per_byte * bytes);
  }
  link_.seconds_per_byte = std::max(link_.seconds_per_byte, kFastest);
}

double CodecChooser::bytes_per_second() const {
  return link_.seconds_per_byte > 0 ? 1 / link_.seconds_per_byte : 0;
}

// --- Checks
// -------------------------------------------------------------------------------------

std::optional<ImageCoding> CodecChooser::check(Time now, const ImageCoding& used,
                                               std::uint64_t raw_bytes, CheckAt at) {
  std::size_t other = kRaw;
  if (used.format == ImageFormat::raw) {
    // What would be of use, whatever it loses; where nothing would be, nothing has to be known.
    const auto bytes = static_cast<double>(raw_bytes);
    std::size_t fastest = kRaw;
    for (std::size_t i = 0; i < kRaw; ++i) {
      if (cost(i, bytes) * kStay < cost(fastest, bytes)) fastest = i;
    }
    if (fastest == kRaw) return std::nullopt;
    other = kRaw - 1;  // the best, which is the first that raw gives way to
  } else if (!index_of(used.quality)) {
    return std::nullopt;
  }
  if (call_budget_ < 1) return std::nullopt;
  const double price = at == CheckAt::here
                           ? 0
                           : static_cast<double>(raw_bytes) * ratio(other) * link_.seconds_per_byte;
  if (time_budget_) {
    const double passed = Seconds(now - budget_at_).count();
    time_budget_ = std::min(*time_budget_ + rules_.check_share * std::max(0.0, passed),
                            kMostSaved * std::max(price, 0.001));
    budget_at_ = now;
    if (*time_budget_ < price) return std::nullopt;
    *time_budget_ -= price;
  } else {
    time_budget_ = 0;
    budget_at_ = now;
  }
  call_budget_ -= 1;
  return coding_of(other);
}

}  // namespace aloft::function
