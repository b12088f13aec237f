// What `aloft record` and an edge say to each other at the edge's socket (ops/user_socket.h), each
// a line, a JSON object:
//
//   edge     a greeting, to whoever connects
//   asker    what to record (an asker that only wants to know who is there goes away)
//   edge     that it records, or why not; then the connection is closed
//   ...      calls are kept for as long as the connection is there
//   asker    closes its side
//   edge     what has been recorded, and closes
//
// So recording cannot outlive who asked for it, whatever becomes of them. An edge that ends says
// what has been recorded by itself; one that says nothing before it closes has not ended well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <aloft/result.h>

namespace aloft::host {

inline constexpr std::string_view kRecordSocket = "record";  // its kind
inline constexpr std::size_t kMaxRecordLine = 64U << 10U;    // bytes

struct RecordGreeting {
  std::string edge;        // HOST:PORT where devices find it
  std::string repository;  // the folder of its modules
  std::string folder;      // that calls are kept in already; empty: none is
};
struct RecordRequest {
  std::string folder;                  // absolute
  std::uint64_t calls = 100;           // kept at most; the oldest go first
  std::uint64_t mib = 256;             // of all of them
  std::vector<std::string> functions;  // qualified names; empty: all
  enum class Which : std::uint8_t { all, failed } which = Which::all;
};
struct RecordSummary {
  std::uint64_t recorded = 0;
  std::uint64_t lost = 0;
  std::string why_lost;
  std::uint64_t calls = 0;  // in the folder
  std::uint64_t bytes = 0;
  std::string last;  // file
};

// With the newline.
[[nodiscard]] std::string to_line(const RecordGreeting& greeting);
[[nodiscard]] std::string to_line(const RecordRequest& request);
[[nodiscard]] std::string to_line(const RecordSummary& summary);
[[nodiscard]] std::string to_line(const Result<void>& begun);

// Errors: protocol (it is no such line), invalid_argument (a bound of a request is out of range).
[[nodiscard]] Result<RecordGreeting> read_greeting(std::string_view line);
[[nodiscard]] Result<RecordRequest> read_request(std::string_view line);
[[nodiscard]] Result<RecordSummary> read_summary(std::string_view line);
// Errors: those that the edge says, and protocol.
[[nodiscard]] Result<void> read_begun(std::string_view line);

}  // namespace aloft::host
