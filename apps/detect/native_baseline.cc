#include "native_baseline.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <utility>

#include <fcntl.h>
#include <opencv2/core.hpp>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "detect.h"
#include "inference/engine.h"
#include "inference/graph_table.h"
#include "model_file.h"
#include "source.h"
#include <aloft/image.h>

namespace detect {
namespace {

using aloft::Errc;
using aloft::fail;
using aloft::Result;

// What the child answers to a number of frames: a rate, or why there is none. One datagram.
struct Answer {
  double frames_per_second = 0;
  char error[240] = {};  // empty: fine
};

// The native function on a video of its own.
class Native {
 public:
  static Result<Native> create(const std::string& video, const std::filesystem::path& model,
                               const NativeBaseline::Inference& inference) {
    Native made;
    auto source = open_source(video);
    if (!source) return std::unexpected(source.error());
    made.source_ = *std::move(source);
    const auto bytes = read_model(model);
    if (!bytes) return std::unexpected(bytes.error());
    auto engine = aloft::inference::make_engine({.threads = inference.threads,
                                                 .concurrency = 1,
                                                 .device = inference.device,
                                                 .libraries = inference.libraries});
    if (!engine) return std::unexpected(engine.error());
    made.engine_ = *std::move(engine);
    auto graph = made.engine_->load_onnx(*bytes);
    if (!graph) return std::unexpected(graph.error());
    made.graphs_.set("detector", *std::move(graph));
    return made;
  }

  // Nothing is bound in this process, so detect_object is a plain call.
  Result<double> measure(std::uint64_t frames) {
    std::chrono::duration<double> spent{};
    for (std::uint64_t i = 0; i < frames; ++i) {
      const auto frame = source_->next();
      if (!frame) return std::unexpected(frame.error());
      const auto image = aloft::Image::borrow(
          static_cast<std::uint32_t>(frame->cols), static_cast<std::uint32_t>(frame->rows),
          aloft::PixelFormat::bgr8, {frame->data, frame->total() * frame->elemSize()});
      const aloft::inference::GraphScope scope(graphs_);
      const auto start = std::chrono::steady_clock::now();
      static_cast<void>(detect_object(image));
      spent += std::chrono::steady_clock::now() - start;
    }
    return static_cast<double>(frames) / spent.count();
  }

 private:
  std::unique_ptr<FrameSource> source_;
  std::unique_ptr<aloft::inference::Engine> engine_;
  aloft::inference::GraphTable graphs_;
};

void set_error(Answer& answer, std::string_view message) {
  message.copy(answer.error, sizeof answer.error - 1);
}

// The child's whole life: a measurement for each number that comes.
void serve(int socket, const std::string& video, const std::filesystem::path& model,
           const NativeBaseline::Inference& inference) {
  ::signal(SIGINT, SIG_IGN);  // Ctrl-C ends the application, which ends us
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  cv::setNumThreads(1);
  auto native = Native::create(video, model, inference);
  std::uint64_t frames = 0;
  while (::recv(socket, &frames, sizeof frames, 0) == sizeof frames) {
    Answer answer;
    if (!native) {
      set_error(answer, native.error().message);
    } else {
      try {
        const auto rate = native->measure(frames);
        if (rate) {
          answer.frames_per_second = *rate;
        } else {
          set_error(answer, rate.error().message);
        }
      } catch (const std::exception& failure) {  // detect_object gave up
        set_error(answer, failure.what());
      }
    }
    if (::send(socket, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer) return;
  }
}

}  // namespace

Result<NativeBaseline> NativeBaseline::start(const std::string& video,
                                             const std::filesystem::path& model,
                                             const Inference& inference) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail(Errc::internal, std::string("socketpair: ") + std::strerror(errno));
  }
  const pid_t child = ::fork();
  if (child < 0) return fail(Errc::internal, std::string("fork: ") + std::strerror(errno));
  if (child == 0) {
    ::close(ends[1]);
    serve(ends[0], video, model, inference);
    ::_exit(0);
  }
  ::close(ends[0]);
  return NativeBaseline(child, ends[1]);
}

NativeBaseline::NativeBaseline(NativeBaseline&& other) noexcept
    : child_(std::exchange(other.child_, -1)), socket_(std::exchange(other.socket_, -1)) {}

NativeBaseline::~NativeBaseline() {
  if (child_ <= 0) return;
  ::close(socket_);
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<double> NativeBaseline::measure(std::uint64_t frames) {
  Answer answer;
  ssize_t got = ::send(socket_, &frames, sizeof frames, MSG_NOSIGNAL);
  if (got == sizeof frames) {
    do {
      got = ::recv(socket_, &answer, sizeof answer, 0);
    } while (got < 0 && errno == EINTR);
  }
  if (got != sizeof answer)
    return fail(Errc::unreachable, "the process that measures the native function is gone");
  answer.error[sizeof answer.error - 1] = '\0';
  if (answer.error[0] != '\0')
    return fail(Errc::internal, std::string("the native function: ") + answer.error);
  return answer.frames_per_second;
}

}  // namespace detect
