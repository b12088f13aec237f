#include "identity/key_file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aloft::identity {
namespace {

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool close() { return ::close(std::exchange(descriptor_, -1)) == 0; }

 private:
  int descriptor_;
};

std::string reason() { return std::strerror(errno); }

Result<void> check_secret(const std::filesystem::path& file, const struct stat& status) {
  const mode_t others = status.st_mode & mode_t{S_IRWXO | S_IWGRP | S_IXGRP};
  const bool group = (status.st_mode & S_IRGRP) != 0 && status.st_uid != 0;
  if (others == 0 && !group) return {};
  return fail(Errc::refused, file.string() + " is secret, and others may read or write it; do: " +
                                 "chmod 600 " + file.string());
}

bool write_whole(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t count = ::write(descriptor, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

Result<void> cannot_write(const std::filesystem::path& file) {
  return fail(Errc::internal, "cannot write " + file.string() + ": " + reason());
}

}  // namespace

Result<std::string> read_key_file(const std::filesystem::path& file, Secrecy secrecy) {
  // Not to wait for a writer where somebody has put a pipe there.
  const File opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (opened.get() < 0)
    return fail(Errc::not_found, "cannot open " + file.string() + ": " + reason());
  struct stat status{};
  if (::fstat(opened.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return fail(Errc::corrupt, file.string() + " is no file");
  if (secrecy == Secrecy::secret) {
    if (auto checked = check_secret(file, status); !checked)
      return std::unexpected(std::move(checked).error());
  }
  std::string content;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = ::read(opened.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(Errc::corrupt, "cannot read " + file.string() + ": " + reason());
    if (count == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(count));
    if (content.size() > kMaxKeyFile)
      return fail(Errc::corrupt, file.string() + " is larger than 1 MiB: no file of keys");
  }
}

Result<void> write_key_file(const std::filesystem::path& file, std::string_view content,
                            Secrecy secrecy, Existing existing) {
  // Written under another name first, so that nobody ever reads half of it. The name is random
  // (mkostemp makes it 0600), and the link to the real one fails where that is taken.
  std::string temporary = file.string() + ".XXXXXX";
  File opened(::mkostemp(temporary.data(), O_CLOEXEC));
  if (opened.get() < 0) return cannot_write(file);
  const auto undo = [&](Result<void> error) {
    ::unlink(temporary.c_str());
    return error;
  };
  if (!write_whole(opened.get(), content)) return undo(cannot_write(file));
  if (secrecy == Secrecy::open && ::fchmod(opened.get(), 0644) != 0)
    return undo(cannot_write(file));
  if (::fsync(opened.get()) != 0 || !opened.close()) return undo(cannot_write(file));
  if (existing == Existing::replace) {
    if (::rename(temporary.c_str(), file.c_str()) != 0) return undo(cannot_write(file));
  } else {
    if (::link(temporary.c_str(), file.c_str()) != 0) {
      if (errno != EEXIST) return undo(cannot_write(file));
      return undo(fail(Errc::refused, file.string() + " is there already and is not written over"));
    }
    ::unlink(temporary.c_str());
  }
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const File directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) return cannot_write(file);
  return {};
}

}  // namespace aloft::identity
