#include "compiler/program/command.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <utility>

#include <unistd.h>

#include "compiler/program/program_check.h"
#include "compiler/program/report.h"

namespace aloft::compiler {

namespace {

namespace fs = std::filesystem;

// The headers of WASI and nothing else: where they are installed, those of this machine's library
// stand beside them.
class Sysroot {
 public:
  // Errors: not_found (no such headers), internal (no folder can be made for them).
  static Result<Sysroot> make() {
    const fs::path installed = "/usr/include/wasm32-wasi";
    std::error_code error;
    if (!fs::exists(installed, error)) {
      return fail(Errc::not_found, installed.string() +
                                       ": there are no headers of guests; install wasi-libc and "
                                       "libc++-19-dev-wasm32, or pass --sysroot");
    }
    std::string name = (fs::temp_directory_path(error) / "aloft-sysroot-XXXXXX").string();
    if (error || ::mkdtemp(name.data()) == nullptr)
      return fail(Errc::internal, name + ": this folder cannot be made; set TMPDIR");
    Sysroot made(name);
    fs::create_directory(made.folder_ / "include", error);
    if (!error) fs::create_symlink(installed, made.folder_ / "include/wasm32-wasi", error);
    if (error) return fail(Errc::internal, name + ": " + error.message());
    return made;
  }
  Sysroot(Sysroot&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}
  Sysroot& operator=(Sysroot&&) = delete;
  ~Sysroot() {
    std::error_code ignored;  // what stays is a link in a folder for what may go
    if (!folder_.empty()) fs::remove_all(folder_, ignored);
  }
  [[nodiscard]] const fs::path& folder() const { return folder_; }

 private:
  explicit Sysroot(fs::path folder) : folder_(std::move(folder)) {}
  fs::path folder_;
};

void show_progress(std::size_t done, std::size_t all, const std::string& file) {
  if (done < all)
    std::fprintf(stderr, "[%zu/%zu] %s\n", done + 1, all, file.c_str());
  else
    std::fprintf(stderr, "[guest] %s\n", file.c_str());
}

std::string to_string(const ProgramReport& report, const CheckCommand& command) {
  switch (command.format) {
    case ReportFormat::json: return to_json(report) + "\n";
    case ReportFormat::sarif: return to_sarif(report, command.version) + "\n";
    case ReportFormat::text: break;
  }
  return to_text(report);
}

}  // namespace

Result<void> run_check(const CheckCommand& command) {
  std::optional<Sysroot> own;
  if (command.sysroot.empty()) {
    Result<Sysroot> made = Sysroot::make();
    if (!made) return std::unexpected(made.error());
    own.emplace(*std::move(made));
  }
  ProgramRequest request{.build_folder = command.build_folder,
                         .root = command.root,
                         .sysroot = own ? own->folder() : command.sysroot,
                         .resource_dir = command.resource_dir,
                         .jobs = command.jobs,
                         .progress = {}};
  if (::isatty(STDERR_FILENO) != 0) request.progress = show_progress;
  const Result<ProgramReport> report = check_program(request);
  if (!report) return std::unexpected(report.error());
  const std::string text = to_string(*report, command);
  if (command.output.empty()) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return std::fflush(stdout) == 0
               ? Result<void>()
               : fail(Errc::internal, "the report cannot be written to standard output");
  }
  std::ofstream out(command.output, std::ios::binary | std::ios::trunc);
  out.write(text.data(), static_cast<std::streamsize>(text.size())).flush();
  if (!out) return fail(Errc::internal, command.output.string() + ": cannot be written");
  return {};
}

}  // namespace aloft::compiler
