// Checks of what an image codec costs in results: a call that was computed on its images one way is
// computed again the other way, and the application compares the two results.
//
// All of it is off the way of callers: the arguments are a copy, the second computation takes a
// stream and bytes that no call needs (Rank::extra), or a thread of the runtime's own here, and the
// results are read and compared on such a thread.
//
//     wanted ----> first result came ----> second computation ----> compared, told to the chooser
//        |                                     |
//        '--- the call failed -----------------'--- it failed, is late, or the runtime ends:
//        nothing
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "function/call_hedges.h"
#include "function/call_watch.h"
#include "function/coded_arguments.h"
#include "function/function_images.h"
#include "function/here_executor.h"
#include "function/log.h"
#include "function/remote_session.h"
#include <aloft/codec/writer.h>
#include <aloft/detail/binding.h>
#include <aloft/image_codec.h>

namespace aloft::function {

// What a call keeps for its check: made when it goes out, while its arguments are there.
struct WantedCheck {
  // Copies the arguments. `images` outlives it.
  WantedCheck(const FunctionDescriptor& function, FunctionImages& images, codec::Writer& arguments,
              const FunctionImages::Choice& choice);
  ~WantedCheck();  // tells the images that it is over, unless ImageChecks took it
  WantedCheck(const WantedCheck&) = delete;
  WantedCheck& operator=(const WantedCheck&) = delete;

  const FunctionDescriptor& function;
  FunctionImages& images;
  const ImageCoding used;
  const ImageCoding other;
  bool over = false;                             // the images were told
  std::vector<std::byte> arguments;              // raw
  std::vector<codec::Writer::Picture> pictures;  // in `arguments`
};

// Thread rule: any thread.
class ImageChecks {
 public:
  struct Parts {
    HereExecutor* executor = nullptr;  // all are borrowed
    CallHedges* hedges = nullptr;
    CallWatch* watch = nullptr;
    const Log* log = nullptr;
    std::chrono::milliseconds limit{30'000};  // of a second computation
  };
  explicit ImageChecks(const Parts& parts);
  ~ImageChecks();  // after end()
  ImageChecks(const ImageChecks&) = delete;
  ImageChecks& operator=(const ImageChecks&) = delete;

  // The call has its result, encoded, from `edge`, which outlives this; `number` is the call's.
  void start(std::unique_ptr<WantedCheck> wanted, std::unique_ptr<std::byte[]> result,
             std::size_t size, RemoteSession& edge, std::uint64_t number);
  // Gives all up, and waits until nothing of them runs. None may be started any more.
  void end();

 private:
  class Check;

  void over(const Check& check);

  const Parts parts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Check>> checks_;
  bool ending_ = false;
};

}  // namespace aloft::function
