#include "run.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <opencv2/core.hpp>

#include "comparison.h"
#include "compensation.h"
#include "detect.aloft.h"
#include "detect.h"
#include "draw_boxes.h"
#include "place_plan.h"
#include <aloft/dispatch.h>
#include <aloft/image.h>
#include <aloft/runtime.h>

namespace detect {
namespace {

using aloft::Place;
using aloft::Result;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kTemperaturePause =
    std::chrono::milliseconds(500);  // sensors change slowly, reading them costs

double milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

// Time and processor time from one result to the next. What is not part of the application's work
// is left out: by skip(), and what the live page's thread does.
class Meter {
 public:
  explicit Meter(const aloft::LivePage* page) : page_(page), cpu_(cpu_time()) {}

  struct Lap {
    double wall_ms = 0;
    double cpu_ms = 0;
  };

  Lap lap() {
    const auto wall = wall_;
    const auto cpu = cpu_;
    skip();
    return {milliseconds(wall_ - wall), milliseconds(cpu_ - cpu)};
  }
  void skip() {
    wall_ = steady_clock::now();
    cpu_ = cpu_time();
  }

 private:
  [[nodiscard]] std::chrono::nanoseconds cpu_time() const {
    // The page's first: what it does in between is then counted rather than taken off twice.
    const std::chrono::nanoseconds page = page_ != nullptr ? page_->cpu_time() : 0ns;
    return aloft::device::process_cpu_time() - page;
  }

  const aloft::LivePage* const page_;
  steady_clock::time_point wall_ = steady_clock::now();
  std::chrono::nanoseconds cpu_;
};

using Detections = std::vector<Detection>;

aloft::Image as_image(const cv::Mat& picture) {
  return aloft::Image::borrow(static_cast<std::uint32_t>(picture.cols),
                              static_cast<std::uint32_t>(picture.rows), aloft::PixelFormat::bgr8,
                              {picture.data, picture.total() * picture.elemSize()});
}

// A frame under way. Stays where it is: the call borrows its image.
struct Pending {
  Pending(std::uint64_t frame, cv::Mat decoded)
      : number(frame), picture(std::move(decoded)), image(as_image(picture)) {}

  const std::uint64_t number;
  const steady_clock::time_point begun = steady_clock::now();
  cv::Mat picture;
  const aloft::Image image;
  aloft::Future<Detections> call;  // destroyed first
};

class Loop {
 public:
  Loop(const Options& options, std::uint64_t frames, const RunParts& parts)
      : frames_(frames),
        // A frame that is computed twice has the application to itself.
        in_flight_(options.verify || parts.trace != nullptr ? 1 : options.in_flight),
        parts_(parts),
        plan_(options.place, options.switch_every, frames),
        has_policy_(options.policy != nullptr),
        meter_(parts.page) {
    if (options.verify) outcome_.verify.emplace();
    if (options.compensate) compensation_.emplace();
  }

  Result<RunOutcome> run() {
    meter_.skip();
    for (std::uint64_t frame = 0; (frames_ == 0 || frame < frames_) && !parts_.stop; ++frame) {
      if (auto done = step(frame); !done) return std::unexpected(done.error());
    }
    if (auto collected = collect_all(); !collected) return std::unexpected(collected.error());
    outcome_.tracker = tracking_.moves();
    if (compensation_) outcome_.compensation = compensation_->report();
    return std::move(outcome_);
  }

 private:
  Result<void> step(std::uint64_t frame) {
    if (parts_.baseline != nullptr && plan_.begins_block(frame, kBaselineBlock)) {
      if (auto begun = begin_block(); !begun) return begun;
    }
    if (pending_.size() >= in_flight_) {
      if (auto collected = collect(); !collected) return collected;
    }
    if (auto submitted = submit(frame); !submitted) return submitted;
    if (parts_.baseline != nullptr && plan_.ends_block(frame, kBaselineBlock)) return end_block();
    return {};
  }

  Result<void> submit(std::uint64_t frame) {
    auto decoded = parts_.source.next();
    if (!decoded) return std::unexpected(decoded.error());
    Pending& pending = pending_.emplace_back(frame, *std::move(decoded));
    if (!computes_twice() || (has_policy_ && parts_.trace == nullptr)) {
      pending.call = detect_object_async(pending.image);
    } else {
      // The second computation of each frame is a call, too: the policy, which counts them, would
      // lose its step.
      // A trace has the tracker at the edge, for its round trips.
      const aloft::PlaceScope scope(parts_.trace != nullptr ? Place::edge : plan_.place(frame));
      pending.call = detect_object_async(pending.image);
    }
    return {};
  }

