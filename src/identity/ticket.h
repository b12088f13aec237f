// A ticket: what a manager lets one device do at one host, for a short time, signed (Ed25519).
//
// An Execution Handler checks it by itself, with no look at anything outside of its process, before
// it spends anything on a connection; so sessions go on while every manager is dead. It is of use
// only to whoever has the device's private key (the key of its certificate on the data plane), only
// at the one process that it was made for (handler boot id), and only until it expires. Expiry is
// in cluster time (ClusterTime), which does not step when a clock on the wall is set.
//
// Bytes: see docs/wire.md, "Tickets".
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "identity/signing_key.h"
#include <aloft/result.h>

namespace aloft::identity {

// Time of a cluster: milliseconds since it was made, as its managers agree.
using ClusterTime = std::chrono::duration<std::int64_t, std::milli>;

struct TicketLimits {
  std::uint64_t memory_bytes = 0;  // of all guest instances together
  std::uint32_t cpu_millicores = 0;
  std::uint32_t gpus = 0;

  [[nodiscard]] bool operator==(const TicketLimits&) const = default;
};

struct Ticket {
  std::string tenant;
  std::string session;
  std::uint64_t generation = 0;  // of the session's placement; a lower one is stale
  std::vector<Digest> modules;   // that may be opened
  Digest client_key;             // SHA-256 of the device's SubjectPublicKeyInfo
  std::string host;              // host id
  std::string handler_boot;      // of the one process it is for
  ClusterTime issued{};
  ClusterTime expires{};
  TicketLimits limits;

  [[nodiscard]] bool operator==(const Ticket&) const = default;
};

// With all that may be in it a ticket fits into the payload of a HELLO.
inline constexpr std::size_t kMaxTicketBytes = 3072;
inline constexpr std::size_t kMaxTicketModules = 64;
inline constexpr std::size_t kMaxTicketName = 128;  // bytes of each of its texts
// A manager whose idea of cluster time is ahead of the host's by less than this does no harm.
inline constexpr ClusterTime kTicketTolerance{2'000};
inline constexpr ClusterTime kMaxTicketLifetime{std::chrono::hours{1}};

// Errors: invalid_argument: a text that is empty, longer than kMaxTicketName or not of printable
// ASCII without spaces; too many modules; a lifetime that is none, or above kMaxTicketLifetime.
[[nodiscard]] Result<std::vector<std::byte>> seal(const Ticket& ticket, const SigningKey& key);

// What a handler knows of itself and of the connection.
struct TicketCheck {
  std::span<const VerifyingKey> keys;  // of the managers, any of them
  std::string_view host;
  std::string_view handler_boot;
  std::string_view tenant;
  Digest client_key;  // of the key that the peer proved to have
  ClusterTime now{};
};

// Errors, all of code `refused` but the first: corrupt (not a ticket); a signature of no known key,
// expired, not yet issued (by more than kTicketTolerance), for another host, process, tenant or
// key. Each message says which. Nothing of a ticket is looked at before its signature was found
// good.
[[nodiscard]] Result<Ticket> open(std::span<const std::byte> sealed, const TicketCheck& check);

}  // namespace aloft::identity
