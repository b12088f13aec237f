#include "config/folder_watch.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/wake_up.h"

namespace aloft::config {
namespace {

constexpr int kSettleMs = 50;
constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_CREATE;

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

}  // namespace

struct FolderWatch::Impl {
  std::function<void()> changed;
  Descriptor watch{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
  WakeUp end;
  std::thread thread;

  ~Impl() {
    if (!thread.joinable()) return;
    end.wake();
    thread.join();
  }

  // False: the end has come.
  [[nodiscard]] bool wait(int milliseconds, bool& happened) const {
    std::array<pollfd, 2> waiting{pollfd{end.descriptor(), POLLIN, 0},
                                  pollfd{watch.get(), POLLIN, 0}};
    happened = false;
    const int ready = ::poll(waiting.data(), waiting.size(), milliseconds);
    if (ready < 0 && errno != EINTR) return false;
    if (ready > 0 && waiting[0].revents != 0) return false;
    if (ready > 0 && waiting[1].revents != 0) {
      alignas(inotify_event) std::array<char, 4096> events{};
      while (::read(watch.get(), events.data(), events.size()) > 0) happened = true;
    }
    return true;
  }

  void run() {
    bool happened = false;
    while (wait(-1, happened)) {
      if (!happened) continue;
      for (int turns = 0; turns < 1000 / kSettleMs; ++turns) {
        if (!wait(kSettleMs, happened)) return;
        if (!happened) break;
      }
      changed();
    }
  }
};

FolderWatch::FolderWatch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FolderWatch::~FolderWatch() = default;

Result<std::unique_ptr<FolderWatch>> FolderWatch::start(
    const std::vector<std::filesystem::path>& files, std::function<void()> changed) {
  auto impl = std::make_unique<Impl>();
  impl->changed = std::move(changed);
  for (const auto& file : files) {
    const auto folder = folder_of(file);  // the same one again is the same watch
    if (impl->watch && impl->end &&
        ::inotify_add_watch(impl->watch.get(), folder.c_str(), kEvents) >= 0)
      continue;
    const int why = errno;
    return fail(why == ENOENT || why == ENOTDIR ? Errc::not_found : Errc::internal,
                "cannot watch the folder " + folder.string() + ": " + std::strerror(why));
  }
  impl->thread = std::thread([&running = *impl] { running.run(); });
  return std::unique_ptr<FolderWatch>(new FolderWatch(std::move(impl)));
}

}  // namespace aloft::config
