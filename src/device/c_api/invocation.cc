#include "device/c_api/invocation.h"

#include <memory>
#include <utility>

namespace aloft::c_api {
namespace {

constexpr std::size_t kSmallestOptions =
    offsetof(aloft_call_options, place) + sizeof(aloft_call_options::place);

}  // namespace

Result<Wanted> wanted_of(const aloft_call_options* options, const Target& target,
                         const aloft_runtime& runtime) {
  // What cannot run here is not for a policy to decide.
  const bool edges_only = !target.native && target.function->object == nullptr;
  if (options == nullptr) return Wanted{.at_any_edge = edges_only, .place = {}, .deadline = {}};
  if (options->struct_size < kSmallestOptions) {
    return fail(Errc::invalid_argument,
                "aloft_call_options::struct_size is not set: use ALOFT_CALL_OPTIONS_INIT");
  }
  Wanted wanted;
  wanted.at_any_edge =
      options->place == ALOFT_ANY_EDGE || (options->place == ALOFT_BY_POLICY && edges_only);
  if (!wanted.at_any_edge && options->place != ALOFT_BY_POLICY) {
    auto place = place_of(options->place, runtime);
    if (!place) return std::unexpected(std::move(place.error()));
    wanted.place = *place;
  }
  if (options->struct_size >= sizeof(aloft_call_options) && options->deadline_ns != 0) {
    if (options->deadline_ns < 0)
      return fail(Errc::invalid_argument, "aloft_call_options::deadline_ns is below nothing");
    wanted.deadline = std::chrono::nanoseconds(options->deadline_ns);
  }
  return wanted;
}

Result<void> give(BytesCall& call, aloft_result** result) {
  auto bytes = call.take();
  if (!bytes) return std::unexpected(std::move(bytes.error()));
  auto made = std::make_unique<aloft_result>();
  made->bytes = *std::move(bytes);
  made->reason = call.record.reason.text();
  made->record = std::move(call.record);
  *result = made.release();
  return {};
}

Result<void> run(const Target& target, std::span<const std::byte> arguments,
                 aloft_result** result) {
  BytesCall call(target, arguments);
  // Within a native function, calls stay here, as calls of a guest do.
  if (detail::dispatching()) {
    detail::run(call);
  } else {
    call.run_native();
  }
  return give(call, result);
}

}  // namespace aloft::c_api
