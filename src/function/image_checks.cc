#include "function/image_checks.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

namespace aloft::function {
namespace {

using std::chrono::steady_clock;

// Calls are numbered from 0: those of checks are apart from them.
constexpr std::uint64_t kNumbers = std::uint64_t{1} << 63U;

}  // namespace

WantedCheck::WantedCheck(const FunctionDescriptor& its_function, FunctionImages& its_images,
                         codec::Writer& its_arguments, const FunctionImages::Choice& choice)
    : function(its_function), images(its_images), used(choice.coding), other(*choice.check) {
  arguments.reserve(its_arguments.size());
  for (const auto segment : its_arguments.segments())
    arguments.insert(arguments.end(), segment.begin(), segment.end());
  for (codec::Writer::Picture picture : its_arguments.pictures()) {
    picture.pixels = std::span(arguments).subspan(picture.at, picture.pixels.size());
    pictures.push_back(picture);
  }
}

WantedCheck::~WantedCheck() {
  if (!over) images.check_over(0, std::nullopt);
}

// Its steps come from several threads: the link's or the executor's (the second result), the
// watch's (it is late); the last one is its run on the executor, which ends it.
class ImageChecks::Check final : public RemoteCall,
                                 public HedgeOwner,
                                 public HereTask,
                                 public Watched {
 public:
  Check(ImageChecks& checks, std::unique_ptr<WantedCheck> wanted,
        std::unique_ptr<std::byte[]> first, std::size_t size, RemoteSession& edge)
      : checks_(checks),
        wanted_(std::move(wanted)),
        first_(std::move(first)),
        first_size_(size),
        edge_(edge) {}

  void begin(std::uint64_t number) {
    const bool to_be_raw = wanted_->other.format == ImageFormat::raw;
    // The version that is part of this program is compared with itself only.
    const ModuleDescriptor& module = *wanted_->function.module;
    if (to_be_raw && wanted_->images.asked().check_at == Place::here &&
        wanted_->function.run_encoded != nullptr && edge_.module_digest(module) == module.digest) {
      here_ = true;
      return checks_.parts_.hedges->start(*this, wanted_->function, std::move(wanted_->arguments));
    }
    segment_ = wanted_->arguments;
    if (!to_be_raw) coded_ = CodedArguments::encode(segment_, wanted_->pictures, wanted_->other);
    began_ = steady_clock::now();
    request = {.function = &wanted_->function,
               .number = kNumbers | number,
               .arguments = std::span(&segment_, 1),
               .argument_bytes = wanted_->arguments.size(),
               .coded = coded_ ? &*coded_ : nullptr,
               .deadline = began_ + checks_.parts_.limit,
               .digest_tensors = false,
               .rank = Rank::extra,
               .haste = channel::Haste::now};
    checks_.parts_.watch->set(*this, request.deadline);
    edge_.start(*this);
  }

  void give_up() {
    if (here_) {
      checks_.parts_.hedges->stop(*this);  // whoever has told its result has posted it
      if (!posted_.exchange(true)) checks_.parts_.executor->post(*this);
    } else {
      edge_.cancel(*this, {Errc::cancelled, "the runtime ends"});
    }
  }

 private:
  void on_ended() override {
    took_ = steady_clock::now() - began_;
    post();
  }
  void on_hedge_ended(Ended ended) override {
    second_ = std::move(ended.result);
    post();
  }
  void on_time() override {
    edge_.cancel(*this, {Errc::deadline_exceeded, "a check of the image codec took too long"});
  }
  void on_posted() override {}
  void post() {
    if (!posted_.exchange(true)) checks_.parts_.executor->post(*this);
  }

  void run_here() override {
    if (!here_) {
      checks_.parts_.watch->forget(*this);
      take_reply();
    }
    const ImageCoding lossy =
        wanted_->used.format == ImageFormat::raw ? wanted_->other : wanted_->used;
    std::optional<double> loss;
    if (second_) {
      std::span<const std::byte> with_codec(first_.get(), first_size_);
      std::span<const std::byte> raw(*second_);
      if (wanted_->used.format == ImageFormat::raw) std::swap(with_codec, raw);
      const auto found =
          wanted_->function.loss_between(wanted_->images.asked().loss, with_codec, raw);
      if (found) {
        loss = *found;
      } else {
        second_ = std::unexpected(found.error());
      }
    }
    const Log& log = *checks_.parts_.log;
    if (log.wants(LogLevel::debug)) {
      log(LogLevel::debug, std::string(wanted_->function.qualified_name) + ": jpeg " +
                               std::to_string(lossy.quality) +
                               (loss ? " loses " + std::to_string(*loss)
                                     : ": the check came to nothing: " + second_.error().message));
    }
    wanted_->over = true;
    wanted_->images.check_over(lossy.quality, loss);
    checks_.over(*this);  // and this is gone
  }

  void take_reply() {
    if (!reply.outcome) {
      second_ = std::unexpected(reply.outcome.error());
    } else if (reply.head.error) {
      second_ = std::unexpected(*reply.head.error);
    } else if (coded_ && !reply.went_coded) {
      second_ = fail(Errc::refused, "the edge decodes no images any more");
    } else {
      second_ = std::vector<std::byte>(reply.body.get(), reply.body.get() + reply.body_size);
      const auto at_the_edge =
          std::chrono::microseconds(reply.head.queue_us + reply.head.run_us + reply.head.decode_us);
      CodecChooser::Sent sent{.bytes = reply.tx_bytes + reply.rx_bytes,
                              .on_the_way = std::max(std::chrono::nanoseconds(0),
                                                     took_ - std::chrono::nanoseconds(at_the_edge)),
                              .round_trip = edge_.stats().round_trip,
                              .images = {}};
      if (coded_) {
        sent.images = coded_->record();
        sent.images.decode = std::chrono::microseconds(reply.head.decode_us);
      }
      wanted_->images.sent(sent);
    }
  }

  ImageChecks& checks_;
  const std::unique_ptr<WantedCheck> wanted_;
  const std::unique_ptr<std::byte[]> first_;  // the call's result, encoded
  const std::size_t first_size_;
  RemoteSession& edge_;
  bool here_ = false;
  std::atomic<bool> posted_ = false;
  std::span<const std::byte> segment_;
  std::optional<CodedArguments> coded_;
  steady_clock::time_point began_;
  std::chrono::nanoseconds took_{};
  Result<std::vector<std::byte>> second_ =
      fail(Errc::cancelled, "the runtime ends");  // the other result, encoded
};

ImageChecks::ImageChecks(const Parts& parts) : parts_(parts) {}

ImageChecks::~ImageChecks() = default;

void ImageChecks::start(std::unique_ptr<WantedCheck> wanted, std::unique_ptr<std::byte[]> result,
                        std::size_t size, RemoteSession& edge, std::uint64_t number) {
  auto made = std::make_unique<Check>(*this, std::move(wanted), std::move(result), size, edge);
  Check& check = *made;
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    checks_.push_back(std::move(made));
  }
  check.begin(number);
}

void ImageChecks::over(const Check& check) {
  std::unique_ptr<Check> gone;
  const std::lock_guard lock(mutex_);
  const auto found =
      std::ranges::find(checks_, &check, [](const auto& each) { return each.get(); });
  gone = std::move(*found);
  checks_.erase(found);
  changed_.notify_all();
}

void ImageChecks::end() {
  std::unique_lock lock(mutex_);
  ending_ = true;
  for (const auto& check : checks_) check->give_up();
  changed_.wait(lock, [this] { return checks_.empty(); });
}

}  // namespace aloft::function
