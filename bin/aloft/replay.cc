// aloft replay: runs a call that an edge has recorded once more, here and by itself, and compares
// what comes of it. With another version of the module it tells what that version makes of it; with
// --native it is the native code that runs, in a program of its own (aloft/replay.h).
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/digest.h"
#include "commands.h"
#include "daemon.h"
#include "inference/engine.h"
#include "runtime/engine.h"
#include "runtime/instance.h"
#include "runtime/module.h"
#include "runtime/recorded_call.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;
using runtime::RecordedCall;

struct Options {
  fs::path call;
  fs::path module;      // a .wasm file
  fs::path repository;  // or a folder to look for it in
  fs::path native;      // a build folder, or a program of aloft/replay.h
  enum class Debugger : std::uint8_t { none, gdb } debugger = Debugger::none;
  std::vector<std::string> models;  // NAME=FILE
  std::uint64_t limit_ms = 60'000;
  std::uint64_t memory_mib = 256;
};

Result<Bytes> read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) return fail(Errc::not_found, file.string() + ": cannot be read");
  const auto bytes = std::as_bytes(std::span(text));
  return Bytes(bytes.begin(), bytes.end());
}

// What the guest says goes to standard error; models are those of the command line.
class Services final : public runtime::HostServices {
 public:
  // Errors: invalid_argument (no NAME=FILE), and what the engine says of a model.
  Result<void> load(const std::vector<std::string>& models) {
    for (const std::string& each : models) {
      const auto at = each.find('=');
      if (at == std::string::npos)
        return fail(Errc::invalid_argument, "--model " + each + " is not NAME=FILE");
      const auto file = read_file(each.substr(at + 1));
      if (!file) return std::unexpected(file.error());
      if (!engine_) {
        auto made = inference::make_cpu_engine({});
        if (!made) return std::unexpected(made.error());
        engine_ = *std::move(made);
      }
      auto graph = engine_->load_onnx(*file);
      if (!graph) return std::unexpected(graph.error());
      graphs_[each.substr(0, at)] = *std::move(graph);
    }
    return {};
  }

  void on_line(runtime::GuestStream /*stream*/, std::string_view line) override {
    std::fprintf(stderr, "  | %.*s\n", static_cast<int>(line.size()), line.data());
  }
  Result<std::shared_ptr<inference::Graph>> graph_by_name(std::string_view name) override {
    const auto found = graphs_.find(std::string(name));
    if (found != graphs_.end()) return found->second;
    const std::string text(name);
    std::fprintf(stderr, "error: the module wants the model '%s': pass --model %s=FILE\n",
                 text.c_str(), text.c_str());
    return fail(Errc::not_found, "no model '" + text + "'");
  }
  Result<std::shared_ptr<inference::Graph>> load_graph(std::span<const std::byte>) override {
    return fail(Errc::refused, "guests use the models that their module declares");
  }

 private:
  std::unique_ptr<inference::Engine> engine_;
  std::map<std::string, std::shared_ptr<inference::Graph>> graphs_;
};

// The file of the module that was called, or of another version of it.
Result<Bytes> find_module(const Options& options, const RecordedCall& call) {
  if (!options.module.empty()) return read_file(options.module);
  std::error_code error;
  for (fs::directory_iterator each(options.repository, error), end; !error && each != end;
       each.increment(error)) {
    if (each->path().extension() != ".wasm") continue;
    auto bytes = read_file(each->path());
    if (bytes && sha256(*bytes).hex() == call.module_digest) return bytes;
  }
  return fail(Errc::not_found,
              options.repository.string() + ": no version sha256:" + call.module_digest +
                  " of the module " + call.module +
                  " is there; pass the edge's --repository, or another version with --module FILE");
}

// What came of a call.
struct Outcome {
  Bytes result;
  std::optional<Error> error;
  std::string backtrace;
  std::uint64_t run_us = 0;
};

Outcome failed_with(const runtime::CallFailure& failure) {
  Outcome outcome;
  outcome.error = runtime::to_error(failure);
  if (const auto* const trap = std::get_if<runtime::Trap>(&failure))
    outcome.backtrace = trap->backtrace_text();
  return outcome;
}

// Puts `bytes` into the guest's memory.
runtime::CallResult<std::uint32_t> put(runtime::Instance& instance, const Bytes& bytes,
                                       runtime::Deadline deadline) {
  const auto buffer = instance.make_buffer(static_cast<std::uint32_t>(bytes.size()), deadline);
  if (!buffer) return std::unexpected(buffer.error());
  std::ranges::copy(bytes, buffer->bytes.begin());
  return buffer->address;
}

