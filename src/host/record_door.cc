#include "host/record_door.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/units.h"
#include "ops/user_socket.h"

namespace aloft::host {
namespace {

// A connection is told a few lines in all, which it has room for: one that has not, does not read.
[[nodiscard]] bool say(const Descriptor& connection, const std::string& line) {
  return ::send(connection.get(), line.data(), line.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(line.size());
}

RecorderOptions options_of(const RecordRequest& request) {
  RecorderOptions options;
  options.folder = request.folder;
  options.calls = request.calls;
  options.bytes = Bytes{request.mib << 20U}.count();
  options.functions = request.functions;
  if (request.which == RecordRequest::Which::failed) options.which = RecorderOptions::Which::failed;
  return options;
}

RecordSummary summary_of(const CallRecorder::Counts& counts) {
  return {.recorded = counts.recorded,
          .lost = counts.lost,
          .why_lost = counts.why_lost,
          .calls = counts.calls,
          .bytes = counts.bytes,
          .last = counts.last.string()};
}

}  // namespace

Result<std::unique_ptr<RecordSocket>> RecordSocket::open() {
  const auto folder = ops::make_user_folder();
  if (!folder) return std::unexpected(folder.error());
  std::filesystem::path path = ops::user_socket(*folder, ::getpid(), kRecordSocket);
  auto listening = ops::listen_for_user(*folder, ::getpid(), kRecordSocket);
  if (!listening) return std::unexpected(listening.error());
  return std::unique_ptr<RecordSocket>(new RecordSocket(std::move(path), *std::move(listening)));
}

RecordSocket::~RecordSocket() { (void)::unlink(path_.c_str()); }

Result<std::unique_ptr<RecordDoor>> RecordDoor::open(RecordDoorOptions options,
                                                     const RecordSocket& socket,
                                                     CallRecording& recording) {
  WakeUp stop;
  if (!stop)
    return fail(Errc::resource_exhausted, std::string("no descriptor: ") + std::strerror(errno));
  return std::unique_ptr<RecordDoor>(
      new RecordDoor(std::move(options), socket, std::move(stop), recording));
}

RecordDoor::RecordDoor(RecordDoorOptions options, const RecordSocket& socket, WakeUp stop,
                       CallRecording& recording)
    : options_(std::move(options)),
      socket_(socket),
      stop_(std::move(stop)),
      recording_(recording),
      thread_([this] { serve(); }) {}

RecordDoor::~RecordDoor() {
  stop_.wake();
  thread_.join();
}

void RecordDoor::serve() {
  for (;;) {
    const bool has_room = askers_.size() < kMaxAskers;
    std::vector<pollfd> waiting{{stop_.descriptor(), POLLIN, 0},
                                {has_room ? socket_.descriptor() : -1, POLLIN, 0}};
    for (const Asker& asker : askers_) waiting.push_back({asker.connection.get(), POLLIN, 0});
    if (::poll(waiting.data(), waiting.size(), until_patience_ends()) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    if (waiting[0].revents != 0) break;
    auto at = waiting.begin() + 2;
    for (Asker& asker : askers_) {
      if ((at++)->revents != 0) hear(asker);
      if (!asker.records && Clock::now() >= asker.patience_ends) asker.gone = true;
    }
    std::erase_if(askers_, [](const Asker& asker) { return asker.gone; });
    if (waiting[1].revents != 0) greet();
  }
  for (Asker& asker : askers_) {
    if (asker.records) end(asker);
  }
}

int RecordDoor::until_patience_ends() const {
  auto first = Clock::time_point::max();
  for (const Asker& asker : askers_) {
    if (!asker.records) first = std::min(first, asker.patience_ends);
  }
  if (first == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - Clock::now());
  return static_cast<int>(std::max(left, std::chrono::milliseconds{0}).count());
}

void RecordDoor::greet() {
  Descriptor connection(
      ::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection) return;
  const std::string folder = recording_.folder().value_or("").string();
  if (!say(connection, to_line(RecordGreeting{options_.edge, options_.repository, folder}))) return;
  askers_.push_back(
      {.connection = std::move(connection), .patience_ends = Clock::now() + kPatience});
}

void RecordDoor::hear(Asker& asker) {
  std::array<char, 4096> room;
  for (;;) {
    const ssize_t size = ::read(asker.connection.get(), room.data(), room.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
      if (asker.records) end(asker);
      asker.gone = true;
      return;
    }
    if (asker.records) continue;  // there is nothing more to say
    asker.read.append(room.data(), static_cast<std::size_t>(size));
    const std::size_t line = asker.read.find('\n');
    if (line != std::string::npos) {
      begin(asker, asker.read.substr(0, line));
      asker.read.clear();
      if (asker.gone) return;
    } else if (asker.read.size() > kMaxRecordLine) {
      asker.gone = true;
      return;
    }
  }
}

void RecordDoor::begin(Asker& asker, const std::string& line) {
  const auto request = read_request(line);
  const Result<void> begun = request ? recording_.begin(options_of(*request))
                                     : Result<void>(std::unexpected(request.error()));
  asker.records = begun.has_value();
  if (begun) spdlog::info("calls are recorded in {}: aloft record asked for it", request->folder);
  if (say(asker.connection, to_line(begun)) && begun) return;
  if (begun) end(asker);
  asker.gone = true;
}

void RecordDoor::end(Asker& asker) {
  asker.records = false;
  const auto counts = recording_.end();
  if (!counts) return;
  spdlog::info("calls are recorded no more: {} have been", counts->recorded);
  (void)say(asker.connection, to_line(summary_of(*counts)));
}

}  // namespace aloft::host
