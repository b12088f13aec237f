#include "runtime/wasi_streams.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "runtime/wasi.h"

namespace aloft::runtime {
namespace {

constexpr std::uint32_t kStandardInput = 0;
constexpr std::uint32_t kStandardOutput = 1;
constexpr std::uint32_t kStandardError = 2;
constexpr std::uint32_t kMaxPieces = 1024;
// What is written between two looks at whether the call must stop.
constexpr std::size_t kSlice = 65536;

constexpr std::byte kCharacterDevice{2};
constexpr std::uint64_t kRightToRead = 1U << 1U;
constexpr std::uint64_t kRightToWrite = 1U << 6U;

}  // namespace

HostResult wasi_fd_write(GuestContext& instance, std::span<const HostArgument> arguments) {
  const std::uint32_t descriptor = unsigned_argument(arguments[0]);
  if (descriptor != kStandardOutput && descriptor != kStandardError) return kWasiBadDescriptor;
  const std::uint32_t count = unsigned_argument(arguments[2]);
  if (count > kMaxPieces) return kWasiInvalid;
  const std::uint32_t pieces = unsigned_argument(arguments[1]);
  if (!instance.slice(pieces, std::uint64_t{count} * 8)) return kWasiFault;
  GuestOutput& output = descriptor == kStandardOutput ? instance.output : instance.error_output;
  // The pieces may all be the whole memory: what they say is more than a guest can have.
  std::uint64_t written = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto address = instance.read_u32(pieces + i * 8);
    const auto size = instance.read_u32(pieces + i * 8 + 4);
    if (!address || !size) return kWasiFault;
    auto text = instance.slice(*address, *size);
    if (!text) return kWasiFault;
    written += *size;
    if (written > std::numeric_limits<std::uint32_t>::max()) return kWasiInvalid;
    while (!text->empty()) {
      const auto now = text->first(std::min(text->size(), kSlice));
      output.write({reinterpret_cast<const char*>(now.data()), now.size()});
      *text = text->subspan(now.size());
      if (const auto reason = instance.must_stop()) return std::unexpected(*reason);
    }
  }
  return instance.write_u32(unsigned_argument(arguments[3]), static_cast<std::uint32_t>(written))
             ? kWasiSuccess
             : kWasiFault;
}

HostResult wasi_fd_read(GuestContext& instance, std::span<const HostArgument> arguments) {
  if (unsigned_argument(arguments[0]) != kStandardInput) return kWasiBadDescriptor;
  return instance.write_u32(unsigned_argument(arguments[3]), 0) ? kWasiSuccess : kWasiFault;
}

// The status, 24 bytes: file type u8 at 0, flags u16 at 2, rights u64 at 8 and 16.
HostResult wasi_fd_fdstat_get(GuestContext& instance, std::span<const HostArgument> arguments) {
  const std::uint32_t descriptor = unsigned_argument(arguments[0]);
  if (descriptor >= kWasiStreams) return kWasiBadDescriptor;
  const auto status = instance.slice(unsigned_argument(arguments[1]), 24);
  if (!status) return kWasiFault;
  std::ranges::fill(*status, std::byte{0});
  (*status)[0] = kCharacterDevice;
  const std::uint64_t rights = descriptor == kStandardInput ? kRightToRead : kRightToWrite;
  std::memcpy(status->data() + 8, &rights, sizeof rights);
  return kWasiSuccess;
}

// The status, 64 bytes, all zero but for the file type u8 at 16.
HostResult wasi_fd_filestat_get(GuestContext& instance, std::span<const HostArgument> arguments) {
  if (unsigned_argument(arguments[0]) >= kWasiStreams) return kWasiBadDescriptor;
  const auto status = instance.slice(unsigned_argument(arguments[1]), 64);
  if (!status) return kWasiFault;
  std::ranges::fill(*status, std::byte{0});
  (*status)[16] = kCharacterDevice;
  return kWasiSuccess;
}

HostResult wasi_fd_close(GuestContext& /*instance*/, std::span<const HostArgument> arguments) {
  return unsigned_argument(arguments[0]) < kWasiStreams ? kWasiSuccess : kWasiBadDescriptor;
}

HostResult wasi_fd_seek(GuestContext& /*instance*/, std::span<const HostArgument> arguments) {
  return unsigned_argument(arguments[0]) < kWasiStreams ? kWasiNotSeekable : kWasiBadDescriptor;
}

}  // namespace aloft::runtime