runtime::CallResult<Outcome> run(const std::shared_ptr<const runtime::Module>& module,
                                 const RecordedCall& call, const Options& options,
                                 Services& services) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(options.limit_ms);
  auto made = runtime::Instance::create(module, {.memory_bytes = options.memory_mib << 20U},
                                        services, deadline);
  if (!made) return std::unexpected(made.error());
  runtime::Instance& instance = **made;
  if (call.object) {
    if (auto object = instance.make_object(*call.object, deadline); !object)
      return std::unexpected(object.error());
    const auto state = put(instance, call.state, deadline);
    if (!state) return std::unexpected(state.error());
    const auto size = static_cast<std::uint32_t>(call.state.size());
    if (auto loaded = instance.load_state(*state, size, deadline); !loaded)
      return std::unexpected(loaded.error());
  }
  const auto arguments = put(instance, call.arguments, deadline);
  if (!arguments) return std::unexpected(arguments.error());
  const auto begun = std::chrono::steady_clock::now();
  const auto reply = instance.call(call.export_name, *arguments,
                                   static_cast<std::uint32_t>(call.arguments.size()), deadline);
  const auto ran = std::chrono::steady_clock::now() - begun;
  Outcome outcome;
  if (reply) {
    for (const auto segment : reply->segments)
      outcome.result.insert(outcome.result.end(), segment.begin(), segment.end());
  } else {
    outcome = failed_with(reply.error());
  }
  outcome.run_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(ran).count());
  return outcome;
}

enum class Ran : std::uint8_t { this_version, another_version, natively };

bool is_same(const RecordedCall& call, const Outcome& now, Ran ran) {
  if (call.error || now.error)
    return call.error && now.error && call.error->code == now.error->code &&
           (ran == Ran::natively || call.backtrace == now.backtrace);
  return call.result == now.result;
}

std::string text_of(const Bytes& result, const std::optional<Error>& error, std::uint64_t run_us) {
  const std::string time = ", " + std::to_string(run_us) + " us";
  if (error) return std::string(to_string(error->code)) + ": " + error->message + time;
  return std::to_string(result.size()) + " bytes, sha256:" + sha256(result).hex().substr(0, 16) +
         time;
}

void print_frames(const std::string& backtrace) {
  for (std::size_t at = 0; at < backtrace.size();) {
    const std::size_t end = std::min(backtrace.find('\n', at), backtrace.size());
    std::printf("            %s\n", backtrace.substr(at, end - at).c_str());
    at = end + 1;
  }
}

void print(const RecordedCall& call, const Outcome& now, Ran ran) {
  std::printf("%s of the module %s, %zu bytes of arguments", call.function.c_str(),
              call.module.c_str(), call.arguments.size());
  if (call.object) std::printf(", %zu bytes of state", call.state.size());
  std::printf("\n  recorded: %s\n", text_of(call.result, call.error, call.run_us).c_str());
  print_frames(call.backtrace);
  std::printf("  now:      %s%s\n", text_of(now.result, now.error, now.run_us).c_str(),
              ran == Ran::natively          ? " (natively)"
              : ran == Ran::another_version ? " (another version of the module)"
                                            : "");
  print_frames(now.backtrace);
  if (is_same(call, now, ran)) {
    std::printf("the same\n");
    return;
  }
  const auto differ = std::ranges::mismatch(call.result, now.result);
  if (!call.error && !now.error)
    std::printf("different, from byte %td of the result on\n", differ.in1 - call.result.begin());
  else
    std::printf("different\n");
}

nlohmann::ordered_json to_json(const Bytes& result, const std::optional<Error>& error,
                               const std::string& backtrace, std::uint64_t run_us) {
  nlohmann::ordered_json json = {{"run_us", run_us}};
  if (error) {
    json["error"] = to_string(error->code);
    json["message"] = error->message;
    json["backtrace"] = backtrace;
  } else {
    json["bytes"] = result.size();
    json["sha256"] = sha256(result).hex();
  }
  return json;
}

