#include "oci/registry_login.h"

#include <span>

#include "identity/base64.h"
#include "identity/key_file.h"
#include "oci/http.h"
#include "oci/json.h"

namespace aloft::oci {

Result<RegistryLogin> find_login(const std::filesystem::path& file, std::string_view location) {
  const auto url = parse_url(location);
  if (!url) return RegistryLogin{};  // a folder
  const auto content = identity::read_key_file(file, identity::Secrecy::secret);
  if (!content) return std::unexpected(content.error());
  const auto json = parse_json(std::as_bytes(std::span(*content)), file.string());
  if (!json) return std::unexpected(json.error());
  const Json* auths = member(*json, "auths");
  if (auths == nullptr) return RegistryLogin{};
  const std::string with_port = url->host + ":" + url->port;
  for (const std::string& key :
       {with_port, url->host, "https://" + with_port, "https://" + url->host}) {
    const Json* entry = member(*auths, key.c_str());
    if (entry == nullptr) continue;
    const std::string* encoded = text(*entry, "auth");
    const auto decoded = encoded == nullptr ? std::nullopt : identity::from_base64(*encoded);
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