  // Takes the oldest frame's result, and shows it.
  Result<void> collect() {
    Pending& pending = pending_.front();
    const Result<Detections> detections = pending.call.get();
    if (!detections) return failed(pending, detections.error());
    FrameRow measured = row(pending.number, pending.call.record(), detections->size());
    say_why(pending);
    const auto tracks = track(pending, *detections, measured);
    if (!tracks) return failed(pending, tracks.error());
    if (computes_twice()) {
      if (auto compared = compare_with_other_place(pending, *detections); !compared)
        return compared;
    }
    if (auto written = parts_.csv.append(measured); !written) return written;
    outcome_.rows.push_back(measured);
    parts_.status.progress(measured);
    present(*detections, *tracks, measured);
    pending_.pop_front();
    return {};
  }

  // Draws the oldest frame's result, into that frame or carried forward into the newest one.
  void present(const Detections& detections, const std::vector<Track>& tracks,
               const FrameRow& measured) {
    Pending& of = pending_.front();
    Pending& now = pending_.back();
    if (compensation_) compensation_->judge(of.number, tracks, detections);
    if (!compensation_ || of.number == now.number) {
      draw_boxes(of.picture, detections, tracks);
      show(of.picture, of.begun, measured);
      return;
    }
    const std::vector<Track> moved = compensation_->show(tracks, of.number, now.number);
    // The newest frame is being looked at by its own call, which may send it again.
    cv::Mat picture = now.picture.clone();
    // Detections that nobody's velocity is known of would be drawn where they no longer are.
    draw_boxes(picture, {}, moved);
    show(picture, of.begun, measured);
  }

  Result<void> collect_all() {
    while (!pending_.empty()) {
      if (auto collected = collect(); !collected) return collected;
    }
    return {};
  }

  static std::unexpected<aloft::Error> failed(const Pending& pending, const aloft::Error& why) {
    return aloft::fail(why.code, "frame " + std::to_string(pending.number) + ": " + why.message);
  }

  FrameRow row(std::uint64_t frame, const aloft::CallRecord& record, std::size_t detections) {
    const Meter::Lap lap = meter_.lap();
    FrameRow made;
    made.frame = frame;
    made.place = record.place;
    made.latency_ms = milliseconds(record.latency);
    made.interval_ms = lap.wall_ms;
    made.cpu_ms = lap.cpu_ms;
    made.fps = rate_.add(record.place, lap.wall_ms);
    made.ue_cpu_percent = lap.wall_ms > 0 ? 100 * lap.cpu_ms / lap.wall_ms : 0;
    made.ue_temperature_c = temperature();
    made.tx_bytes = record.tx_bytes;
    made.rx_bytes = record.rx_bytes;
    made.detections = detections;
    made.images = record.images;
    made.fell_back = record.fell_back;
    if (record.takeover) made.takeover_ms = milliseconds(*record.takeover);
    return made;
  }

  static bool is_try(const aloft::CallRecord& record) {
    const auto why = record.reason.code();
    return why == aloft::ReasonCode::tries_edge || why == aloft::ReasonCode::tries_here;
  }

  // A policy's reason for the first frame, and for each that is computed in another place.
  void say_why(const Pending& pending) {
    const aloft::CallRecord& record = pending.call.record();
    if (!has_policy_ || is_try(record) || said_ == record.place) return;
    said_ = record.place;
    parts_.status.message("frame " + std::to_string(pending.number) + ": " + record.reason.text());
  }

  // The tracker sees the frames in their order, wherever they come from.
  Result<std::vector<Track>> track(const Pending& pending, const Detections& detections,
                                   FrameRow& measured) {
    // A place that is only tried out is none to move to.
    const aloft::CallRecord& record = pending.call.record();
    if (!is_try(record)) tracker_belongs_ = record.location;
    auto tracks = tracking_.track(tracker_belongs_, detections);
    if (const auto failure = tracking_.why()) {
      parts_.status.message("frame " + std::to_string(pending.number) +
                            ": the tracker stays where it is: " + failure->message);
    }
    if (!tracks) return tracks;
    for (const Track& each : *tracks) measured.tracks.push_back(each.id);
    return tracks;
  }

  std::optional<double> temperature() {
    const auto now = steady_clock::now();
    if (now - temperature_read_ >= kTemperaturePause) {
      temperature_read_ = now;
      const auto hottest = aloft::device::Sensors::processor_temperature(parts_.sensors.sample());
      temperature_ = hottest ? std::optional(hottest->celsius) : std::nullopt;
    }
    return temperature_;
  }

  // `begun`: when there was the frame that `measured` is about.
  void show(const cv::Mat& picture, steady_clock::time_point begun, const FrameRow& measured) {
    if (parts_.page != nullptr) {
      parts_.page->add({.number = measured.frame,
                        .place = measured.place,
                        .per_second = measured.fps,
                        .ue_cpu_percent = measured.ue_cpu_percent,
                        .ue_celsius = measured.ue_temperature_c,
                        .network_bytes = measured.tx_bytes + measured.rx_bytes,
                        .age = steady_clock::now() - begun});
      parts_.page->show(as_image(picture), measured.frame);
    }
    if (parts_.recorder == nullptr || !showing_) return;
    if (const auto shown = parts_.recorder->show(picture, StatusLine::text(measured, frames_));
        !shown) {
      showing_ = false;  // a closed window does not end the measurement
      parts_.status.message(shown.error().message + "; going on without");
    }
  }

