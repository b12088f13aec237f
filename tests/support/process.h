// A program that a test runs: started, read line by line, waited for with a limit, and never left
// behind.
//
//   auto edge = Process::start({bin("aloft-exec"), "--repository", folder});
//   ASSERT_TRUE(edge) << edge.error().message;
//   auto line = edge->wait_for_line("listening on", 5s);
//   ...
//   edge->kill();                       // SIGKILL, as a machine that fails
//   EXPECT_EQ(edge->wait(2s), 137);     // 128 + SIGKILL
//
// What the program writes is kept, so that a test that fails can show it: `<< edge->transcript()`.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <aloft/result.h>

namespace aloft::testing {

struct ProcessOptions {
  std::map<std::string, std::string> environment = {};  // added to the test's own
  std::filesystem::path working_directory = {};         // empty: the test's own
};

// Thread rule: start() from a thread that outlives the program (the kernel kills the program when
// that thread ends, so that nothing survives a test that crashes); everything else from one thread
// at a time, except kill() and signal().
class Process {
 public:
  // command[0] is the program's path, or a name that PATH finds. Its standard input is empty.
  // Errors: not_found (no such program), internal.
  [[nodiscard]] static Result<Process> start(std::vector<std::string> command,
                                             ProcessOptions options = {});
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  ~Process();  // SIGKILL to the program and to what it started in its process group; waits for its
               // end

  [[nodiscard]] pid_t pid() const;

  // The next line of its standard output that was not read yet, without the newline. None: its
  // output ended, or `limit` passed.
  [[nodiscard]] std::optional<std::string> read_line(std::chrono::milliseconds limit);
  // Reads lines up to the first that contains `text`, and gives that one.
  [[nodiscard]] std::optional<std::string> wait_for_line(std::string_view text,
                                                         std::chrono::milliseconds limit);
  // Waits until its standard error, from the beginning, contains `text`.
  [[nodiscard]] bool wait_for_error(std::string_view text, std::chrono::milliseconds limit);

  // Its exit status as a shell would say it: 128 + N when signal N ended it. None: it still runs
  // after `limit`. When there is a status, what it wrote before its end has been read.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds limit);
  // To the program alone. Nothing happens when it has ended.
  void signal(int number);
  void kill();  // SIGKILL

  // All that it wrote so far.
  [[nodiscard]] std::string standard_output() const;
  [[nodiscard]] std::string standard_error() const;
  // Command, status and both outputs, for the message of a failed test.
  [[nodiscard]] std::string transcript() const;

 private:
  struct Impl;
  explicit Process(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::testing