void tell(const Context& context, const RecordedCall& call, const Outcome& now, Ran ran) {
  if (!context.json) return print(call, now, ran);
  const nlohmann::ordered_json json = {
      {"function", call.function},
      {"module", call.module},
      {"ran", ran == Ran::natively          ? "natively"
              : ran == Ran::another_version ? "another_version"
                                            : "this_version"},
      {"same", is_same(call, now, ran)},
      {"recorded", to_json(call.result, call.error, call.backtrace, call.run_us)},
      {"now", to_json(now.result, now.error, now.backtrace, now.run_us)}};
  std::printf("%s\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

// The program that runs calls of this module natively, built anew where a build folder is given.
Result<fs::path> native_program(const Options& options, const RecordedCall& call) {
  std::error_code error;
  if (!fs::is_directory(options.native, error)) return fs::absolute(options.native, error);
  const std::string target = call.module + "_replay";
  auto build =
      Daemon::start({.program = "/usr/bin/env",
                     .arguments = {"cmake", "--build", options.native.string(), "--target", target},
                     .output = Daemon::Output::to_stderr});
  if (!build) return std::unexpected(build.error());
  if (!build->wait().well()) {
    return fail(Errc::not_found, options.native.string() + ": " + target +
                                     " cannot be built there; is it the build folder of the "
                                     "project that the module is of?");
  }
  return fs::absolute(options.native / "replay" / target, error);
}

[[nodiscard]] Error become_debugger(const fs::path& program, const Options& options) {
  std::vector<std::string> arguments = {"gdb", "--args", program.string(), options.call.string()};
  std::vector<char*> raw;
  for (std::string& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  ::execvp(raw[0], raw.data());
  return {Errc::not_found,
          std::string("gdb cannot be started: ") + std::strerror(errno) + "; install it"};
}

// Runs the call in a process of its own, since it may crash.
Result<Outcome> run_native(const fs::path& program, const Options& options) {
  std::string name = (fs::temp_directory_path() / "aloft-replay-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    return fail(Errc::internal, name + ": this folder cannot be made; set TMPDIR");
  const fs::path folder = name;
  const auto remove = [&](Result<Outcome> outcome) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    return outcome;
  };
  auto process = Daemon::start({.program = program.string(),
                                .arguments = {options.call.string(), (folder / "outcome").string()},
                                .output = Daemon::Output::to_stderr});
  if (!process) return remove(std::unexpected(process.error()));
  if (const Ended ended = process->wait(); ended.signal != 0) {
    Outcome crashed;
    crashed.error = Error{Errc::trapped, "the native code ended with " + ended.to_string() + " (" +
                                             ::strsignal(ended.signal) + ")"};
    return remove(crashed);
  }
  const auto outcome = runtime::read_recorded_call(folder / "outcome");
  if (!outcome) return remove(fail(Errc::internal, program.string() + " has not run the call"));
  return remove(Outcome{outcome->result, outcome->error, {}, outcome->run_us});
}

Result<bool> replay_native(const Options& options, const Context& context,
                           const RecordedCall& call) {
  const auto program = native_program(options, call);
  if (!program) return std::unexpected(program.error());
  if (options.debugger == Options::Debugger::gdb)
    return std::unexpected(become_debugger(*program, options));
  const auto ran = run_native(*program, options);
  if (!ran) return std::unexpected(ran.error());
  tell(context, call, *ran, Ran::natively);
  return is_same(call, *ran, Ran::natively);
}

// Whether it came out the same.
Result<bool> replay(const Options& options, const Context& context) {
  const auto call = runtime::read_recorded_call(options.call);
  if (!call) return std::unexpected(call.error());
  if (!options.native.empty()) return replay_native(options, context, *call);
  const auto file = find_module(options, *call);
  if (!file) return std::unexpected(file.error());
  const auto engine = runtime::Engine::create({.max_instances = 1});
  if (!engine) return std::unexpected(engine.error());
  const auto module = (*engine)->load(*file);
  if (!module) return std::unexpected(module.error());
  if (auto abi = (*module)->check_abi(); !abi) return std::unexpected(abi.error());
  if (!(*module)->exports_function(call->export_name)) {
    return fail(Errc::signature_mismatch, "the module has no function " + call->function +
                                              " of the types that were called (" +
                                              call->export_name + ")");
  }
  Services services;
  if (auto loaded = services.load(options.models); !loaded) return std::unexpected(loaded.error());
  auto ran = run(*module, *call, options, services);
  if (!ran) return std::unexpected(runtime::to_error(ran.error()));
  const Ran how =
      (*module)->digest().hex() == call->module_digest ? Ran::this_version : Ran::another_version;
  tell(context, *call, *ran, how);
  return is_same(*call, *ran, how);
}

}  // namespace

void add_replay_command(CLI::App& app, Context& context) {
  const auto options = std::make_shared<Options>();
  auto* const command = app.add_subcommand(
      "replay",
      "runs a call again that an edge has recorded (aloft record), and compares; "
      "status 1: it came out differently");
  command->add_option("call", options->call, "the recorded call, FOLDER/NUMBER.aloftcall")
      ->required();
  CLI::Option* module =
      command->add_option("--module", options->module, "the module's file, or another version's");
  CLI::Option* repository = command->add_option("--repository", options->repository,
                                                "a folder to find the module in by its digest");
  module->excludes(repository);
  CLI::Option* native = command->add_option(
      "--native", options->native,
      "run the native code: the build folder of the module's project, or NAME_replay built there");
  native->excludes(module)->excludes(repository);
  command
      ->add_flag_callback(
          "--wasm", [] {},
          "run the module, as an edge does; so it is done unless --native is given")
      ->excludes(native);
  command
      ->add_flag_callback(
          "--gdb", [options] { options->debugger = Options::Debugger::gdb; },
          "under gdb, stopped before anything runs")
      ->needs(native);
  command->add_option("--model", options->models, "NAME=FILE of a model that the module uses");
  command->add_option("--limit", options->limit_ms, "ms that it may take")
      ->check(CLI::Range(1, 86'400'000))
      ->capture_default_str();
  command->add_option("--max-memory", options->memory_mib, "MiB of its memory")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->callback([&context, options] {
    if (options->module.empty() && options->repository.empty() && options->native.empty()) {
      return failed(context,
                    {Errc::invalid_argument,
                     "where is the module? pass --repository FOLDER or --module FILE, or --native "
                     "BUILD_FOLDER"});
    }
    const Result<bool> same = replay(*options, context);
    if (!same) return failed(context, same.error());
    if (!*same) context.status = 1;
  });
}

}  // namespace aloft::cli
