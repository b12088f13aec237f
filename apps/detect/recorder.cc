#include "recorder.h"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <opencv2/highgui.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <sys/wait.h>
#include <unistd.h>

namespace detect {
namespace {

using aloft::Errc;
using aloft::fail;

constexpr int kPipeBytes = 1 << 20;  // the most an ordinary user may ask for
constexpr std::size_t kCaptionBytes = 128;

bool write_all(int fd, const void* data, std::size_t size) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

bool read_all(int fd, void* data, std::size_t size) {
  char* bytes = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = ::read(fd, bytes, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

// H.264 where OpenCV's FFmpeg can encode it, since browsers play it; else MPEG-4.
bool open_writer(cv::VideoWriter& writer, const RecorderOptions& options, cv::Size size) {
  for (const int codec :
       {cv::VideoWriter::fourcc('a', 'v', 'c', '1'), cv::VideoWriter::fourcc('m', 'p', '4', 'v')}) {
    if (writer.open(options.video_file.string(), cv::CAP_FFMPEG, codec, options.frames_per_second,
                    size))
      return true;
  }
  return false;
}

// The child's whole life; answers its exit status.
int record(int pipe, const RecorderOptions& options, cv::Size size) {
  ::signal(SIGINT, SIG_IGN);  // Ctrl-C ends the application, which then lets us finish the file
  cv::setNumThreads(1);
  cv::VideoWriter writer;
  if (!options.window && !open_writer(writer, options, size)) return 1;
  cv::Mat frame(size, CV_8UC3);
  char caption[kCaptionBytes];
  while (read_all(pipe, caption, sizeof caption) &&
         read_all(pipe, frame.data, frame.total() * frame.elemSize())) {
    caption[kCaptionBytes - 1] = '\0';
    const cv::Point corner(8, size.height - 10);
    cv::putText(frame, caption, corner, cv::FONT_HERSHEY_SIMPLEX, 0.6, {0, 0, 0}, 4, cv::LINE_AA);
    cv::putText(frame, caption, corner, cv::FONT_HERSHEY_SIMPLEX, 0.6, {255, 255, 255}, 1,
                cv::LINE_AA);
    if (options.window) {
      cv::imshow("aloft", frame);
      if (cv::waitKey(1) == 27) return 0;  // Esc
    } else {
      writer.write(frame);
    }
  }
  return 0;
}

}  // namespace

Output choose_output(Display display, Recording recording) {
  const bool screen =
      std::getenv("DISPLAY") != nullptr || std::getenv("WAYLAND_DISPLAY") != nullptr;
  if (display == Display::automatic && screen) return Output::window;
  return recording == Recording::automatic ? Output::video_file : Output::none;
}

aloft::Result<Recorder> Recorder::start(const RecorderOptions& options, cv::Size size) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail(Errc::internal, std::string("pipe: ") + std::strerror(errno));
  ::fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);
  const pid_t child = ::fork();
  if (child < 0) return fail(Errc::internal, std::string("fork: ") + std::strerror(errno));
  if (child == 0) {
    ::close(ends[1]);
    ::_exit(record(ends[0], options, size));
  }
  ::close(ends[0]);
  ::signal(SIGPIPE, SIG_IGN);  // a closed window shows as an error of show()
  return Recorder(child, ends[1], size);
}

Recorder::Recorder(Recorder&& other) noexcept
    : child_(std::exchange(other.child_, -1)),
      pipe_(std::exchange(other.pipe_, -1)),
      size_(other.size_) {}

Recorder::~Recorder() { static_cast<void>(finish()); }

aloft::Result<void> Recorder::show(const cv::Mat& frame, const std::string& caption) {
  char text[kCaptionBytes] = {};
  std::strncpy(text, caption.c_str(), kCaptionBytes - 1);
  if (frame.size() != size_ || frame.type() != CV_8UC3 || !frame.isContinuous()) {
    return fail(Errc::invalid_argument, "a frame of another size or format than the first");
  }
  if (pipe_ < 0 || !write_all(pipe_, text, sizeof text) ||
      !write_all(pipe_, frame.data, frame.total() * frame.elemSize())) {
    return fail(Errc::unreachable, "the window was closed, or the recorder ended");
  }
  return {};
}

aloft::Result<void> Recorder::finish() {
  if (pipe_ >= 0) ::close(std::exchange(pipe_, -1));
  if (child_ <= 0) return {};
  int status = 0;
  const pid_t child = std::exchange(child_, -1);
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return fail(Errc::internal, "the recorder could not write the video of enriched frames");
  }
  return {};
}

}  // namespace detect
