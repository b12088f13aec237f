#include "oci/registry_login.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/base64.h"
#include "oci/http.h"
#include "oci/json.h"

namespace aloft::oci {

Result<RegistryLogin> find_login(const std::filesystem::path& file, std::string_view location) {
  const auto url = parse_url(location);
  if (!url) return RegistryLogin{};  // a folder
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0)
    return fail(Errc::not_found, "cannot open " + file.string() + ": " + std::strerror(errno));
  if ((status.st_mode & 077) != 0) {
    return fail(Errc::refused, "others may read the passwords in " + file.string() +
                                   ": chmod 600 " + file.string());
  }
  const auto blob = Blob::open(file);
  if (!blob) return std::unexpected(blob.error());
  if (blob->size() > (1U << 20)) return fail(Errc::corrupt, file.string() + " is too large");
  std::vector<std::byte> bytes(blob->size());
  if (const auto read = blob->read(0, bytes); !read) return std::unexpected(read.error());
  const auto json = parse_json(bytes, file.string());
  if (!json) return std::unexpected(json.error());
  const Json* auths = member(*json, "auths");
  if (auths == nullptr) return RegistryLogin{};
  const std::string with_port = url->host + ":" + url->port;
  for (const std::string& key :
       {with_port, url->host, "https://" + with_port, "https://" + url->host}) {
    const Json* entry = member(*auths, key.c_str());
    if (entry == nullptr) continue;
    const std::string* encoded = text(*entry, "auth");
    const auto decoded = encoded == nullptr ? std::nullopt : from_base64(*encoded);
    if (!decoded) {
      return fail(Errc::corrupt, file.string() + " has no usable \"auth\" for " + key +
                                     " (credential helpers are not used)");
    }
    const std::string both(reinterpret_cast<const char*>(decoded->data()), decoded->size());
    const auto colon = both.find(':');
    if (colon == std::string::npos)
      return fail(Errc::corrupt, file.string() + ": \"auth\" of " + key + " has no ':' in it");
    return RegistryLogin{both.substr(0, colon), both.substr(colon + 1)};
  }
  return RegistryLogin{};
}

}  // namespace aloft::oci
