// Where this user's `aloft record` turns recording on in an edge that runs, and off again
// (record_protocol.h). Nothing is recorded until somebody asks; what they may ask for is bounded.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/descriptor.h"
#include "base/wake_up.h"
#include "host/call_recording.h"
#include "host/record_protocol.h"
#include <aloft/result.h>

namespace aloft::host {

// The socket, of the process that people know the edge by. It is there for as long as that process
// is, whichever worker of it serves: who comes while none does is served by the next.
class RecordSocket {
 public:
  // Errors: refused (it or its folder cannot be made), invalid_argument (its path is too long).
  [[nodiscard]] static Result<std::unique_ptr<RecordSocket>> open();
  ~RecordSocket();  // removes it
  RecordSocket(const RecordSocket&) = delete;
  RecordSocket& operator=(const RecordSocket&) = delete;

  [[nodiscard]] int descriptor() const { return listening_.get(); }

 private:
  RecordSocket(std::filesystem::path path, Descriptor listening)
      : path_(std::move(path)), listening_(std::move(listening)) {}
  const std::filesystem::path path_;
  const Descriptor listening_;
};

struct RecordDoorOptions {
  std::string edge;        // HOST:PORT where devices find it
  std::string repository;  // the folder of its modules
};

// Thread rule: any thread.
class RecordDoor {
 public:
  static constexpr std::chrono::seconds kPatience{2};  // for somebody's request
  static constexpr std::size_t kMaxAskers = 8;         // at a time

  // `socket` and `recording` outlive it. Errors: resource_exhausted (no descriptor is left).
  [[nodiscard]] static Result<std::unique_ptr<RecordDoor>> open(RecordDoorOptions options,
                                                                const RecordSocket& socket,
                                                                CallRecording& recording);
  // Ends what was asked for here, and says what has been recorded.
  ~RecordDoor();
  RecordDoor(const RecordDoor&) = delete;
  RecordDoor& operator=(const RecordDoor&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  struct Asker {
    Descriptor connection;
    Clock::time_point patience_ends;  // while it has not asked
    std::string read{};
    bool records = false;
    bool gone = false;
  };

  RecordDoor(RecordDoorOptions options, const RecordSocket& socket, WakeUp stop,
             CallRecording& recording);
  void serve();
  void greet();
  void hear(Asker& asker);
  void begin(Asker& asker, const std::string& line);
  void end(Asker& asker);
  // Milliseconds, as poll wants them.
  [[nodiscard]] int until_patience_ends() const;

  const RecordDoorOptions options_;
  const RecordSocket& socket_;
  const WakeUp stop_;
  CallRecording& recording_;
  std::list<Asker> askers_;  // the thread's own
  std::thread thread_;       // last: it uses all of the above
};

}  // namespace aloft::host
