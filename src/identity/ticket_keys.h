// The keys of tickets that a manager has, and how they are replaced without a ticket refused.
//
// A folder has ticket.key, which signs, and besides it the public halves of keys whose tickets are
// good as well: ticket.pub, ticket-next.pub (will sign next), ticket-old.pub (signed until now). A
// handler must know a key before the first ticket is signed with it, and for as long as one may
// live; so replacing it takes three steps, with all managers given the folder's new content and
// restarted after each:
//   1. ticket-next appears: announced by all managers, used by none
//   2. it becomes ticket, and what was ticket becomes ticket-old: announced, used no more
//   3. ticket-old goes, when the last ticket signed with it has expired
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "identity/signing_key.h"
#include <aloft/result.h>

namespace aloft::identity {

struct TicketKeys {
  SigningKey signing;
  std::vector<VerifyingKey> accepted;  // signing's own first; to be told to hosts
};

// ticket.pub need not be there. Errors: those of SigningKey::load and VerifyingKey::load.
[[nodiscard]] Result<TicketKeys> load_ticket_keys(const std::filesystem::path& folder);

// ticket.key and ticket.pub of a new cluster. Errors: refused (there already), internal.
[[nodiscard]] Result<void> create_ticket_keys(const std::filesystem::path& folder);

enum class TicketRotation : std::uint8_t { next_made, next_in_use, old_removed };
// The step that is due. Errors: those of load_ticket_keys; internal.
[[nodiscard]] Result<TicketRotation> rotate_ticket_keys(const std::filesystem::path& folder);

}  // namespace aloft::identity
