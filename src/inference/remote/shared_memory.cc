#include "inference/remote/shared_memory.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aloft::inference {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

std::unexpected<Error> cannot(const char* what) {
  const bool full = errno == ENOMEM || errno == ENOSPC || errno == EMFILE || errno == ENFILE;
  return fail(full ? Errc::resource_exhausted : Errc::internal,
              std::string("cannot ") + what + " shared memory: " + std::strerror(errno));
}

}  // namespace

Result<SharedMemory> SharedMemory::make(std::uint64_t bytes) {
  SharedMemory made;
  made.descriptor_ =
      wire::Descriptor(::memfd_create("aloft-tensors", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!made.descriptor_) return cannot("make");
  if (::ftruncate(made.descriptor_.get(), static_cast<off_t>(bytes)) != 0) return cannot("size");
  if (::fcntl(made.descriptor_.get(), F_ADD_SEALS, kSeals) != 0) return cannot("seal");
  if (auto mapped = made.map(bytes); !mapped) return std::unexpected(mapped.error());
  return made;
}

Result<SharedMemory> SharedMemory::open(wire::Descriptor descriptor, std::uint64_t bytes) {
  if (!descriptor) return fail(Errc::protocol, "shared memory without a descriptor");
  struct stat status{};
  if (::fstat(descriptor.get(), &status) != 0 || status.st_size < 0 ||
      static_cast<std::uint64_t>(status.st_size) != bytes) {
    return fail(Errc::protocol, "shared memory of another size than was said");
  }
  const int seals = ::fcntl(descriptor.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals)
    return fail(Errc::protocol, "shared memory whose size is not sealed");
  SharedMemory opened;
  opened.descriptor_ = std::move(descriptor);
  if (auto mapped = opened.map(bytes); !mapped) return std::unexpected(mapped.error());
  return opened;
}

Result<void> SharedMemory::map(std::uint64_t bytes) {
  void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.get(), 0);
  if (at == MAP_FAILED) return cannot("map");
  bytes_ = {static_cast<std::byte*>(at), static_cast<std::size_t>(bytes)};
  return {};
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : descriptor_(std::move(other.descriptor_)), bytes_(std::exchange(other.bytes_, {})) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

std::span<std::byte> SharedMemory::part(std::uint64_t offset, std::uint64_t size) const {
  if (offset > bytes_.size() || size > bytes_.size() - offset) return {};
  return bytes_.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
}

}  // namespace aloft::inference
