// The line between a host's daemon and the Execution Handler of a tenant, in JSON. The daemon
// tells, the handler obeys, and says little in return; what it says is not believed, since its
// guests may have taken it over.
//
//     daemon                              handler
//        Setup    ----------------------->   gets into its sandbox, makes its engines
//                 <-----------------------   Ready, or Failed
//        BelongTo ----------------------->   whose it is; before anything that is a tenant's
//        Trust, Time, Place...  --------->   (state; again to each successor)
//        Serve    ----------------------->   takes connections
//        Trust, Time, Place     --------->   as they change
//                 <-----------------------   CountedCalls: what its calls came to since the last
//        ShowCertificate  ------------->   the data plane's was renewed
//                 <-----------------------   Figures: calls since the last ones, a module each
//                 <-----------------------   HandOver: it is worn out, and ends soon
//                 <-----------------------   WantInference: its line to aloft-infer has ended
//        Inference + socket  ------------>   another one
//        End      ----------------------->   tells its devices to go, and ends
//
// A handler whose daemon is gone ends at once: nobody would tell it whose tickets are good.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <sys/types.h>

#include "host/call_counts.h"
#include "host/call_figures.h"
#include "host/process/message_line.h"
#include "host/process/sandbox.h"
#include "identity/ticket.h"
#include <aloft/result.h>

namespace aloft::host {

// What a handler needs to know before it starts. It is nobody's yet.
struct TenantSetup {
  std::string host{}, boot_id{};
  std::array<std::byte, 32> resume_key{};       // GateOptions
  std::filesystem::path certificate{}, key{};   // of the data plane, PEM
  std::filesystem::path modules{}, compiled{};  // folders that it is shown
  std::filesystem::path root{};                 // SandboxOptions
  std::optional<uid_t> user{};
  Need need = Need::everything;
  int inference_threads = 1;
  int inferences = 2;
  std::uint64_t instance_memory = std::uint64_t{256} << 20U;
  std::uint64_t scratch_bytes = std::uint64_t{1} << 30U;  // models lie there, in memory
  std::uint64_t call_limit_ms = 10'000;
  std::size_t max_sessions = 1024;
  // Where the host has an inference process: how its engine describes itself. The handler waits for
  // a socket to it then (Inference), and makes no engine of its own.
  std::string inference_process{};
};

struct BelongTo {
  std::string tenant;
};
struct TrustKeys {
  std::vector<std::array<std::byte, 32>> keys;  // Ed25519
};
struct TellTime {
  identity::ClusterTime now{};
};
// A placement is expected, or released; in the order in which it happened.
struct Place {
  std::string session;
  std::uint64_t generation = 0;
  bool released = false;
  identity::ClusterTime at{};
  std::string trace{};  // empty: unknown
};
// For connections that come from now on; PEM.
struct ShowCertificate {
  std::string certificate, key;
};
struct Figures {
  CallFigures::Module module;
};
struct Forget {
  identity::ClusterTime before{};
};
struct Serve {};
struct End {};
struct Ready {
  std::vector<std::string> missing;  // of its sandbox
};
struct Failed {
  std::string why;
};
struct HandOver {};
struct WantInference {};
struct Inference {};  // a socket to the inference process comes with it

using TenantMessage = std::variant<TenantSetup, TrustKeys, TellTime, Place, Forget, Serve, End,
                                   Ready, Failed, HandOver, CountedCalls, WantInference, Inference,
                                   ShowCertificate, Figures, BelongTo>;

template <>
struct MessageText<TenantMessage> {
  [[nodiscard]] static std::string encode(const TenantMessage& message);
  [[nodiscard]] static Result<TenantMessage> decode(std::string_view text);
};

using TenantLink = MessageLine<TenantMessage>;

}  // namespace aloft::host
