// What a UE and an Execution Handler say to each other over an endpoint: opening a module,
// providing models, calls.
//
// Every message here is the MessagePack map in the `head` of a channel message; its `body` is bulk
// (encoded arguments, encoded results, model bytes). docs/wire.md gives the bytes. Field names are
// the map's keys.
//
//   UE                                     Execution Handler
//   OpenModule            stream 0    ->
//                                     <-   stream 0    ModelWanted, then credit on the stream that
//                                     it names
//   ModelBytes + model    its stream  ->
//                                     <-   stream 0    ModuleOpened, then a credit on each call
//                                     stream
//   Call + arguments      stream s    ->
//                                     <-   stream s    Return + result, then a credit on s
//   NeedCapacity          stream s    ->
//                                     <-   stream s    a credit that is large enough; or reset,
//                                     then one as before
//   CloseModule           stream 0    ->
//
// A call stream is one receive buffer of an instance: a credit says that it is free, and each
// message on the stream takes it. The handler grants it anew once the buffer is free again,
// whatever became of the message. A UE that gives a call up resets its stream while the arguments
// are on the way, and sends CancelCall once they have left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <aloft/result.h>

namespace aloft::function {

// --- UE -> Execution Handler
// -------------------------------------------------------------------------------------

// stream 0. Opens a module for this session: which bytes, which functions with which types, which
// models.
struct OpenModule {
  struct Function {
    std::string export_name;     // the guest's export, e.g. "aloft_fn_detect_object_1a2b3c4d"
    std::string signature_hash;  // 64 hex digits; both ends compare
  };
  struct Model {
    std::string name;    // as the module's aloft::nn::Graph says
    std::string sha256;  // 64 hex digits
    std::uint64_t size = 0;
  };
  // A class of which the program may attach an object.
  struct Object {
    std::string name;        // qualified
    std::string state_hash;  // 64 hex digits; both ends compare
  };
  std::uint32_t module_id = 0;  // chosen by the UE, unique in the session, never used twice
  std::string name{};           // in the repository
  std::string digest{};         // "sha256:" + 64 hex digits of the .wasm file
  std::vector<Function> functions{};
  std::vector<Object> objects{};  // AttachTerms::object_class is an index here
  std::vector<Model> models{};
  std::uint32_t concurrency = 1;  // calls the UE wants in flight; the handler may grant fewer
  std::uint64_t argument_bytes =
      0;  // expected size of encoded arguments: capacity of the first credits
};

// On a call stream, without a body, in place of a call: "I want to send arguments of this size
// here". The handler grows that stream's receive buffer between calls and grants a credit of at
// least this capacity, or resets the stream with resource_exhausted and grants what it had.
struct NeedCapacity {
  std::uint32_t module_id = 0;
  std::uint64_t bytes = 0;
};

// On a call stream (body: encoded arguments). One call for each credit on that stream.
struct Call {
  std::uint64_t call_id = 0;  // unique in the session, rising
  std::uint32_t module_id = 0;
  std::uint32_t function = 0;  // index into OpenModule::functions
  std::uint64_t deadline_us =
      0;                        // time the call may take at the handler; 0: the handler's own limit
  bool digest_tensors = false;  // answer Return::tensor_digests

  // A picture among the arguments that went encoded (coded_arguments.h).
  struct Picture {
    std::string codec;         // "jpeg"
    std::uint64_t at = 0;      // of the arguments' bytes, where its pixels begin
    std::uint64_t size = 0;    // bytes in the body in place of the pixels
    std::uint32_t width = 0;   // pixels
    std::uint32_t height = 0;  // pixels
    std::uint32_t format = 0;  // PixelFormat
  };
  // With pictures: the arguments' bytes once these are decoded. The pictures are in the order of
  // `at`.
  std::uint64_t argument_bytes = 0;
  std::vector<Picture> pictures{};
};

// stream 0. The UE calls nothing of this module any more: its instances are given back once what is
// under way there has ended. Ends that are attached to it stay.
struct CloseModule {
  std::uint32_t module_id = 0;
};

// stream 0. Gives a call up; its Return still comes (cancelled, or the result if that was already
// on its way).
struct CancelCall {
  std::uint64_t call_id = 0;
};

// On the stream that ModelWanted named (body: the model file).
struct ModelBytes {
  std::string sha256{};
};

// --- Execution Handler -> UE
// -------------------------------------------------------------------------------------

// stream 0, the models that the handler lacks come first: each is granted a stream and credit of
// the model's size.
struct ModelWanted {
  std::uint32_t module_id = 0;
  std::string sha256{};
  std::uint32_t stream = 0;
};

// stream 0. The module is loaded, instances are warm, call streams and their credits follow.
struct ModuleOpened {
  std::uint32_t module_id = 0;
  std::vector<std::uint32_t> call_streams{};
  std::string engine{};     // e.g. "wasmtime 48.0.2"
  std::string inference{};  // inference::Engine::description()
  // Stream n of the list is a buffer of instance n modulo this; 0: it does not say.
  std::uint32_t instances = 0;
};

// stream 0.
struct ModuleRefused {
  std::uint32_t module_id = 0;
  Error why{};
};

// On the call's stream (body: encoded result when ok). Times are the handler's, in microseconds.
struct Return {
  std::uint64_t call_id = 0;
  std::optional<Error> error{};  // absent: ok, the body is the encoded result
  std::string trap_backtrace{};  // when error->code == trapped: a line a frame, innermost first
  std::uint64_t queue_us = 0;    // from complete arrival to start
  std::uint64_t run_us = 0;      // guest time, inference included
  std::uint64_t inference_us = 0;
  std::uint64_t decode_us = 0;  // of the pictures among the arguments; not part of run_us
  // When asked for: SHA-256 (64 hex digits) over the data bytes of each input tensor that the
  // engine was handed, in the order of the compute() calls and within one in the order of the
  // inputs.
  std::vector<std::string> tensor_digests{};
};

// stream 0. One line that the guest wrote to stdout or stderr.
struct GuestLog {
  std::uint64_t call_id = 0;
  bool is_error = false;  // stderr
  std::string line{};
};

using Message = std::variant<OpenModule, CloseModule, NeedCapacity, Call, CancelCall, ModelBytes,
                             ModelWanted, ModuleOpened, ModuleRefused, Return, GuestLog>;

// Texts for people are cut to this many bytes, so that a head stays within channel::kMaxHead. A
// line of guest output and a backtrace may have twice as many.
inline constexpr std::size_t kMaxText = 4096;

// A map {"t": type name, ...fields}. Never fails; only the lists of OpenModule and ModuleOpened and
// of digests can make a head longer than channel::kMaxHead, and sending it fails then.
[[nodiscard]] std::vector<std::byte> encode(const Message& message);
// Errors: protocol, saying which field of which message was missing or of another type. Unknown
// fields are ignored; an error code that is not known here is read as internal.
[[nodiscard]] Result<Message> decode(std::span<const std::byte> head);

}  // namespace aloft::function
