#include "host/record_protocol.h"

#include <exception>

#include <nlohmann/json.hpp>

namespace aloft::host {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMostCalls = 1'000'000;
constexpr std::uint64_t kMostMib = 1U << 20U;

std::string line_of(const Json& object) {
  // A path may be any bytes.
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// What `take` makes of the object in the line.
template <class T, class Take>
Result<T> read(std::string_view line, const Take& take) {
  try {
    const Json object = Json::parse(line);
    T value;
    take(object, value);
    return value;
  } catch (const std::exception&) {
    return fail(Errc::protocol, "what answers is no edge of this version of aloft");
  }
}

}  // namespace

std::string to_line(const RecordGreeting& greeting) {
  return line_of(
      {{"edge", greeting.edge}, {"repository", greeting.repository}, {"folder", greeting.folder}});
}

std::string to_line(const RecordRequest& request) {
  return line_of({{"folder", request.folder},
                  {"calls", request.calls},
                  {"mib", request.mib},
                  {"functions", request.functions},
                  {"failed", request.which == RecordRequest::Which::failed}});
}

std::string to_line(const RecordSummary& summary) {
  return line_of({{"recorded", summary.recorded},
                  {"lost", summary.lost},
                  {"why_lost", summary.why_lost},
                  {"calls", summary.calls},
                  {"bytes", summary.bytes},
                  {"last", summary.last}});
}

std::string to_line(const Result<void>& begun) {
  if (begun) return line_of({{"error", nullptr}});
  return line_of(
      {{"error", static_cast<int>(begun.error().code)}, {"message", begun.error().message}});
}

Result<RecordGreeting> read_greeting(std::string_view line) {
  return read<RecordGreeting>(line, [](const Json& object, RecordGreeting& greeting) {
    object.at("edge").get_to(greeting.edge);
    object.at("repository").get_to(greeting.repository);
    object.at("folder").get_to(greeting.folder);
  });
}

Result<RecordRequest> read_request(std::string_view line) {
  auto request = read<RecordRequest>(line, [](const Json& object, RecordRequest& read) {
    object.at("folder").get_to(read.folder);
    object.at("calls").get_to(read.calls);
    object.at("mib").get_to(read.mib);
    object.at("functions").get_to(read.functions);
    if (object.at("failed").get<bool>()) read.which = RecordRequest::Which::failed;
  });
  if (!request) return fail(Errc::protocol, "this is no request of this version of aloft record");
  if (!request->folder.starts_with('/'))
    return fail(Errc::invalid_argument, "the folder's path has to be absolute");
  if (request->calls < 1 || request->calls > kMostCalls || request->mib < 1 ||
      request->mib > kMostMib)
    return fail(Errc::invalid_argument, "1 to 1000000 calls, of 1 to 1048576 MiB, can be kept");
  return request;
}

Result<RecordSummary> read_summary(std::string_view line) {
  return read<RecordSummary>(line, [](const Json& object, RecordSummary& summary) {
    object.at("recorded").get_to(summary.recorded);
    object.at("lost").get_to(summary.lost);
    object.at("why_lost").get_to(summary.why_lost);
    object.at("calls").get_to(summary.calls);
    object.at("bytes").get_to(summary.bytes);
    object.at("last").get_to(summary.last);
  });
}

Result<void> read_begun(std::string_view line) {
  const auto error = read<Error>(line, [](const Json& object, Error& said) {
    const Json& code = object.at("error");
    said.code = code.is_null() ? Errc{} : static_cast<Errc>(code.get<std::uint16_t>());
    if (!code.is_null()) object.at("message").get_to(said.message);
  });
  if (!error) return std::unexpected(error.error());
  if (error->code != Errc{}) return std::unexpected(*error);
  return {};
}

}  // namespace aloft::host
