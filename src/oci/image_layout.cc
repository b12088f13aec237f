#include "oci/image_layout.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/atomic_file.h"
#include "oci/json.h"

namespace aloft::oci {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTagAnnotation = "org.opencontainers.image.ref.name";
constexpr Bytes kMaxIndex = 64_MiB;
constexpr std::size_t kMaxTags = 100'000;
constexpr auto kLockLimit = std::chrono::seconds(30);  // a holder needs milliseconds
constexpr auto kPartialAge = std::chrono::hours(24);

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

// A file of the folder, which is no symbolic link and nothing that would block: the folder may have
// been unpacked from somebody's archive.
Result<Fd> open_regular(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      return fail(Errc::not_found, "no file " + path.string());
    if (errno == ELOOP)
      return fail(Errc::refused, path.string() + " is a symbolic link, which is not followed");
    return fail(errno == EACCES ? Errc::refused : Errc::internal,
                "cannot open " + path.string() + ": " + std::strerror(errno));
  }
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return fail(Errc::refused, path.string() + " is no regular file");
  return fd;
}

Result<void> stream_file(const fs::path& path, const BlobSink& sink) {
  const auto fd = open_regular(path);
  if (!fd) return std::unexpected(fd.error());
  std::vector<std::byte> buffer(std::size_t{256} * 1024);
  for (;;) {
    const ssize_t count = ::read(fd->get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return fail(Errc::internal, "cannot read " + path.string() + ": " + std::strerror(errno));
    if (count == 0) return {};
    if (auto taken = sink(std::span(buffer).first(static_cast<std::size_t>(count))); !taken)
      return taken;
  }
}

Result<std::vector<std::byte>> read_whole(const fs::path& path, Bytes max) {
  std::vector<std::byte> bytes;
  const auto read = stream_file(path, [&](std::span<const std::byte> piece) -> Result<void> {
    if (bytes.size() + piece.size() > max.count())
      return fail(Errc::refused, path.string() + " is too large");
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    return {};
  });
  if (!read) return std::unexpected(read.error());
  return bytes;
}

Result<Json> read_index(const fs::path& folder) {
  const fs::path path = folder / "index.json";
  const auto bytes = read_whole(path, kMaxIndex);
  if (!bytes) return std::unexpected(bytes.error());
  auto index = parse_json(*bytes, path.string());
  if (!index) return index;
  const Json* manifests = member(*index, "manifests");
  if (number(*index, "schemaVersion") != 2 || manifests == nullptr || !manifests->is_array())
    return fail(Errc::corrupt, path.string() + " is no OCI image index");
  return index;
}

const std::string* tag_of(const Json& entry) {
  const Json* annotations = member(entry, "annotations");
  return annotations == nullptr ? nullptr : text(*annotations, kTagAnnotation);
}

Result<void> write_file(const fs::path& path, std::span<const std::byte> bytes) {
  auto file = AtomicFile::create(path);
  if (!file) return std::unexpected(file.error());
  if (auto written = file->write(bytes); !written) return written;
  return file->commit();
}

// Of the folder, for as long as it lives. Polled, since a lock that is waited for cannot be given
// up: a holder that is stopped would stop everybody.
Result<Fd> lock(const fs::path& folder) {
  const fs::path path = folder / "index.json.lock";
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (fd.get() < 0) {
    return fail(errno == EACCES || errno == EROFS ? Errc::refused : Errc::internal,
                "cannot write to the repository: " + path.string() + ": " + std::strerror(errno));
  }
  const auto end = std::chrono::steady_clock::now() + kLockLimit;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return fail(Errc::internal, "cannot lock " + path.string() + ": " + std::strerror(errno));
    if (std::chrono::steady_clock::now() > end) {
      return fail(Errc::overloaded, "another process has held " + path.string() +
                                        " for 30 seconds: `fuser` shows which");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return fd;
}

// What writers left behind that were killed.
void remove_old_partials(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!it->path().filename().string().starts_with(kPartialPrefix)) continue;
    std::error_code gone;
    const auto age = fs::file_time_type::clock::now() - it->last_write_time(gone);
    if (!gone && age > kPartialAge) fs::remove(it->path(), gone);
  }
}

