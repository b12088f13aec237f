#include "function/function_images.h"

namespace aloft::function {

FunctionImages::FunctionImages(const ImageCodec& asked)
    : asked_(asked), chooser_({.most_loss = asked.most_loss, .check_share = asked.check_share}) {}

FunctionImages::Choice FunctionImages::choose(std::uint64_t raw_bytes, Time now) {
  if (!asked_.is_automatic()) return {.coding = asked_.coding, .check = std::nullopt};
  const std::lock_guard lock(mutex_);
  Choice choice{.coding = chooser_.choose(raw_bytes), .check = std::nullopt};
  if (checking_) return choice;
  const auto at =
      asked_.check_at == Place::here ? CodecChooser::CheckAt::here : CodecChooser::CheckAt::edge;
  choice.check = chooser_.check(now, choice.coding, raw_bytes, at);
  checking_ = choice.check.has_value();
  return choice;
}

void FunctionImages::sent(const CodecChooser::Sent& sent) {
  if (!asked_.is_automatic()) return;
  const std::lock_guard lock(mutex_);
  chooser_.sent(sent);
}

void FunctionImages::check_over(int quality, std::optional<double> loss) {
  const std::lock_guard lock(mutex_);
  checking_ = false;
  if (loss) chooser_.checked(quality, *loss);
}

}  // namespace aloft::function
