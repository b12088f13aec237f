// What an image codec buys detect_object over a slow link, and what it costs in what is found.
//
// First, without a link: of frames of the video, JPEG of each quality: bytes, encoding, decoding,
// and recall, that is the part of what is found in the raw frames that is found in the decoded ones
// as well (recall.h). Then, over a link that a token bucket shapes: raw frames, JPEG of one
// quality, and the codec that the runtime chooses by itself, in interleaved rounds; frames a
// second, recall over all frames, and how the frames went. The device is this process, which
// nothing holds; the edge is an aloft-exec on another host (netns.h).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "detect.aloft.h"
#include "detect.h"
#include "figures.h"
#include "function/codec_chooser.h"
#include "image/jpeg.h"
#include "measurements.h"
#include "recall.h"
#include "source.h"
#include "support/demo.h"
#include "support/netns.h"
#include "support/temp_dir.h"
#include "test_paths.h"
#include <aloft/runtime.h>

namespace {

using namespace std::chrono_literals;
using aloft::Image;
using aloft::ImageCodec;
using aloft::Runtime;
using aloft::RuntimeOptions;
using aloft::bench::die;
using aloft::bench::median;
using aloft::bench::must;
using aloft::function::CodecChooser;
using Clock = std::chrono::steady_clock;
using Detections = std::vector<detect::Detection>;
using Json = nlohmann::ordered_json;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr const char* kFunction = "detect::detect_object";

struct Options {
  std::filesystem::path json;
  std::string video = aloft::testing::video().string();
  std::filesystem::path model = aloft::testing::source_dir() / "models/pedestrian.onnx";
  std::size_t frames = 200;    // of the codecs, in all rounds together
  std::size_t raw_frames = 8;  // of raw frames, in each round
  std::size_t every = 4;       // without a link, one frame in so many
  std::size_t rounds = 3;
  std::uint64_t mbit = 10;
  std::uint32_t in_flight = 2;
  int quality = 90;
  bool no_link = false;
};

Image image_of(const cv::Mat& picture) {
  return Image::borrow(static_cast<std::uint32_t>(picture.cols),
                       static_cast<std::uint32_t>(picture.rows), aloft::PixelFormat::bgr8,
                       {picture.data, picture.total() * picture.elemSize()});
}

std::unique_ptr<Runtime> make_runtime(RuntimeOptions options, const Options& given) {
  options.models.emplace("detector", given.model);
  options.log_level = aloft::LogLevel::error;
  return must(Runtime::create(std::move(options)));
}

// --- Without a link ---------------------------------------------------------------------

Json without_a_link(const Options& options, const std::vector<cv::Mat>& frames,
                    const std::vector<Detections>& raw) {
  Json rows = Json::array();
  std::printf("%8s %10s %10s %10s %8s\n", "quality", "bytes", "encode ms", "decode ms", "recall");
  aloft::image::JpegEncoder encoder;
  aloft::image::JpegDecoder decoder;
  for (const int quality : CodecChooser::kQualities) {
    std::vector<double> bytes;
    std::vector<double> encode;
    std::vector<double> decode;
    detect::Found found;
    for (std::size_t i = 0; i < frames.size(); i += options.every) {
      const Image image = image_of(frames[i]);
      const aloft::image::Shape shape{image.width(), image.height(), image.format()};
      std::vector<std::byte> jpeg;
      std::vector<std::uint8_t> pixels(image.pixels().size());
      const auto began = Clock::now();
      must(encoder.encode(std::as_bytes(image.pixels()), shape, quality, jpeg));
      const auto encoded = Clock::now();
      must(decoder.decode(jpeg, shape, std::as_writable_bytes(std::span(pixels))));
      decode.push_back(Milliseconds(Clock::now() - encoded).count());
      encode.push_back(Milliseconds(encoded - began).count());
      bytes.push_back(static_cast<double>(jpeg.size()));
      const Image seen(image.width(), image.height(), image.format(), std::move(pixels));
      found.add(detect::find_again(raw[i], detect::detect_object(seen)));
    }
    rows.push_back({{"quality", quality},
                    {"bytes", median(bytes)},
                    {"raw_over_bytes",
                     static_cast<double>(image_of(frames[0]).pixels().size()) / median(bytes)},
                    {"encode_ms", median(encode)},
                    {"decode_ms", median(decode)},
                    {"recall", found.recall()},
                    {"objects", found.of}});
    std::printf("%8d %10.0f %10.2f %10.2f %8.4f\n", quality, median(bytes), median(encode),
                median(decode), found.recall());
    std::fflush(stdout);
  }
  return rows;
}

// --- Over a slow link -------------------------------------------------------------------

// One way for frames to go, and what came of it.
class Way {
 public:
  Way(std::string name, const ImageCodec& codec, const Options& options, const std::string& edge)
      : name_(std::move(name)), in_flight_(options.in_flight) {
    RuntimeOptions wanted;
    wanted.edges = {edge};
    wanted.policy = aloft::remote_policy();
    wanted.max_in_flight = options.in_flight;
    wanted.call_timeout = 60s;
    wanted.functions[kFunction].images = codec;
    runtime_ = make_runtime(std::move(wanted), options);
    must(runtime_->wait_for_edge(60s));
  }

