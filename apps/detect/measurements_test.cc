#include "measurements.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "figure3.h"
#include "frames_csv.h"
#include "report.h"

namespace detect {
namespace {

using aloft::Place;

FrameRow row(std::uint64_t frame, Place place, double interval_ms = 10) {
  FrameRow made;
  made.frame = frame;
  made.place = place;
  made.interval_ms = interval_ms;
  made.latency_ms = interval_ms;
  made.cpu_ms = interval_ms / 2;
  return made;
}

TEST(Measurements, a_run_without_gaps_has_nothing_lost_doubled_or_reordered) {
  std::vector<FrameRow> rows;
  for (std::uint64_t i = 0; i < 6; ++i)
    rows.push_back(row(i, i / 2 % 2 == 0 ? Place::here : Place::edge));
  const RunSummary summary = summarize(rows);
  EXPECT_EQ(summary.frames, 6U);
  EXPECT_EQ(summary.switches, 2U);
  EXPECT_EQ(summary.lost + summary.duplicated + summary.reordered, 0U);
}

TEST(Measurements, a_missing_a_doubled_and_a_late_frame_are_each_counted) {
  const std::vector<FrameRow> rows{row(0, Place::here), row(1, Place::here), row(1, Place::here),
                                   row(5, Place::here), row(3, Place::here)};
  const RunSummary summary = summarize(rows);
  EXPECT_EQ(summary.duplicated, 1U);
  EXPECT_EQ(summary.reordered, 1U);
  EXPECT_EQ(summary.lost, 2U);  // 2 and 4
}

TEST(Measurements, each_place_is_summed_up_by_itself) {
  std::vector<FrameRow> rows{row(0, Place::here, 100), row(1, Place::here, 300),
                             row(2, Place::edge, 20)};
  rows[2].tx_bytes = 1000;
  const RunSummary summary = summarize(rows);
  ASSERT_TRUE(summary.local && summary.remote);
  EXPECT_DOUBLE_EQ(summary.local->fps, 5);
  EXPECT_DOUBLE_EQ(summary.remote->fps, 50);
  EXPECT_DOUBLE_EQ(summary.local->cpu_ms_per_frame, 100);
  EXPECT_DOUBLE_EQ(summary.remote->tx_bytes_per_frame, 1000);
  EXPECT_DOUBLE_EQ(summary.local->latency_ms.p99, 300);
  EXPECT_DOUBLE_EQ(summary.local->latency_ms.p50, 100);
}

TEST(Measurements, the_frame_rate_starts_anew_at_a_hop) {
  FrameRate rate;
  EXPECT_DOUBLE_EQ(rate.add(Place::here, 100), 10);
  EXPECT_DOUBLE_EQ(rate.add(Place::here, 300), 5);
  EXPECT_DOUBLE_EQ(rate.add(Place::edge, 20), 50);
}

TEST(FramesCsv, a_line_has_the_columns_of_the_header_and_an_absent_temperature_is_empty) {
  FrameRow made = row(7, Place::edge, 12.5);
  made.fps = 80;
  made.tx_bytes = 10;
  made.rx_bytes = 3;
  made.detections = 2;
  EXPECT_EQ(FramesCsv::line(made), "7,remote,12.500,80.00,0.0,,10,3,2,,raw,0.000,0.000");
  made.ue_temperature_c = 57.5;
  made.tracks = {3, 7, 12};
  EXPECT_EQ(FramesCsv::line(made), "7,remote,12.500,80.00,0.0,57.5,10,3,2,3;7;12,raw,0.000,0.000");
  made.images = {.coding = {aloft::ImageFormat::jpeg, 85},
                 .raw_bytes = 900,
                 .coded_bytes = 90,
                 .encode = std::chrono::microseconds(700),
                 .decode = std::chrono::microseconds(1250)};
  EXPECT_THAT(FramesCsv::line(made), ::testing::EndsWith(",3;7;12,jpeg:85,0.700,1.250"));
  made.place = Place::here;
  EXPECT_THAT(FramesCsv::line(made), ::testing::EndsWith(",3;7;12,,,"));
}

TEST(Summary, tells_for_each_codec_what_its_frames_took) {
  std::vector<FrameRow> rows;
  for (std::uint64_t frame = 0; frame < 6; ++frame) {
    rows.push_back(row(frame, frame < 5 ? Place::edge : Place::here, 20));
    if (frame < 3) rows.back().images.coding = {aloft::ImageFormat::jpeg, 85};
    rows.back().images.encode = std::chrono::milliseconds(frame);
    rows.back().tx_bytes = 100 * frame;
  }
  const auto codecs = summarize(rows).remote.value().codecs;
  ASSERT_EQ(codecs.size(), 2U);
  EXPECT_EQ(codecs.at("jpeg:85").frames, 3U);
  EXPECT_DOUBLE_EQ(codecs.at("jpeg:85").tx_bytes, 100);
  EXPECT_DOUBLE_EQ(codecs.at("jpeg:85").encode_ms, 1);
  EXPECT_EQ(codecs.at("raw").frames, 2U);
}

TEST(Report, the_ratio_to_native_is_the_median_of_the_blocks) {
  Report report;
  report.run = summarize(std::vector<FrameRow>{row(0, Place::here, 100), row(1, Place::edge, 20)});
  report.baseline = {{9, 10}, {8, 10}, {20, 10}};
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_DOUBLE_EQ(json.at("remote_over_native"), 0.9);
  EXPECT_DOUBLE_EQ(json.at("speedup"), 5);
  EXPECT_DOUBLE_EQ(json.at("speedup_unheld"), 5);
  EXPECT_TRUE(json.at("takeover_ms").is_null());
  EXPECT_FALSE(json.contains("mismatched_frames"));
}

TEST(Report, says_what_the_trackers_moves_cost) {
  Report report;
  EXPECT_TRUE(nlohmann::json::parse(to_json(report)).at("tracker").at("blackout_ms").is_null());
  report.tracker = {.moves = 3, .blackout_ms = {4, 9, 2}, .state_bytes = 700, .identities = 12};
  const auto tracker = nlohmann::json::parse(to_json(report)).at("tracker");
  EXPECT_EQ(tracker.at("moves"), 3);
  EXPECT_EQ(tracker.at("identities"), 12);
  EXPECT_DOUBLE_EQ(tracker.at("blackout_ms").at("p50"), 4);
  EXPECT_DOUBLE_EQ(tracker.at("blackout_ms").at("max"), 9);
}

TEST(Figure3, shades_the_remote_spans_and_says_that_there_is_no_sensor) {
  std::vector<FrameRow> rows;
  for (std::uint64_t i = 0; i < 6; ++i)
    rows.push_back(row(i, i >= 2 && i < 4 ? Place::edge : Place::here));
  const std::string script = figure3_script(rows, "note");
  EXPECT_NE(script.find("rectangle from 2, graph 0 to 4, graph 1"), std::string::npos);
  EXPECT_NE(script.find("no sensor"), std::string::npos);
  for (FrameRow& measured : rows) measured.ue_temperature_c = 50;
  EXPECT_EQ(figure3_script(rows, "note").find("no sensor"), std::string::npos);
}

}  // namespace
}  // namespace detect
