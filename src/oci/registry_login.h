// A user and password for a registry, from the file in which docker, podman and skopeo keep them
// (~/.docker/config.json, auth.json; `skopeo login --authfile FILE HOST` writes one):
//   {"auths": {"registry.example.org:5000": {"auth": "BASE64 OF USER:PASSWORD"}}}
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <aloft/result.h>

namespace aloft::oci {

struct RegistryLogin {
  std::string user, password;
};

// For the registry of a repository's location; empty where the file has nothing for it. Errors:
// not_found, corrupt, refused (others may read the file); they name the file.
[[nodiscard]] Result<RegistryLogin> find_login(const std::filesystem::path& file,
                                               std::string_view location);

}  // namespace aloft::oci
