// Who gets in at an Execution Handler of a cluster: devices with a ticket for it, or with the
// resumption secret that they were given when they came with one.
//
//   device                                       Execution Handler
//     TLS 1.3, showing a certificate  -------->   digest of its key
//     hello {role, ticket}            -------->   signature, host, process, tenant, key, expiry,
//                                                 generation: offline, nothing is asked of anybody
//     hello {.., resume_secret}       <--------
//        ... the link is lost ...
//     hello {role, resume: {session, secret}} ->  the same but for signature and expiry
//
// A ticket's expiry counts when a session is opened and at no other time, so that sessions go on
// and come back while every manager is dead. The secret holds what the ticket said, under a keyed
// digest (HMAC-SHA-256) that covers the device's key, too: nothing about it has to be remembered,
// and whoever steals it has nothing without the device's private key. The key of the digest is made
// by the host's daemon for all that run in this place one after the other (boot id), so that a
// process that replaces a crashed one takes the secrets of the first.
//
//     +----------------+---------+------------------------------------------------------------+
//     | 32: HMAC       | 1: 0x01 | generation, issued, memory: u64 | count u8 | 32 each: modules |
//     +----------------+---------+------------------------------------------------------------+
//     over "aloft resume" 00, device's key (32), session's length u8, session, and all after the
//     HMAC
//
// Time is the cluster's (identity::ClusterTime) as told last, and CLOCK_BOOTTIME since: setting the
// wall's clock does nothing.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "host/placements.h"
#include "host/session_rights.h"
#include "identity/signing_key.h"
#include "identity/ticket.h"
#include <aloft/result.h>

namespace aloft::host {

// Cluster time at a place that hears of it now and then. Thread rule: one thread at a time.
class ClusterTimeHere {
 public:
  // `since_boot` gives CLOCK_BOOTTIME's time.
  using BootClock = std::function<std::chrono::milliseconds()>;
  explicit ClusterTimeHere(BootClock since_boot);
  // Never goes back: what would be earlier than now() is ignored.
  void hear(identity::ClusterTime time);
  // None before the first hear().
  [[nodiscard]] std::optional<identity::ClusterTime> now() const;

 private:
  BootClock since_boot_;
  std::optional<identity::ClusterTime> heard_;
  std::chrono::milliseconds at_{};
};
[[nodiscard]] std::chrono::milliseconds time_since_boot();

struct GateOptions {
  std::string tenant{};  // empty: nobody gets in before belong_to()
  std::string host;
  std::string boot_id;
  std::array<std::byte, 32> resume_key{};
  ClusterTimeHere::BootClock since_boot = time_since_boot;
};

// Thread rule: any thread.
class Gate {
 public:
  explicit Gate(GateOptions options);

  // --- what the cluster says -----------------------------------------------------------
  // Whose place this is; once.
  void belong_to(std::string tenant);
  // The keys whose tickets are good.
  void trust(std::vector<identity::VerifyingKey> keys);
  void hear_time(identity::ClusterTime now);
  void expect(std::string_view session, std::uint64_t generation, std::string_view trace = {});
  void release(std::string_view session, std::uint64_t generation, identity::ClusterTime at);
  void forget_before(identity::ClusterTime time);

  // --- who comes -----------------------------------------------------------------------
  struct Admission {
    SessionRights rights;
    std::vector<std::byte> resume_secret;
  };
  // By what it showed: `hello` is its whole map; `key` that of PeerInfo. Errors: refused, saying
  // why, for good; protocol (neither ticket nor secret can be read); unreachable (nobody has told
  // the time yet: later).
  [[nodiscard]] Result<Admission> admit(std::span<const std::byte> hello,
                                        const std::optional<Digest>& key);

  [[nodiscard]] const std::string& boot_id() const { return options_.boot_id; }

 private:
  [[nodiscard]] Result<SessionRights> by_ticket(std::span<const std::byte> ticket,
                                                const Digest& key, identity::ClusterTime& issued);
  [[nodiscard]] Result<SessionRights> by_secret(std::span<const std::byte> resume,
                                                const Digest& key, identity::ClusterTime& issued);
  [[nodiscard]] std::vector<std::byte> secret_of(const SessionRights& rights, const Digest& key,
                                                 identity::ClusterTime issued) const;
  [[nodiscard]] std::array<std::byte, 32> mac(std::string_view session, const Digest& key,
                                              std::span<const std::byte> content) const;

  const GateOptions options_;
  std::mutex mutex_;
  std::string tenant_;
  std::vector<identity::VerifyingKey> keys_;
  ClusterTimeHere time_;
  Placements placements_;
  std::map<std::string, std::weak_ptr<EndMemory>, std::less<>> ends_;  // by session
};

}  // namespace aloft::host