Result<void> make_layout(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder / "blobs" / "sha256", error);
  if (error) {
    return fail(error == std::errc::permission_denied ? Errc::refused : Errc::internal,
                "cannot make the folder " + folder.string() + ": " + error.message());
  }
  const auto held = lock(folder);
  if (!held) return std::unexpected(held.error());
  if (!fs::exists(folder / "index.json", error)) {
    const Json index = {{"schemaVersion", 2},
                        {"mediaType", "application/vnd.oci.image.index.v1+json"},
                        {"manifests", Json::array()}};
    if (auto written = write_file(folder / "index.json", json_bytes(index)); !written)
      return written;
  }
  // Last: its being there says that the rest is.
  if (fs::exists(folder / "oci-layout", error)) return {};
  return write_file(folder / "oci-layout", json_bytes({{"imageLayoutVersion", "1.0.0"}}));
}

}  // namespace

Result<std::unique_ptr<ImageLayout>> ImageLayout::open(fs::path folder, Missing missing) {
  std::error_code error;
  folder = fs::absolute(folder, error).lexically_normal();
  if (error) return fail(Errc::internal, "no current folder: " + error.message());
  const bool is_new = !fs::exists(folder / "oci-layout", error);
  if (is_new && missing == Missing::fail) {
    return fail(Errc::not_found, "no repository (OCI image layout) in " + folder.string());
  }
  if (is_new) {
    // A folder of other things is not made a repository by a slip; a layout that is being made by
    // somebody else is recognized by its lock.
    const bool foreign = fs::exists(folder, error) && !fs::is_empty(folder, error) &&
                         !fs::exists(folder / "blobs", error);
    if (foreign || error) {
      return fail(Errc::corrupt,
                  folder.string() + " is not empty and no OCI image layout; name a new folder");
    }
    if (auto made = make_layout(folder); !made) return std::unexpected(made.error());
  }
  const auto bytes = read_whole(folder / "oci-layout", 4_KiB);
  if (!bytes) return std::unexpected(bytes.error());
  const auto json = parse_json(*bytes, (folder / "oci-layout").string());
  if (!json) return std::unexpected(json.error());
  const std::string* version = text(*json, "imageLayoutVersion");
  if (version == nullptr || *version != "1.0.0") {
    return fail(Errc::corrupt,
                folder.string() + " is an OCI image layout of another version than 1.0.0");
  }
  if (missing == Missing::make) {
    fs::create_directories(folder / "blobs" / "sha256", error);
    remove_old_partials(folder);
    remove_old_partials(folder / "blobs" / "sha256");
  }
  return std::unique_ptr<ImageLayout>(new ImageLayout(std::move(folder)));
}

fs::path ImageLayout::blob_path(const Digest& digest) const {
  return folder_ / "blobs" / "sha256" / digest.hex();
}

Result<Manifest> ImageLayout::resolve(const Reference& reference) {
  Digest digest;
  if (reference.digest() != nullptr) {
    digest = *reference.digest();
  } else {
    const auto index = read_index(folder_);
    if (!index) return std::unexpected(index.error());
    const Json& entries = *member(*index, "manifests");
    const auto found = std::ranges::find_if(entries, [&](const Json& entry) {
      const std::string* tag = tag_of(entry);
      return tag != nullptr && *tag == *reference.tag();
    });
    if (found == entries.end())
      return fail(Errc::not_found, "no tag " + *reference.tag() + " in " + name_);
    const std::string* named = text(*found, "digest");
    const auto parsed = Digest::parse(named == nullptr ? "" : *named);
    if (!parsed)
      return fail(Errc::corrupt,
                  "index.json of " + name_ + " has no digest for the tag " + *reference.tag());
    digest = *parsed;
  }
  const auto bytes = read_blob(digest, kMaxManifest);
  if (!bytes) return std::unexpected(bytes.error());
  auto manifest = parse_manifest(*bytes);
  if (!manifest)
    return fail(manifest.error().code,
                reference.text() + " in " + name_ + ": " + manifest.error().message);
  return manifest;
}

