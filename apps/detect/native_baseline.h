// The yardstick for the edge: the same function, native, in a process that nothing holds.
//
// It takes turns with the remote function in blocks of equally many frames, so that whatever else
// the machine does meets both. While it measures, the application waits; while the application
// runs, it waits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <sys/types.h>

#include <aloft/nn.h>
#include <aloft/result.h>

namespace detect {

inline constexpr std::uint64_t kBaselineBlock = 40;  // frames

// Thread rule: one thread at a time.
class NativeBaseline {
 public:
  // Forks the child, which opens the video and loads the model for itself. Call before threads are
  // started and before the process is held.
  struct Inference {
    int threads = 1;  // of one
    aloft::nn::Device device = aloft::nn::Device::cpu;
    std::filesystem::path libraries;  // as in Options
  };
  [[nodiscard]] static aloft::Result<NativeBaseline> start(const std::string& video,
                                                           const std::filesystem::path& model,
                                                           const Inference& inference);
  NativeBaseline(NativeBaseline&& other) noexcept;
  NativeBaseline& operator=(NativeBaseline&&) = delete;
  ~NativeBaseline();  // the child ends

  // Frames a second of `frames` native calls of detect_object, one after the other; decoding is not
  // counted. Waits for the child. Errors: what the child says, unreachable when it is gone.
  [[nodiscard]] aloft::Result<double> measure(std::uint64_t frames);

 private:
  NativeBaseline(pid_t child, int socket) : child_(child), socket_(socket) {}
  pid_t child_;
  int socket_;
};

}  // namespace detect
