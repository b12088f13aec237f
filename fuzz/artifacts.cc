// Fuzz target: what a module repository says: manifests, challenges, signatures, addresses.
//
// What must hold beyond not crashing: an artifact that was understood has a name that is safe as a
// file's, and no address that was accepted leads into the clear.
#include <string>

#include "identity/base64.h"
#include "input.h"
#include "oci/artifact.h"
#include "oci/http.h"
#include "oci/registry_auth.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aloft::fuzz;
  namespace identity = aloft::identity;
  namespace oci = aloft::oci;
  Input input = std::as_bytes(std::span(data, size));
  const unsigned kind = take_byte(input) % 4;
  const std::string text(reinterpret_cast<const char*>(input.data()), input.size());
  if (kind == 0) {
    auto manifest = oci::parse_manifest(input);
    if (!manifest) return 0;
    require(manifest->digest == aloft::sha256(input), "a manifest's digest is of its bytes");
    const auto artifact = oci::as_artifact(*std::move(manifest));
    if (!artifact) return 0;
    require(oci::is_artifact_name(artifact->name), "a name is safe");
    require(artifact->name.find('/') == std::string::npos, "a name is no path");
  } else if (kind == 1) {
    if (const auto challenge = oci::parse_challenge(text))
      require(!challenge->scheme.empty(), "a challenge has a scheme");
  } else if (kind == 2) {
    if (const auto bytes = identity::from_base64(text))
      require(identity::from_base64(identity::to_base64(*bytes)) == bytes, "base64 comes back");
  } else {
    const auto url = oci::parse_url(text);
    if (url && url->scheme != "https")
      require(url->host.find_first_not_of("0123456789.") == std::string::npos ||
                  url->host == "localhost" || url->host == "[::1]",
              "in clear only to this machine");
    (void)oci::resolve_url("https://registry.example.org/v2/a/", text);
  }
  return 0;
}