  [[nodiscard]] bool computes_twice() const {
    return outcome_.verify.has_value() || parts_.trace != nullptr;
  }

  // --verify and --record-trace: computes a frame whose result is here again, where it was not
  // computed.
  Result<void> compare_with_other_place(Pending& pending, const Detections& detections) {
    const aloft::CallRecord& first = pending.call.record();
    const aloft::PlaceScope scope(first.place == Place::here ? Place::edge : Place::here);
    aloft::Future<Detections> again = detect_object_async(pending.image);
    const Result<Detections> other = again.get();
    if (!other) return failed(pending, other.error());
    Result<void> done{};
    if (again.record().place == first.place) {
      parts_.status.message("frame " + std::to_string(pending.number) +
                            " is not computed twice: the edge is away");
    } else {
      if (outcome_.verify) {
        VerifyOutcome& verify = *outcome_.verify;
        ++verify.frames;
        verify.mismatched_frames += same_bits(detections, *other) ? 0U : 1U;
        verify.mismatched_tensors +=
            differing_tensors(first.tensor_digests, again.record().tensor_digests);
      }
      if (parts_.trace != nullptr) done = record_trace(first, again.record());
    }
    meter_.skip();
    return done;
  }

  Result<void> record_trace(const aloft::CallRecord& first, const aloft::CallRecord& again) {
    const aloft::CallRecord& here = first.place == Place::here ? first : again;
    const aloft::CallRecord& edge = first.place == Place::here ? again : first;
    const auto now = steady_clock::now();
    if (!trace_began_) trace_began_ = now;
    // The tracker's calls are small. One that stays here leaves what was last seen.
    if (const auto seen = tracking_.round_trip()) round_trip_ms_ = milliseconds(*seen);
    return parts_.trace->append({.at_ms = milliseconds(now - *trace_began_),
                                 .input_bytes = edge.tx_bytes,
                                 .reply_bytes = edge.rx_bytes,
                                 .here_ms = milliseconds(here.latency),
                                 .edge_ms = milliseconds(edge.latency),
                                 .edge_run_ms = milliseconds(edge.edge_run),
                                 .edge_queue_ms = milliseconds(edge.edge_queue),
                                 .round_trip_ms = round_trip_ms_});
  }

  // --baseline: the remote frames of a block are measured with nothing else under way. Every other
  // block is preceded by its native frames, the others are followed by them, so that a machine that
  // grows slower or faster favours neither.
  Result<void> begin_block() {
    if (auto collected = collect_all(); !collected) return collected;
    block_ = {};
    if (blocks_ % 2 == 1) {
      if (auto measured = measure_native(); !measured) return measured;
    }
    block_begins_at_row_ = outcome_.rows.size();
    meter_.skip();
    block_began_ = steady_clock::now();
    return {};
  }

  Result<void> end_block() {
    if (auto collected = collect_all(); !collected) return collected;
    const std::chrono::duration<double> taken = steady_clock::now() - block_began_;
    block_.remote_fps = static_cast<double>(kBaselineBlock) / taken.count();
    if (blocks_ % 2 == 0) {
      if (auto measured = measure_native(); !measured) return measured;
    }
    ++blocks_;
    const auto rows = std::span(outcome_.rows).subspan(block_begins_at_row_);
    // A block in which the edge failed measures something else.
    if (std::ranges::all_of(rows, [](const FrameRow& each) { return each.place == Place::edge; })) {
      outcome_.baseline.push_back(block_);
    }
    meter_.skip();
    return {};
  }

  Result<void> measure_native() {
    const auto rate = parts_.baseline->measure(kBaselineBlock);
    if (!rate) return std::unexpected(rate.error());
    block_.edge_native_fps = *rate;
    return {};
  }

  const std::uint64_t frames_;
  const std::size_t in_flight_;
  const RunParts& parts_;
  const PlacePlan plan_;
  const bool has_policy_;
  std::optional<Place> said_;

  Meter meter_;
  FrameRate rate_;
  std::optional<double> temperature_;
  steady_clock::time_point temperature_read_{};
  bool showing_ = true;

  std::uint64_t blocks_ = 0;  // finished
  BaselineBlock block_;
  std::size_t block_begins_at_row_ = 0;
  steady_clock::time_point block_began_{};

  std::optional<steady_clock::time_point> trace_began_;
  double round_trip_ms_ = 0;

  Tracking tracking_;
  aloft::Location tracker_belongs_ = aloft::Location::here();
  std::optional<Compensation> compensation_;
  RunOutcome outcome_;
  std::deque<Pending> pending_;  // destroyed first: calls under way end
};

}  // namespace

Result<RunOutcome> run(const Options& options, std::uint64_t frames, const RunParts& parts) {
  return Loop(options, frames, parts).run();
}

}  // namespace detect
