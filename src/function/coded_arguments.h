// Arguments of a call whose pictures go encoded, and how an edge makes the arguments of them.
//
//   arguments   [ head | ...  | pixels of a picture  | ... | pixels of another one | ... ]
//   body        [ head | ...  | JPEG | ...  | JPEG | ... ]
//
// Where the pixels were, and what they are, the head of the Call says (Call::pictures): what the
// host believes is never read from the body. Once the pictures are decoded the bytes are those of a
// call whose pictures went as they are, of the same layout; only the pixels differ a little.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "function/protocol.h"
#include "image/jpeg.h"
#include <aloft/codec/writer.h>
#include <aloft/image_codec.h>
#include <aloft/result.h>

namespace aloft::function {

// As the pictures of a Call, and the handshake (kImageCodecs), name it.
inline constexpr std::string_view kJpeg = "jpeg";
// Key of the map in WELCOME: the list of what a handler decodes.
inline constexpr std::string_view kImageCodecs = "image_codecs";

// So many pictures of a call are encoded at the most, so that a head holds them.
inline constexpr std::size_t kMaxPictures = 32;

// --- the UE ---------------------------------------------------------------------------

class CodedArguments {
 public:
  // Encodes what is to be encoded among `arguments`, which this borrows from. None: there is no
  // picture that becomes smaller. Takes as long as encoding does.
  [[nodiscard]] static std::optional<CodedArguments> encode(codec::Writer& arguments,
                                                            const ImageCoding& coding);
  // The same of arguments that lie elsewhere, all in one: `pictures` are in it.
  [[nodiscard]] static std::optional<CodedArguments> encode(
      std::span<const std::byte> arguments, std::span<const codec::Writer::Picture> pictures,
      const ImageCoding& coding);

  [[nodiscard]] std::span<const std::span<const std::byte>> segments() const { return segments_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }  // bytes of all segments
  // What the head says of them.
  [[nodiscard]] std::uint64_t argument_bytes() const { return argument_bytes_; }
  [[nodiscard]] const std::vector<Call::Picture>& pictures() const { return pictures_; }
  // Coding, bytes and time of the encoded pictures.
  [[nodiscard]] const ImageCodingRecord& record() const { return record_; }

 private:
  CodedArguments() = default;
  void add(std::span<const std::byte> bytes);
  void add(const codec::Writer::Picture& picture, const ImageCoding& coding);
  [[nodiscard]] static std::optional<CodedArguments> finish(
      CodedArguments made, std::uint64_t size, const ImageCoding& coding,
      std::chrono::steady_clock::time_point began);

  std::vector<std::vector<std::byte>> coded_;
  std::vector<std::span<const std::byte>> segments_;
  std::vector<Call::Picture> pictures_;
  std::uint64_t size_ = 0;
  std::uint64_t argument_bytes_ = 0;
  ImageCodingRecord record_;
};

// --- the handler ----------------------------------------------------------------------

// Whether a body of this size can be what a Call with pictures says. Cheap. Errors:
// invalid_argument; refused (a codec that is not known here).
[[nodiscard]] Result<void> check_pictures(const Call& call, std::uint64_t body_size);

// Makes the arguments of a body, into memory of call.argument_bytes. `call` was checked with the
// body's size. Errors: corrupt.
[[nodiscard]] Result<void> decode_pictures(const Call& call, std::span<const std::byte> body,
                                           image::JpegDecoder& decoder,
                                           std::span<std::byte> arguments);

}  // namespace aloft::function