Result<std::vector<std::string>> ImageLayout::tags() {
  const auto index = read_index(folder_);
  if (!index) return std::unexpected(index.error());
  std::vector<std::string> tags;
  for (const Json& entry : *member(*index, "manifests")) {
    const std::string* tag = tag_of(entry);
    // Other programs write names there that are no tags, such as a path; those are not for us.
    if (tag == nullptr || !Reference::of_tag(*tag)) continue;
    if (tags.size() == kMaxTags)
      return fail(Errc::resource_exhausted, name_ + " has more than 100,000 tags");
    tags.push_back(*tag);
  }
  std::ranges::sort(tags);
  const auto repeated = std::ranges::unique(tags);
  tags.erase(repeated.begin(), repeated.end());
  return tags;
}

Result<void> ImageLayout::push_blob(const Blob& blob) {
  const fs::path path = blob_path(blob.digest());
  // One that is damaged is replaced: pushing again repairs.
  if (const auto there = open_regular(path); there) {
    Sha256 hash;
    const auto read = stream_file(path, [&](std::span<const std::byte> piece) -> Result<void> {
      hash.update(piece);
      return {};
    });
    if (read && hash.finish() == blob.digest()) return {};
  }
  auto file = AtomicFile::create(path);
  if (!file) return std::unexpected(file.error());
  Sha256 hash;
  std::vector<std::byte> buffer(std::size_t{256} * 1024);
  for (std::uint64_t offset = 0; offset < blob.size();) {
    const auto count = blob.read(offset, buffer);
    if (!count) return std::unexpected(count.error());
    if (*count == 0) break;
    const auto piece = std::span<const std::byte>(buffer).first(*count);
    hash.update(piece);
    if (auto written = file->write(piece); !written) return written;
    offset += *count;
  }
  if (hash.finish() != blob.digest())
    return fail(Errc::corrupt, "the file changed while it was pushed; push it again");
  return file->commit();
}

Result<void> ImageLayout::push_manifest(const Manifest& manifest, std::span<const Reference> tags) {
  const auto check = [&](const Descriptor& part) -> Result<void> {
    std::error_code error;
    if (fs::is_regular_file(blob_path(part.digest), error)) return {};
    return fail(Errc::not_found,
                "the blob sha256:" + part.digest.hex() + " of the manifest is not in " + name_);
  };
  if (auto there = check(manifest.config); !there) return there;
  for (const Descriptor& layer : manifest.layers)
    if (auto there = check(layer); !there) return there;
  if (auto pushed = push_blob(Blob::of(manifest.bytes)); !pushed) return pushed;

  const auto held = lock(folder_);
  if (!held) return std::unexpected(held.error());
  auto index = read_index(folder_);
  if (!index) return std::unexpected(index.error());
  const Json before = *index;
  Json& entries = (*index)["manifests"];
  const std::string digest = "sha256:" + manifest.digest.hex();
  Json entry = {{"mediaType", kManifestType}, {"digest", digest}, {"size", manifest.bytes.size()}};
  if (!manifest.artifact_type.empty()) entry["artifactType"] = manifest.artifact_type;
  for (const Reference& tag : tags) {
    entry["annotations"] = {{kTagAnnotation, tag.text()}};
    const auto found = std::ranges::find_if(entries, [&](const Json& other) {
      const std::string* name = tag_of(other);
      return name != nullptr && *name == tag.text();
    });
    if (found == entries.end()) {
      entries.push_back(entry);
    } else if (const std::string* other = text(*found, "digest");
               other == nullptr || *other != digest) {
      *found = entry;
    }
  }
  const bool listed = std::ranges::any_of(entries, [&](const Json& other) {
    const std::string* name = text(other, "digest");
    return name != nullptr && *name == digest;
  });
  if (!listed) entries.push_back(entry);
  if (*index == before) return {};
  const auto bytes = json_bytes(*index);
  if (bytes.size() > kMaxIndex.count())
    return fail(Errc::resource_exhausted, "index.json of " + name_ + " would exceed 64 MiB");
  return write_file(folder_ / "index.json", bytes);
}

Result<void> ImageLayout::stream_blob(const Digest& digest, Bytes /*max*/, const BlobSink& sink) {
  auto streamed = stream_file(blob_path(digest), sink);
  if (!streamed && streamed.error().code == Errc::not_found)
    return fail(Errc::not_found, "no blob sha256:" + digest.hex() + " in " + name_);
  return streamed;
}

}  // namespace aloft::oci
