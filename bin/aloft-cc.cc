// aloft-cc: makes an elastic module out of C++ sources. See docs/compiler.md.

#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "compiler/command.h"
#include "compiler/program/command.h"

int main(int argc, char** argv) {
  using namespace aloft::compiler;

  CLI::App app(
      "Makes elastic modules out of C++ sources: native code, a WebAssembly guest, a manifest.",
      "aloft-cc");
  app.require_subcommand(1);

  ModuleCommand module;
  CLI::App* make = app.add_subcommand(
      "module", "Reads a module's sources and writes what is compiled for both places");
  make->add_option("--name", module.name, "Name of the module")->required();
  make->add_option("--output", module.output, "Folder to write to")->required();
  make->add_option("--depfile", module.depfile,
                   "File to list what was read in, for the build system");
  make->add_option("--sysroot", module.sysroot,
                   "Headers and libraries of the guest; not for an --interface");
  make->add_option("--resource-dir", module.resource_dir, "The compiler's own headers")->required();
  make->add_option("--flag", module.flags, "A compiler flag, such as --flag=-Iinclude")
      ->allow_extra_args(false);
  make->add_option("--guest-flag", module.guest_flags, "A compiler flag for the guest only")
      ->allow_extra_args(false);
  make->add_option(
      "--interface", module.interface,
      "In place of sources: the header that declares the functions of a module that is "
      "made in another language");
  make->add_flag_callback(
      "--home", [&] { module.home = Home::translated; },
      "The functions of an --interface run on the device as well, by what `home` writes");
  make->add_option("source", module.sources, "C++ sources");

  SealCommand seal;
  CLI::App* close = app.add_subcommand("seal", "Puts the manifest into a linked guest");
  close->add_option("--manifest", seal.manifest, "NAME.manifest.json")->required();
  close->add_option("--output", seal.output, "The module file to write")->required();
  close->add_option("--digest-header", seal.digest_header,
                    "The header to write that tells the native build the digest");
  close->add_option("linked", seal.linked, "The linked guest")->required();

  HomeCommand home;
  CLI::App* settle = app.add_subcommand(
      "home", "Writes what stands around a guest that wasm2c translated to C for the device");
  settle->add_option("--name", home.name, "Name of the module, and what wasm2c was given by -n")
      ->required();
  settle->add_option("--output", home.output, "The C file to write, in the folder of the other")
      ->required();
  settle->add_option("translated", home.translated, "What wasm2c wrote: FILE.c, beside FILE.h")
      ->required();

  std::filesystem::path shown;
  CLI::App* show = app.add_subcommand("show", "Prints the manifest of a module file");
  show->add_option("module", shown, "The module file")->required();

  CLI::App* wit = app.add_subcommand("wit", "Prints the functions of a module file in WIT");
  wit->add_option("module", shown, "The module file")->required();

  CheckCommand check;
  check.version = ALOFT_VERSION;
  check.resource_dir = ALOFT_CLANG_RESOURCE_DIR;
  CLI::App* judge = app.add_subcommand(
      "check", "Tells which functions of a program can be offloaded, and why the others cannot");
  judge
      ->add_option("-p", check.build_folder,
                   "The program's build folder, with compile_commands.json")
      ->required();
  judge->add_option("--root", check.root,
                    "Only functions below this folder; else below what all sources have in common");
  CLI::Option* json =
      judge->add_flag_callback("--json", [&] { check.format = ReportFormat::json; }, "Writes JSON");
  judge
      ->add_flag_callback(
          "--sarif", [&] { check.format = ReportFormat::sarif; }, "Writes SARIF 2.1.0")
      ->excludes(json);
  judge->add_option("--output,-o", check.output, "The file to write; else standard output");
  judge
      ->add_option("--jobs,-j", check.jobs,
                   "Sources read at once, each in 100 to 200 MB; else one for each processor")
      ->check(CLI::Range(1, 1024));
  judge->add_option("--sysroot", check.sysroot,
                    "Headers of the guest; else those that are installed");
  judge->add_option("--resource-dir", check.resource_dir, "The compiler's own headers")
      ->capture_default_str();

  CLI11_PARSE(app, argc, argv);

  aloft::Result<void> done;
  if (make->parsed()) {
    const aloft::Result<ModuleOutcome> outcome = run_module(module);
    if (outcome) {
      std::fputs(outcome->diagnostics.c_str(), stderr);
      return outcome->accepted ? 0 : 1;
    }
    done = std::unexpected(outcome.error());
  } else if (close->parsed()) {
    done = run_seal(seal);
  } else if (settle->parsed()) {
    done = run_home(home);
  } else if (judge->parsed()) {
    done = run_check(check);
  } else {
    const aloft::Result<std::string> text = show->parsed() ? run_show(shown) : run_wit(shown);
    if (text) {
      std::puts(text->c_str());
    } else {
      done = std::unexpected(text.error());
    }
  }
  if (done) return 0;
  std::fprintf(stderr, "%serror: %s\n",
               judge->parsed() ? "" : "aloft-cc: ", done.error().message.c_str());
  return 1;
}
