// Each measure of the sandbox, from inside: a process goes in and tries what it must not be able
// to.
#include "host/process/sandbox.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/testing/loopback.h"
#include "support/temp_dir.h"

namespace aloft::host {
namespace {

namespace fs = std::filesystem;
constexpr uid_t kUser = 1'879'000'000;
constexpr int kNoSandbox = 77;

class SandboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_.path() / "root");
    fs::create_directories(folder_.path() / "shown");
    fs::permissions(folder_.path(), fs::perms::owner_all);
    std::ofstream(folder_.path() / "shown/file") << "text";
    // Whoever gets at them may write to them.
    for (const char* const name : {"shown", "shown/file"})
      fs::permissions(folder_.path() / name, fs::perms::all);
  }
  [[nodiscard]] SandboxOptions options() const {
    SandboxOptions options{.root = folder_.path() / "root",
                           .shown = {{folder_.path() / "shown", "modules"}}};
    if (::geteuid() == 0) options.user = kUser;
    return options;
  }
  enum class Calls { all, few };
  // The exit status of a process that does `inside` in the sandbox; 128 + N after signal N.
  int run(const std::function<int()>& inside, Calls calls, SandboxOptions options) {
    const pid_t process = ::fork();
    if (process == 0) {
      const auto confined = enter_sandbox(options);
      if (!confined) {
        (void)!::write(2, confined.error().message.c_str(), confined.error().message.size());
        ::_exit(kNoSandbox);
      }
      if (calls == Calls::few && !allow_only(SystemCalls::serve)) ::_exit(kNoSandbox);
      ::_exit(inside());
    }
    int status = 0;
    ::waitpid(process, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  int run(const std::function<int()>& inside, Calls calls = Calls::few) {
    return run(inside, calls, options());
  }
  // What it fails with; 0: it does not.
  template <class T>
  static int error_of(T result) {
    return result < 0 ? errno : 0;
  }
  testing::TempDir folder_;
};

TEST_F(SandboxTest, a_process_sees_what_it_is_shown_and_nothing_else) {
  EXPECT_EQ(
      run([] {
        std::string text;
        std::ifstream("/modules/file") >> text;
        if (text != "text") return 1;
        int entries = 0;
        for (const auto& entry : fs::directory_iterator("/")) {
          const auto name = entry.path().filename();
          if (name != "modules" && name != "scratch") return 2;
          ++entries;
        }
        if (entries != 2) return 3;
        for (const char* path : {"/etc/passwd", "/proc/self/status", "/dev/null", "/bin/sh"}) {
          if (::open(path, O_RDONLY) >= 0) return 4;
        }
        // Up is nowhere.
        if (::open("../../../../etc/passwd", O_RDONLY) >= 0) return 5;
        return 0;
      }),
      0);
}

TEST_F(SandboxTest, a_process_writes_to_its_scratch_space_up_to_a_bound_and_nowhere_else) {
  auto small = options();
  small.scratch_bytes = 1U << 20U;
  EXPECT_EQ(run(
                [] {
                  if (error_of(::open("/modules/new", O_CREAT | O_WRONLY, 0600)) != EROFS) return 1;
                  if (error_of(::open("/modules/file", O_WRONLY)) != EROFS) return 2;
                  if (error_of(::unlink("/modules/file")) != EROFS) return 3;
                  if (error_of(::open("/new", O_CREAT | O_WRONLY, 0600)) != EROFS) return 4;
                  const int file = ::open("/scratch/new", O_CREAT | O_WRONLY, 0600);
                  if (file < 0) return 5;
                  const std::string text(std::size_t{64} << 10U, 'x');
                  std::size_t written = 0;
                  ssize_t count = 0;
                  while ((count = ::write(file, text.data(), text.size())) > 0)
                    written += static_cast<std::size_t>(count);
                  return errno == ENOSPC && written <= 1U << 20U ? 0 : 6;
                },
                Calls::few, small),
            0);
  EXPECT_TRUE(fs::is_empty(folder_.path() / "root"));
}

TEST_F(SandboxTest, a_process_is_nobody_and_cannot_become_somebody) {
  // Without the filter, so that it is the loss of privileges that is seen.
  EXPECT_EQ(run(
                [] {
                  if (::geteuid() == 0 || ::getegid() == 0) return 1;
                  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 2;
                  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0;
                       ++capability) {
                    if (::prctl(PR_CAPBSET_READ, capability) != 0) return 3;
                  }
                  if (::setuid(0) == 0 || ::setgid(0) == 0) return 4;
                  if (::mount("none", "/scratch", "tmpfs", 0, nullptr) == 0) return 5;
                  if (::umount("/modules") == 0) return 6;
                  if (::chroot("/scratch") == 0) return 7;
                  if (::sethostname("x", 1) == 0) return 8;
                  return 0;
                },
                Calls::all),
            0);
}

