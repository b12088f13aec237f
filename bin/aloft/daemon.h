// A program that a command runs beside itself and that ends when the command does: a daemon of
// aloft's, a build, an application.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <aloft/result.h>

namespace aloft::cli {

// SIGINT and SIGTERM, which end a command, and SIGCHLD, by which it hears of a daemon's end:
// blocked from here on, for a command that waits for them.
sigset_t block_signals();

// Where the line that says that a program is ready says what it chose: "listening on port 7400".
[[nodiscard]] std::string last_word(const std::string& line);

// How a program ended.
struct Ended {
  int status = 0;  // that it returned
  int signal = 0;  // that killed it; 0: none did

  [[nodiscard]] bool well() const { return status == 0 && signal == 0; }
  [[nodiscard]] std::string to_string() const;  // "status 1", "signal 9"
};

// Thread rule: one thread, which has SIGCHLD blocked where it calls end().
class Daemon {
 public:
  enum class Output : std::uint8_t {
    read,       // its standard output comes to wait_for()
    inherited,  // it writes where this program does
    to_stderr,  // its standard output goes where this program's standard error does
  };
  struct Start {
    std::string program;  // a path; without a '/': a program beside this one
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment = {};  // added to this program's
    Output output = Output::read;
  };

  // Errors: resource_exhausted (no process, no descriptor). A program that is not there ends with
  // 127 at once.
  [[nodiscard]] static Result<Daemon> start(Start start);
  Daemon(Daemon&& other) noexcept;
  Daemon& operator=(Daemon&&) = delete;
  ~Daemon();  // end(kEndLimit)
  static constexpr std::chrono::seconds kEndLimit{10};

  [[nodiscard]] const std::string& name() const { return name_; }
  // The next line that contains `text`. Errors: internal (it ended, or said nothing in time).
  [[nodiscard]] Result<std::string> wait_for(std::string_view text,
                                             std::chrono::milliseconds limit);
  // Once it has ended: how. None: it runs.
  [[nodiscard]] std::optional<Ended> ended();
  // Waits until it has.
  Ended wait();
  // Tells it, and what it has started, to end; waits for nothing.
  void terminate() const;
  // Tells it to end, and waits; kills it after `limit`.
  void end(std::chrono::milliseconds limit);

 private:
  Daemon(std::string name, pid_t process, int output);

  std::string name_;
  pid_t process_;  // -1: waited for, or moved from
  int output_;
  std::optional<Ended> ended_;
  std::string read_;
};

}  // namespace aloft::cli
