#include "oci/atomic_file.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aloft::oci {
namespace {

std::unexpected<Error> failed(const std::filesystem::path& path, int error) {
  Errc code = Errc::internal;
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: code = Errc::resource_exhausted; break;
    case ENOENT:
    case ENOTDIR: code = Errc::not_found; break;
    case EACCES:
    case EPERM:
    case EROFS: code = Errc::refused; break;
    default: break;
  }
  return fail(code, "cannot write " + path.string() + ": " + std::strerror(error));
}

}  // namespace

Result<AtomicFile> AtomicFile::create(std::filesystem::path path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  std::string partial = (folder / (std::string(kPartialPrefix) + "XXXXXX")).string();
  const int fd = ::mkostemp(partial.data(), O_CLOEXEC);
  if (fd < 0) return failed(path, errno);
  AtomicFile file(fd, std::move(path), std::move(partial));
  // Nothing in a repository is secret in itself; a folder that is says so by its own permissions.
  if (::fchmod(fd, 0644) != 0) return failed(file.path_, errno);
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      partial_(std::move(other.partial_)) {}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(partial_.c_str());
}

Result<void> AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> AtomicFile::commit() {
  if (::fsync(fd_) != 0) return failed(path_, errno);
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) return failed(path_, errno);
  ::close(std::exchange(fd_, -1));
  // The name itself must outlive a loss of power, too.
  const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return failed(path_, errno);
  const int error = ::fsync(directory) == 0 ? 0 : errno;
  ::close(directory);
  if (error != 0 && error != EINVAL) return failed(path_, error);  // EINVAL: it has no such thing
  return {};
}

}  // namespace aloft::oci
