// Files of keys and certificates: small, and private where they are secret.
//
// A secret file is refused when anybody but its owner may read it. One exception: its group may
// where root owns the file, since that is how Kubernetes and systemd hand secrets to a service.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <aloft/result.h>

namespace aloft::identity {

inline constexpr std::size_t kMaxKeyFile = std::size_t{1} << 20U;  // bytes

enum class Secrecy : std::uint8_t { open, secret };
enum class Existing : std::uint8_t { refuse, replace };

// A whole file. Errors: not_found, refused (secret, and others may read it), corrupt (larger than
// kMaxKeyFile, or no file); they name the file.
[[nodiscard]] Result<std::string> read_key_file(const std::filesystem::path& file, Secrecy secrecy);

// All of it or nothing, and on the disk when this returns; with permissions 0600 or 0644 from its
// first moment on. Errors: refused (there already), internal; they name the file.
[[nodiscard]] Result<void> write_key_file(const std::filesystem::path& file,
                                          std::string_view content, Secrecy secrecy,
                                          Existing existing = Existing::refuse);

}  // namespace aloft::identity