  // One round: the next `count` frames.
  void run(std::size_t count, const std::vector<cv::Mat>& frames,
           const std::vector<Detections>& raw) {
    bind(*runtime_);
    const auto tx_before = runtime_->link_bytes().tx;
    const auto began = Clock::now();
    for (std::size_t i = 0; i < count; ++i) {
      if (under_way_.size() == in_flight_) collect(raw);
      const std::size_t frame = next_++ % frames.size();
      under_way_.emplace_back(frame, image_of(frames[frame]));
      under_way_.back().call = detect::detect_object_async(under_way_.back().image);
    }
    while (!under_way_.empty()) collect(raw);
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    fps_.push_back(static_cast<double>(count) / seconds);
    tx_ += runtime_->link_bytes().tx - tx_before;
    aloft::unbind();
  }

  // What was measured so far; the frames begin anew.
  void forget() {
    next_ = frames_ = fell_back_ = tx_ = 0;
    fps_.clear();
    encode_.clear();
    decode_.clear();
    found_ = {};
    codecs_.clear();
  }

  [[nodiscard]] double fps() const { return detect::percentile(fps_, 0.5); }
  [[nodiscard]] Json json() const {
    Json codecs = Json::object();
    for (const auto& [codec, frames] : codecs_) codecs[codec] = frames;
    return {{"way", name_},
            {"frames", frames_},
            {"fps", fps()},
            {"fps_min", std::ranges::min(fps_)},
            {"fps_max", std::ranges::max(fps_)},
            {"recall", found_.recall()},
            {"objects", found_.of},
            {"link_bytes_per_frame", static_cast<double>(tx_) / static_cast<double>(frames_)},
            {"encode_ms", detect::percentile(encode_, 0.5)},
            {"decode_ms", detect::percentile(decode_, 0.5)},
            {"fell_back", fell_back_},
            {"frames_by_codec", codecs}};
  }

 private:
  struct Pending {
    Pending(std::size_t number, Image its_image) : frame(number), image(std::move(its_image)) {}
    std::size_t frame;
    Image image;
    aloft::Future<Detections> call;
  };

  void collect(const std::vector<Detections>& raw) {
    Pending& pending = under_way_.front();
    const Detections seen = must(pending.call.get());
    const aloft::CallRecord& record = pending.call.record();
    ++frames_;
    ++codecs_[detect::codec_name(record.images.coding)];
    fell_back_ += record.fell_back ? 1U : 0U;
    encode_.push_back(Milliseconds(record.images.encode).count());
    decode_.push_back(Milliseconds(record.images.decode).count());
    found_.add(detect::find_again(raw[pending.frame], seen));
    under_way_.pop_front();
  }

