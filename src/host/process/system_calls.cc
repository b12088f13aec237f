// The system calls that an Execution Handler needs: what Wasmtime, ONNX Runtime, OpenSSL, Asio and
// libc do, by running them. A version of these that needs another one fails with EPERM there, which
// tests of the sandbox notice.
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <string>

#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "host/process/sandbox.h"

namespace aloft::host {
namespace {

constexpr int kCompute[] = {
    // memory
    SCMP_SYS(brk),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate),
    SCMP_SYS(membarrier),
    SCMP_SYS(mincore),
    SCMP_SYS(msync),
    // threads and signals of its own
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(arch_prctl),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(gettid),
    SCMP_SYS(tgkill),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getcpu),
    // who and when
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
    SCMP_SYS(times),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrlimit),
    // files, of which it sees next to none
    SCMP_SYS(openat),
    SCMP_SYS(open),
    SCMP_SYS(close),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(fcntl),
    SCMP_SYS(dup),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rmdir),
    SCMP_SYS(utimensat),
    SCMP_SYS(umask),
};

constexpr int kServe[] = {
    SCMP_SYS(accept),         SCMP_SYS(accept4),         SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),        SCMP_SYS(sendto),          SCMP_SYS(sendmsg),
    SCMP_SYS(shutdown),       SCMP_SYS(getsockname),     SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),     SCMP_SYS(setsockopt),      SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_create),   SCMP_SYS(epoll_ctl),       SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),    SCMP_SYS(epoll_pwait2),    SCMP_SYS(eventfd2),
    SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(poll),
    SCMP_SYS(ppoll),          SCMP_SYS(pipe2),
};

// Nothing here asks for these by mistake: whoever does has taken the process over.
constexpr int kDeadly[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(bpf),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(personality),
    SCMP_SYS(fsopen),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(setuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresgid),
    SCMP_SYS(capset),
    SCMP_SYS(clock_settime),
    SCMP_SYS(settimeofday),
};

class Filter {
 public:
  Filter() : context_(::seccomp_init(SCMP_ACT_ERRNO(EPERM)), &::seccomp_release) {}

  void allow(int call) { add(SCMP_ACT_ALLOW, call, {}); }
  // Where one of its arguments is, or has the bits of, `value`.
  void allow(int call, unsigned argument, scmp_compare compare, std::uint64_t value) {
    const scmp_arg_cmp when{argument, compare, value, value};
    add(SCMP_ACT_ALLOW, call, {&when, 1});
  }
  void answer(int call, std::uint32_t action) { add(action, call, {}); }

  Result<void> load() {
    // For the threads that there are, too.
    if (status_ == 0) status_ = ::seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1);
    if (status_ == 0) status_ = ::seccomp_load(context_.get());
    if (status_ == 0) return {};
    return fail(Errc::internal,
                "sandbox: cannot filter system calls: " + std::string(std::strerror(-status_)));
  }

 private:
  void add(std::uint32_t action, int call, std::span<const scmp_arg_cmp> when) {
    if (status_ != 0) return;
    if (!context_) {
      status_ = -ENOMEM;
      return;
    }
    status_ = ::seccomp_rule_add_array(context_.get(), action, call,
                                       static_cast<unsigned>(when.size()), when.data());
    // A call that this processor or this kernel's headers do not have.
    if (status_ == -EDOM || status_ == -EINVAL) status_ = 0;
  }

  std::unique_ptr<void, decltype(&::seccomp_release)> context_;
  int status_ = 0;
};

}  // namespace

Result<void> allow_only(SystemCalls calls) {
  Filter filter;
  for (const int call : kCompute) filter.allow(call);
  // A driver's requests are its own; which devices there are is the sandbox's business.
  if (calls == SystemCalls::accelerate) filter.allow(SCMP_SYS(ioctl));
  if (calls == SystemCalls::serve || calls == SystemCalls::accelerate) {
    for (const int call : kServe) filter.allow(call);
    // What a socket of its own has in store, and whether a descriptor is a terminal.
    for (const int request : {FIONREAD, FIONBIO, SIOCOUTQ})
      filter.allow(SCMP_SYS(ioctl), 1, SCMP_CMP_EQ, static_cast<unsigned>(request));
  }
  filter.allow(SCMP_SYS(ioctl), 1, SCMP_CMP_EQ, TCGETS);
  // Threads, but no processes. What the library tries first cannot be looked into by a filter.
  filter.allow(SCMP_SYS(clone), 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD);
  filter.answer(SCMP_SYS(clone3), SCMP_ACT_ERRNO(ENOSYS));
  // Asking for limits, not setting them.
  filter.allow(SCMP_SYS(prlimit64), 2, SCMP_CMP_EQ, 0);
  for (const int option : {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE})
    filter.allow(SCMP_SYS(prctl), 0, SCMP_CMP_EQ, static_cast<unsigned>(option));
  for (const int call : kDeadly) filter.answer(call, SCMP_ACT_KILL_PROCESS);
  return filter.load();
}

}  // namespace aloft::host
