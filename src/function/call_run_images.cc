// The part of a run that is about how the images among its arguments go to an edge.
#include <algorithm>
#include <utility>

#include "function/call_run.h"

namespace aloft::function {

using std::chrono::steady_clock;

void CallDispatcher::Run::choose_images(const RemoteSession& edge) {
  FunctionImages* const images = dispatcher_.decisions_.known(call.function()).images.get();
  if (images == nullptr) return;
  if (!coded_ && edge.decodes_jpeg()) encode_images(*images);
  sent_at_ = steady_clock::now();
}

void CallDispatcher::Run::encode_images(FunctionImages& images) {
  std::uint64_t raw_bytes = 0;
  for (const auto& picture : arguments_.pictures()) raw_bytes += picture.pixels.size();
  if (raw_bytes == 0) return;
  const auto choice = images.choose(raw_bytes, steady_clock::now());
  if (choice.check) {
    check_ = std::make_unique<WantedCheck>(call.function(), images, arguments_, choice);
  }
  coded_ = CodedArguments::encode(arguments_, choice.coding);
  // What does not become smaller goes as it is, and says nothing of the codec.
  if (!coded_ && choice.coding.format != ImageFormat::raw) check_.reset();
}

void CallDispatcher::Run::learn_of_images() {
  FunctionImages* const images = dispatcher_.decisions_.known(call.function()).images.get();
  if (images == nullptr) return;
  RemoteSession& edge = *dispatcher_.sessions_[edge_];
  const auto at_the_edge =
      std::chrono::microseconds(reply.head.queue_us + reply.head.run_us + reply.head.decode_us);
  CodecChooser::Sent sent{
      .bytes = reply.tx_bytes + reply.rx_bytes,
      .on_the_way = std::max<std::chrono::nanoseconds>(
          std::chrono::nanoseconds(0), steady_clock::now() - sent_at_ - at_the_edge),
      .round_trip = edge.stats().round_trip,
      .images = {}};
  if (reply.went_coded) {
    sent.images = coded_->record();
    sent.images.decode = std::chrono::microseconds(reply.head.decode_us);
  }
  images->sent(sent);
  call.record.images = sent.images;
  if (check_ != nullptr && reply.went_coded == coded_.has_value() && !reply.given_version) {
    dispatcher_.checks_.start(std::move(check_), std::move(reply.body), reply.body_size, edge,
                              call.record.number);
  }
}

}  // namespace aloft::function