  const std::string name_;
  const std::size_t in_flight_;
  std::unique_ptr<Runtime> runtime_;
  std::deque<Pending> under_way_;
  std::size_t next_ = 0;
  std::uint64_t frames_ = 0, fell_back_ = 0, tx_ = 0;
  std::vector<double> fps_, encode_, decode_;
  detect::Found found_;
  std::map<std::string, std::uint64_t> codecs_;
};

Json over_a_link(const Options& options, const std::vector<cv::Mat>& frames,
                 const std::vector<Detections>& raw) {
  using aloft::testing::Network;
  if (const auto missing = Network::what_is_missing()) {
    std::fprintf(stderr, "warning: nothing is measured over a link: %s\n", missing->c_str());
    return nullptr;
  }
  auto network = must(Network::make());
  for (const char* const host : {"device", "edge"}) must(network.add_host(host));
  const aloft::testing::TempDir cache;
  aloft::testing::EdgeOptions at_edge;
  at_edge.cache = cache.path();
  at_edge.host = network.address("edge");
  at_edge.arguments = {"--insecure"};
  at_edge.on = [&](std::vector<std::string> command) {
    return network.command("edge", std::move(command));
  };
  const auto edge = must(aloft::testing::DemoEdge::start(at_edge));
  must(network.enter("device"));
  // The model goes there before the link is slow.
  Way raw_way("raw", ImageCodec::raw(), options, edge.address());
  const std::string fixed = "jpeg:" + std::to_string(options.quality);
  Way jpeg_way(fixed, ImageCodec::jpeg(options.quality), options, edge.address());
  Way auto_way("auto", ImageCodec::automatic(detect::missed, 0.03), options, edge.address());
  for (Way* const way : {&raw_way, &jpeg_way, &auto_way}) way->run(2, frames, raw);
  for (const char* const host : {"device", "edge"})
    must(network.shape(host, {.bits_per_second = options.mbit * 1'000'000}));

  raw_way.forget();
  jpeg_way.forget();
  auto_way.forget();
  for (std::size_t round = 0; round < options.rounds; ++round) {
    const std::size_t count =
        options.frames / options.rounds + (round < options.frames % options.rounds ? 1 : 0);
    raw_way.run(options.raw_frames, frames, raw);
    jpeg_way.run(count, frames, raw);
    auto_way.run(count, frames, raw);
    std::printf("round %zu: raw %.2f, %s %.2f, auto %.2f frames/s (medians so far)\n", round + 1,
                raw_way.fps(), fixed.c_str(), jpeg_way.fps(), auto_way.fps());
    std::fflush(stdout);
  }
  Json json = {{"bits_per_second", options.mbit * 1'000'000}, {"in_flight", options.in_flight}};
  for (const Way* const way : {&raw_way, &jpeg_way, &auto_way}) {
    Json row = way->json();
    row["fps_over_raw"] = way->fps() / raw_way.fps();
    json["ways"].push_back(row);
    std::printf("%s\n", row.dump().c_str());
  }
  return json;
}

Options read_options(int argc, char** argv) {
  Options options;
  CLI::App app{"What an image codec buys over a slow link, and what it costs in recall."};
  app.add_option("--json", options.json, "file for the figures");
  app.add_option("--video", options.video)->capture_default_str();
  app.add_option("--model", options.model)->capture_default_str()->check(CLI::ExistingFile);
  app.add_option("--frames", options.frames)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--raw-frames", options.raw_frames, "of each round")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--every", options.every, "without a link, one frame in so many")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--mbit", options.mbit, "of the link")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--in-flight", options.in_flight)->capture_default_str()->check(CLI::Range(1, 16));
  app.add_option("--quality", options.quality, "of the fixed one")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_flag("--no-link", options.no_link, "only what needs no link");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  const auto source = must(detect::open_source(options.video));
  std::vector<cv::Mat> frames;
  for (std::size_t i = 0; i < options.frames; ++i) frames.push_back(must(source->next()).clone());

  Json json = {{"video", std::filesystem::path(options.video).filename().string()},
               {"model", options.model.filename().string()},
               {"frame", {{"width", frames[0].cols}, {"height", frames[0].rows}}},
               {"frames", frames.size()}};
  std::vector<Detections> raw;
  {
    const auto here = make_runtime({}, options);
    bind(*here);
    for (const cv::Mat& frame : frames) raw.push_back(detect::detect_object(image_of(frame)));
    json["without_a_link"] = without_a_link(options, frames, raw);
  }
  if (!options.no_link) json["over_a_link"] = over_a_link(options, frames, raw);
  aloft::bench::write_json(options.json, json);
  return 0;
}
