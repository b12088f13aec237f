// One open of a session, followed from the device through manager and host into the guest: the
// W3C Trace Context (`traceparent`). The device makes it, or the application hands over its own;
// each process that passes it on puts an id of its own step into it and keeps the rest.
//
//     00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//     |  trace id, 16 random bytes          step, 8 bytes    flags
//
// Logs show the trace id. It says nothing of who anybody is, and nothing is decided by it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace aloft::ops {

// The metadata key of gRPC that it goes under.
inline constexpr const char* kTraceparent = "traceparent";

class Trace {
 public:
  // None: unknown; id() is empty.
  Trace() = default;
  // A new one.
  [[nodiscard]] static Trace make();
  // None: it is no traceparent of version 00, or one of only zeroes.
  [[nodiscard]] static std::optional<Trace> parse(std::string_view traceparent);

  // 32 hex digits; empty: unknown.
  [[nodiscard]] const std::string& id() const { return id_; }
  // To be passed on, with a new step each time; empty: unknown.
  [[nodiscard]] std::string next_step() const;

 private:
  std::string id_;
  std::string flags_ = "00";
};

}  // namespace aloft::ops