TEST_F(SandboxTest, a_process_sees_no_other_and_has_no_network_but_the_sockets_that_it_was_given) {
  const net::testing::Listening listening;
  const Descriptor device = net::testing::connect_to(listening.port());
  ASSERT_TRUE(device);
  const pid_t outside = ::getpid();
  auto with_socket = options();
  with_socket.keep = {listening.socket()};
  const auto inside = [&] {
    if (::getpid() != 1) return 1;
    if (::kill(outside, 0) == 0) return 2;
    const int peer = ::accept(listening.socket(), nullptr, nullptr);
    if (peer < 0) return 3;
    // One that was not kept is closed.
    if (::fcntl(device.get(), F_GETFD) >= 0 && device.get() != peer) return 4;
    return net::testing::connect_to(listening.port()) ? 5 : 0;
  };
  EXPECT_EQ(run(inside, Calls::all, with_socket), 0);
}

TEST_F(SandboxTest, a_process_cannot_make_sockets_or_processes_but_can_make_threads) {
  EXPECT_EQ(run([] {
              if (error_of(::socket(AF_INET, SOCK_STREAM, 0)) != EPERM) return 1;
              if (error_of(::socket(AF_UNIX, SOCK_STREAM, 0)) != EPERM) return 2;
              if (error_of(::fork()) != EPERM) return 3;
              if (error_of(::syscall(SYS_vfork)) != EPERM) return 4;
              std::atomic<int> sum = 0;
              std::thread([&] { sum = 5; }).join();
              return sum == 5 ? 0 : 5;
            }),
            0);
}

TEST_F(SandboxTest, what_only_an_attacker_does_ends_the_process) {
  const std::function<void()> attacks[] = {
      [] { ::execl("/bin/sh", "sh", nullptr); },
      [] { ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); },
      [] { ::mount("none", "/scratch", "tmpfs", 0, nullptr); },
      [] { ::unshare(CLONE_NEWUSER); },
      [] { ::syscall(SYS_bpf, 0, nullptr, 0); },
      [] { ::syscall(SYS_io_uring_setup, 1, nullptr); },
      [] { ::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0); },
      [] { ::syscall(SYS_keyctl, 0, 0); },
      [] { ::syscall(SYS_userfaultfd, 0); },
      [] { ::syscall(SYS_process_vm_readv, 1, nullptr, 0, nullptr, 0, 0); },
      [] { (void)!::setuid(0); },
  };
  for (const auto& attack : attacks) {
    EXPECT_EQ(run([&] {
                attack();
                return 0;
              }),
              128 + SIGSYS)
        << &attack - attacks;
  }
}

TEST_F(SandboxTest, limits_hold) {
  auto small = options();
  small.open_files = 32;
  EXPECT_EQ(
      run(
          [] {
            limit_memory(64U << 20U);
            if (!allow_only(SystemCalls::compute)) return kNoSandbox;
            rlimit core{};
            ::getrlimit(RLIMIT_CORE, &core);
            if (core.rlim_max != 0) return 1;
            int last = 0;
            for (int i = 0; i < 64 && last >= 0; ++i) last = ::open("/modules/file", O_RDONLY);
            if (last >= 0 || errno != EMFILE) return 2;
            const rlimit more{1024, 1024};
            if (::setrlimit(RLIMIT_NOFILE, &more) == 0) return 3;
            // The memory that may be written is bounded; addresses are not.
            constexpr std::size_t kMuch = std::size_t{1} << 30U;
            if (::mmap(nullptr, kMuch, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
              return 4;
            if (::mmap(nullptr, kMuch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                       0) != MAP_FAILED)
              return 5;
            return 0;
          },
          Calls::all, small),
      0);
}

TEST_F(SandboxTest, a_process_ends_with_the_one_that_waits_for_it) {
  int line[2];
  ASSERT_EQ(::pipe(line), 0);
  const pid_t process = ::fork();
  if (process == 0) {
    auto kept = options();
    kept.keep = {line[1]};
    if (!enter_sandbox(kept)) ::_exit(kNoSandbox);
    (void)!::write(line[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  ::close(line[1]);
  char byte = 0;
  ASSERT_EQ(::read(line[0], &byte, 1), 1);
  ::kill(process, SIGKILL);
  // Its end of the line closes when it is gone.
  EXPECT_EQ(::read(line[0], &byte, 1), 0);
  ::waitpid(process, nullptr, 0);
  ::close(line[0]);
}

}  // namespace
}  // namespace aloft::host
