// What a runtime tells of the calls that were made through it: for reports, logs and tests.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <aloft/image_codec.h>
#include <aloft/place.h>
#include <aloft/policy.h>
#include <aloft/result.h>

namespace aloft {

// What happened to one call, told when its result is there.
struct CallRecord {
  std::uint64_t number =
      0;  // rising over the calls of this runtime, from 0, in the order they were made
  std::string_view function;             // qualified name
  Place place = Place::here;             // where the result was computed in the end
  Location location = Location::here();  // the same, with the edge's index
  Reason reason;                         // the decision's reason
  bool fell_back = false;         // decided for the edge, computed here because the edge failed
  bool hedged = false;            // the edge was late: computed here, and faster, while it went on
  std::uint32_t edges_tried = 0;  // at which the call was begun
  std::optional<Error> remote_error;   // why the last of them failed it, if it did
  std::optional<Error> error;          // why the call has no result (Future::get() lists the codes)
  std::chrono::nanoseconds latency{};  // call to result
  std::uint64_t input_bytes = 0;  // encoded arguments; 0 of a call here whose policy did not ask
  std::chrono::nanoseconds here_run{};  // here: the body alone; 0 where nobody is told
  std::chrono::nanoseconds edge_run{};  // at the edge: guest time, inference included; 0 when here
  std::chrono::nanoseconds edge_queue{};
  std::chrono::nanoseconds edge_inference{};
  std::uint64_t tx_bytes =
      0;  // on the wire for this call, frame headers included; also of an attempt that failed
  std::uint64_t rx_bytes = 0;
  ImageCodingRecord images{};  // how they went to the edge that computed the result
  std::vector<std::string>
      tensor_digests;  // SHA-256 of each input tensor, with RuntimeOptions::digest_tensors
  // Of the first call that ran elsewhere because an edge was lost: last sign of life of that edge
  // -> start of execution here, or at another edge.
  std::optional<std::chrono::nanoseconds> takeover;
};

// Where one call was sent first, and why.
struct DecisionRecord {
  std::uint64_t number = 0;   // CallRecord::number
  std::string_view function;  // qualified name
  Location location = Location::here();
  Reason reason;
};

}  // namespace aloft
