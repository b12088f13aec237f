#include "oci/blob.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aloft::oci {

struct Blob::File {
  int fd;
  std::string name;
  File(int descriptor, std::string path) : fd(descriptor), name(std::move(path)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(fd); }
};

Blob Blob::of(std::vector<std::byte> bytes) {
  Blob blob;
  blob.digest_ = sha256(bytes);
  blob.size_ = bytes.size();
  blob.memory_ = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  return blob;
}

Result<Blob> Blob::open(const std::filesystem::path& file) {
  // Not blocking: what is no regular file, such as a pipe, must not hold us up before that is seen.
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return fail(Errc::not_found, "cannot open " + file.string() + ": " + std::strerror(errno));
  Blob blob;
  blob.file_ = std::make_shared<const File>(fd, file.string());
  struct stat status{};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
    return fail(Errc::refused, file.string() + " is no regular file");
  blob.size_ = static_cast<std::uint64_t>(status.st_size);
  Sha256 hash;
  std::vector<std::byte> buffer(std::size_t{256} * 1024);
  for (std::uint64_t offset = 0; offset < blob.size_;) {
    const auto count = blob.read(offset, buffer);
    if (!count) return std::unexpected(count.error());
    if (*count == 0) return fail(Errc::internal, file.string() + " was cut while it was read");
    hash.update(std::span(buffer).first(*count));
    offset += *count;
  }
  blob.digest_ = hash.finish();
  return blob;
}

Result<std::size_t> Blob::read(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset >= size_) return 0;
  into = into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size_ - offset)));
  if (memory_) {
    std::memcpy(into.data(), memory_->data() + offset, into.size());
    return into.size();
  }
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t count = ::pread(file_->fd, into.data() + done, into.size() - done,
                                  static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return fail(Errc::internal, "cannot read " + file_->name + ": " + std::strerror(errno));
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

}  // namespace aloft::oci
