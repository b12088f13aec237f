#include "oci/repository.h"

#include <utility>

#include "oci/atomic_file.h"
#include "oci/image_layout.h"
#include "oci/registry.h"

namespace aloft::oci {

Result<void> Repository::fetch_blob(const Digest& digest, Bytes max, const BlobSink& sink) {
  Sha256 hash;
  std::uint64_t size = 0;
  const auto streamed =
      stream_blob(digest, max, [&](std::span<const std::byte> piece) -> Result<void> {
        size += piece.size();
        if (size > max.count()) {
          return fail(Errc::resource_exhausted,
                      "the blob sha256:" + digest.hex() + " in " + name() + " is longer than the " +
                          std::to_string(max.count()) + " bytes that it may have");
        }
        hash.update(piece);
        return sink(piece);
      });
  if (!streamed) return streamed;
  if (hash.finish() != digest) {
    return fail(Errc::corrupt, name() + " has other bytes for sha256:" + digest.hex() +
                                   " than that digest's: they are damaged or forged");
  }
  return {};
}

Result<std::vector<std::byte>> Repository::read_blob(const Digest& digest, Bytes max) {
  std::vector<std::byte> bytes;
  const auto fetched =
      fetch_blob(digest, max, [&](std::span<const std::byte> piece) -> Result<void> {
        bytes.insert(bytes.end(), piece.begin(), piece.end());
        return {};
      });
  if (!fetched) return std::unexpected(fetched.error());
  return bytes;
}

Result<void> Repository::save_blob(const Digest& digest, Bytes max,
                                   const std::filesystem::path& into) {
  auto file = AtomicFile::create(into);
  if (!file) return std::unexpected(file.error());
  const auto fetched =
      fetch_blob(digest, max, [&](std::span<const std::byte> piece) { return file->write(piece); });
  if (!fetched) return fetched;
  return file->commit();
}

Result<std::unique_ptr<Repository>> open_repository(std::string_view location,
                                                    const RegistryOptions& options,
                                                    Missing missing) {
  if (location.starts_with("https://") || location.starts_with("http://")) {
    auto registry = Registry::open(location, options);
    if (!registry) return std::unexpected(registry.error());
    return std::unique_ptr<Repository>(*std::move(registry));
  }
  if (location.find("://") != std::string_view::npos) {
    return fail(Errc::invalid_argument, "no repository: '" + std::string(location) +
                                            "' (a folder, or https://HOST[:PORT]/NAME)");
  }
  if (location.starts_with("oci:")) location.remove_prefix(4);
  if (location.empty()) return fail(Errc::invalid_argument, "the repository's folder has no name");
  auto layout = ImageLayout::open(location, missing);
  if (!layout) return std::unexpected(layout.error());
  return std::unique_ptr<Repository>(*std::move(layout));
}

}  // namespace aloft::oci
