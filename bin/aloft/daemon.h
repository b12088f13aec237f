// A program that a command runs beside itself and that ends when the command does: a daemon of
// aloft's, a build, an application.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <aloft/result.h>

namespace aloft::cli {

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
  [[nodiscard]] pid_t process() const { return process_; }
  // It has been waited for by somebody else.
  void is_gone() { process_ = -1; }

  // The next line that contains `text`. Errors: internal (it ended, or said nothing in time).
  [[nodiscard]] Result<std::string> wait_for(std::string_view text,
                                             std::chrono::milliseconds limit);
  // Tells it to end, and waits; kills it after `limit`.
  void end(std::chrono::milliseconds limit);

 private:
  Daemon(std::string name, pid_t process, int output);

  std::string name_;
  pid_t process_;
  int output_;
  std::string read_;
};

}  // namespace aloft::cli
