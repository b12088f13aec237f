#include "runtime/artifact_cache.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aloft::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kTagBytes = 32;

std::string text(std::string_view what, const fs::path& path) {
  return std::string(what) + " " + path.string() + ": " + std::strerror(errno);
}

std::optional<std::vector<std::byte>> read_whole(const fs::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return std::nullopt;
  std::vector<std::byte> bytes(static_cast<std::size_t>(file.tellg()));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file) return std::nullopt;
  return bytes;
}

// Writes a file that only its owner can read, under a name of its own; false when that fails.
bool write_private(const fs::path& path, std::initializer_list<std::span<const std::byte>> parts) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return false;
  bool written = true;
  for (std::span<const std::byte> part : parts) {
    while (written && !part.empty()) {
      const ssize_t count = ::write(file, part.data(), part.size());
      written = count > 0;
      if (written) part = part.subspan(static_cast<std::size_t>(count));
    }
  }
  return ::close(file) == 0 && written;
}

std::string unique_suffix() {
  return ".tmp" + std::to_string(::getpid()) + "-" + std::to_string(::gettid());
}

// The folder's key. Two processes may start at once: link(2) lets exactly one key win, and both use
// that one.
std::optional<std::vector<std::byte>> own_key(const fs::path& folder) {
  const fs::path path = folder / "key";
  if (auto key = read_whole(path); key && key->size() == kKeyBytes) return key;
  std::vector<std::byte> fresh(kKeyBytes);
  if (RAND_bytes(reinterpret_cast<unsigned char*>(fresh.data()), kKeyBytes) != 1)
    return std::nullopt;
  const fs::path candidate = path.string() + unique_suffix();
  std::error_code ignored;
  if (write_private(candidate, {fresh})) static_cast<void>(::link(candidate.c_str(), path.c_str()));
  fs::remove(candidate, ignored);
  auto key = read_whole(path);
  if (!key || key->size() != kKeyBytes) return std::nullopt;
  return key;
}

std::array<std::byte, kTagBytes> tag_of(std::span<const std::byte> key, const std::string& name,
                                        std::span<const std::byte> artifact) {
  std::array<std::byte, kTagBytes> tag{};
  unsigned length = 0;
  // The name is part of what is signed, so that one entry cannot stand in for another.
  std::vector<std::byte> inner(kTagBytes);
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(artifact.data()), artifact.size(),
       reinterpret_cast<unsigned char*>(inner.data()), &length);
  const auto name_bytes = std::as_bytes(std::span(name));
  inner.insert(inner.end(), name_bytes.begin(), name_bytes.end());
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(inner.data()), inner.size(),
       reinterpret_cast<unsigned char*>(tag.data()), &length);
  return tag;
}

}  // namespace

Result<ArtifactCache> ArtifactCache::open(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder.parent_path(), error);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(Errc::internal, text("cannot make the cache folder", folder));
  }
  struct stat status{};
  if (::stat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    return fail(Errc::internal, text("cannot use the cache folder", folder));
  }
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(
        Errc::refused,
        "the cache folder " + folder.string() +
            " belongs to or can be written by other users: what lies there would be run; chmod 700 "
            "it, or name another");
  }
  auto key = own_key(folder);
  if (!key)
    return fail(Errc::internal, text("cannot read or make a key in the cache folder", folder));
  return ArtifactCache(folder, std::move(*key));
}

Result<ArtifactCache> ArtifactCache::open_read_only(const fs::path& folder) {
  for (const fs::path& path : {folder, folder / "key"}) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return fail(Errc::internal, text("cannot use", path));
    if ((status.st_uid != 0 && status.st_uid != ::geteuid()) ||
        (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
      return fail(Errc::refused,
                  path.string() + " may be written by other users: what lies there would be run");
    }
  }
  auto key = read_whole(folder / "key");
  if (!key || key->size() != kKeyBytes)
    return fail(Errc::internal, "cannot read the key in the cache folder " + folder.string());
  ArtifactCache cache(folder, std::move(*key));
  cache.stores_ = false;
  return cache;
}

std::optional<std::vector<std::byte>> ArtifactCache::load(const std::string& name) const {
  auto file = read_whole(folder_ / name);
  if (!file || file->size() < kTagBytes) return std::nullopt;
  const std::span<const std::byte> artifact = std::span(*file).subspan(kTagBytes);
  const auto expected = tag_of(key_, name, artifact);
  if (CRYPTO_memcmp(expected.data(), file->data(), kTagBytes) != 0) return std::nullopt;
  return std::vector<std::byte>(artifact.begin(), artifact.end());
}

void ArtifactCache::store(const std::string& name, std::span<const std::byte> artifact) const {
  if (!stores_) return;
  const fs::path path = folder_ / name;
  const fs::path fresh = path.string() + unique_suffix();
  const auto tag = tag_of(key_, name, artifact);
  std::error_code ignored;
  if (write_private(fresh, {tag, artifact})) fs::rename(fresh, path, ignored);
  fs::remove(fresh, ignored);
}

}  // namespace aloft::runtime
