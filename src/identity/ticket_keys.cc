#include "identity/ticket_keys.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "identity/key_file.h"

namespace aloft::identity {
namespace {

namespace fs = std::filesystem;

bool there(const fs::path& file) {
  std::error_code error;
  return fs::exists(file, error);
}

Result<void> move_file(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (!error) return {};
  return fail(Errc::internal, "cannot rename " + from.string() + " to " + to.filename().string() +
                                  ": " + error.message());
}

Result<void> create(const fs::path& folder, const char* secret, const char* open) {
  const SigningKey key = SigningKey::generate();
  if (auto saved = key.save(folder / secret); !saved) return saved;
  return write_key_file(folder / open, key.verifying().to_pem(), Secrecy::open);
}

}  // namespace

Result<TicketKeys> load_ticket_keys(const fs::path& folder) {
  auto signing = SigningKey::load(folder / "ticket.key");
  if (!signing) return std::unexpected(std::move(signing).error());
  TicketKeys keys{*std::move(signing), {}};
  keys.accepted.push_back(keys.signing.verifying());
  for (const char* const name : {"ticket.pub", "ticket-next.pub", "ticket-old.pub"}) {
    const fs::path file = folder / name;
    if (!there(file)) continue;
    auto key = VerifyingKey::load(file);
    if (!key) return std::unexpected(std::move(key).error());
    if (std::ranges::find(keys.accepted, *key) == keys.accepted.end())
      keys.accepted.push_back(*std::move(key));
  }
  return keys;
}

Result<void> create_ticket_keys(const fs::path& folder) {
  return create(folder, "ticket.key", "ticket.pub");
}

// Each step leaves, wherever it is cut off, a folder whose signing key is among those announced,
// and of which the step can be made again.
Result<TicketRotation> rotate_ticket_keys(const fs::path& folder) {
  auto keys = load_ticket_keys(folder);
  if (!keys) return std::unexpected(std::move(keys).error());
  const fs::path next_key = folder / "ticket-next.key";
  const fs::path next_pub = folder / "ticket-next.pub";
  const fs::path old_pub = folder / "ticket-old.pub";
  if (there(next_key)) {
    auto next = SigningKey::load(next_key);
    if (!next) return std::unexpected(std::move(next).error());
    if (!there(next_pub)) {
      // The first step was cut off between its two files.
      if (auto written = write_key_file(next_pub, next->verifying().to_pem(), Secrecy::open);
          !written)
        return std::unexpected(std::move(written).error());
      return TicketRotation::next_made;
    }
    if (auto written = write_key_file(old_pub, keys->signing.verifying().to_pem(), Secrecy::open,
                                      Existing::replace);
        !written)
      return std::unexpected(std::move(written).error());
    if (auto renamed = move_file(next_key, folder / "ticket.key"); !renamed)
      return std::unexpected(std::move(renamed).error());
    if (auto renamed = move_file(next_pub, folder / "ticket.pub"); !renamed)
      return std::unexpected(std::move(renamed).error());
    return TicketRotation::next_in_use;
  }
  if (there(next_pub)) {
    // The second step was cut off between its two renames.
    if (auto renamed = move_file(next_pub, folder / "ticket.pub"); !renamed)
      return std::unexpected(std::move(renamed).error());
    return TicketRotation::next_in_use;
  }
  if (there(old_pub)) {
    std::error_code error;
    fs::remove(old_pub, error);
    if (error)
      return fail(Errc::internal, "cannot remove " + old_pub.string() + ": " + error.message());
    return TicketRotation::old_removed;
  }
  if (auto made = create(folder, "ticket-next.key", "ticket-next.pub"); !made)
    return std::unexpected(std::move(made).error());
  return TicketRotation::next_made;
}

}  // namespace aloft::identity
