#include "host/compile_job.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/process/child.h"

namespace aloft::host {
namespace {

// Descriptors of the job: files in memory, the module and what became of it.
constexpr int kModule = 3;
constexpr int kOutcome = 4;
constexpr std::string_view kNoUser = "-";
constexpr int kNiceness = 10;

// The outcome: a line of JSON, {"name"} or {"code","why"}, and behind it the artifact.

class Memory {
 public:
  explicit Memory(const char* name) : fd_(::memfd_create(name, MFD_CLOEXEC)) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

bool write_whole(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

Result<std::vector<std::byte>> read_whole(int fd, std::uint64_t limit) {
  struct stat status{};
  if (::fstat(fd, &status) != 0 || static_cast<std::uint64_t>(status.st_size) > limit)
    return fail(Errc::resource_exhausted, "it is longer than " + std::to_string(limit) + " bytes");
  std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t count = ::pread(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail(Errc::internal, "it cannot be read");
    at += static_cast<std::size_t>(count);
  }
  return bytes;
}

Result<runtime::Engine::Compiled> read_outcome(int fd, std::uint64_t limit) {
  auto bytes = read_whole(fd, limit);
  if (!bytes) {
    return fail(bytes.error().code, "the compiled module: " + std::move(bytes).error().message);
  }
  const auto newline = std::ranges::find(*bytes, std::byte{'\n'});
  const std::string line(reinterpret_cast<const char*>(bytes->data()),
                         static_cast<std::size_t>(newline - bytes->begin()));
  const auto head = nlohmann::json::parse(line, nullptr, false);
  const auto is = [&](const char* name, auto type) {
    return head.contains(name) && (head[name].*type)();
  };
  using nlohmann::json;
  if (!head.is_object() || newline == bytes->end())
    return fail(Errc::internal, "the compiler ended without a word");
  if (!is("name", &json::is_string)) {
    if (!is("code", &json::is_number_unsigned) || !is("why", &json::is_string))
      return fail(Errc::internal, "the compiler ended without a reason");
    const auto code = head.value("code", 0U);
    return fail(code > 0 && code <= static_cast<unsigned>(kLastErrc) ? static_cast<Errc>(code)
                                                                     : Errc::internal,
                head.value("why", "the compiler gave no reason"));
  }
  return runtime::Engine::Compiled{head.value("name", ""), {newline + 1, bytes->end()}};
}

int say(const Error& error) {
  const nlohmann::json head{{"code", static_cast<unsigned>(error.code)}, {"why", error.message}};
  const std::string line =
      head.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  (void)write_whole(kOutcome, std::as_bytes(std::span(line)));
  return 1;
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Result<runtime::Engine::Compiled> compile_apart(std::span<const std::byte> wasm,
                                                const CompileOptions& options) {
  const Memory module("aloft module");
  const Memory outcome("aloft compiled");
  if (module.get() < 0 || outcome.get() < 0 || !write_whole(module.get(), wasm))
    return fail(Errc::internal, "no memory to hand a module to the compiler");
  const std::array<Child::Descriptor, 2> descriptors{
      {{module.get(), kModule}, {outcome.get(), kOutcome}}};
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(options.limit).count();
  auto child = Child::start(options.program,
                            {"--compile", options.root.string(),
                             options.user ? std::to_string(*options.user) : std::string(kNoUser),
                             options.need == Need::everything ? "everything" : "what-there-is",
                             std::to_string(options.memory_bytes), std::to_string(4 * seconds)},
                            descriptors);
  if (!child) return std::unexpected(std::move(child).error());
  const auto status = child->wait(options.limit);
  if (!status) {
    return fail(Errc::deadline_exceeded,
                "compiling the module takes longer than " + std::to_string(seconds) + " s");
  }
  auto compiled = read_outcome(outcome.get(), options.max_artifact);
  if (compiled && *status == 0) return compiled;
  if (!compiled && *status == 1) return compiled;
  if (*status == 128 + SIGABRT || *status == 128 + SIGKILL || *status == 128 + SIGSEGV) {
    return fail(Errc::resource_exhausted, "compiling the module takes more than the " +
                                              std::to_string(options.memory_bytes >> 20U) +
                                              " MiB or the time that it may");
  }
  return fail(Errc::internal, "the compiler ended with status " + std::to_string(*status));
}

int run_compile_job(std::span<const std::string_view> arguments) {
  if (arguments.size() != 5) {
    std::fprintf(stderr, "error: only aloft-host starts a compiler\n");
    return 2;
  }
  // Sessions that run go before modules that are not there yet, however long these take.
  (void)::setpriority(PRIO_PROCESS, 0, kNiceness);
  SandboxOptions options{.root = arguments[0], .scratch = "", .keep = {kModule, kOutcome}};
  if (arguments[1] != kNoUser) options.user = static_cast<uid_t>(number(arguments[1]));
  options.need = arguments[2] == "everything" ? Need::everything : Need::what_there_is;
  options.cpu_seconds = number(arguments[4]);
  if (auto confined = enter_sandbox(options); !confined) return say(confined.error());
  // The engine reserves for instances that there will not be: that does not count. It has seen
  // nothing yet of what is to be feared.
  auto engine = runtime::Engine::create({});
  if (!engine) return say(engine.error());
  limit_memory(number(arguments[3]));
  if (auto allowed = allow_only(SystemCalls::compute); !allowed && options.need == Need::everything)
    return say(allowed.error());
  auto wasm = read_whole(kModule, std::uint64_t{1} << 30U);
  if (!wasm) return say(wasm.error());
  auto compiled = (*engine)->compile(*wasm);
  if (!compiled) return say(compiled.error());
  const std::string line = nlohmann::json{{"name", compiled->name}}.dump() + "\n";
  const bool written = write_whole(kOutcome, std::as_bytes(std::span(line))) &&
                       write_whole(kOutcome, compiled->artifact);
  // Without destructors: the job is done.
  ::_exit(written ? 0 : 3);
}

}  // namespace aloft::host
