#include "attack_modules.h"

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "runtime/testing/wat.h"
#include "runtime/wasm_file.h"

namespace aloft::testing {
namespace {

constexpr std::string_view kWasi = "wasi_snapshot_preview1";
constexpr std::string_view kNn = "wasi_ephemeral_nn";

std::string hash_of(const std::string& text) {
  return sha256(std::as_bytes(std::span(text))).hex();
}

// Buffers are pages of their own, at the end of the memory as it is then.
constexpr std::string_view kAbi = R"(
  (memory (export "memory") 2)
  (func (export "aloft_abi_version") (result i32) (i32.const 1))
  (func (export "aloft_buffer") (param $size i32) (result i32) (local $page i32)
    (local.set $page (memory.grow (i32.shr_u (i32.add (local.get $size) (i32.const 65535))
                                             (i32.const 16))))
    (if (result i32) (i32.eq (local.get $page) (i32.const -1))
      (then (i32.const 0))
      (else (i32.shl (local.get $page) (i32.const 16)))))
  (func (export "aloft_free_buffer") (param i32))
  (func (export "aloft_release") (param i32))
  (func $answer (param $value i32) (result i32)
    (i32.store8 (i32.const 2048) (i32.and (local.get $value) (i32.const 127)))
    (i32.store (i32.const 2056) (i32.const 1))
    (i32.store (i32.const 2060) (i32.const 2048))
    (i32.store (i32.const 2064) (i32.const 1))
    (i32.const 2056))
)";

// (i32.const 1) (i64.const 2)...; "*" is a pointer that leads past the end of every memory.
std::string constants(const std::vector<std::string>& values) {
  std::string all;
  for (const std::string& value : values) {
    if (value == "*") {
      all += " (i32.const -4)";
    } else if (value.ends_with('L')) {
      all += " (i64.const " + value.substr(0, value.size() - 1) + ")";
    } else {
      all += " (i32.const " + value + ")";
    }
  }
  return all;
}

HostCall host_call(std::string_view module, std::string name,
                   const std::vector<std::string>& values, bool harmless = false) {
  std::string parameters;
  for (const std::string& value : values) parameters += value.ends_with('L') ? " i64" : " i32";
  return {std::string(module), std::move(name), std::move(parameters), constants(values), harmless};
}

}  // namespace

std::vector<std::byte> sealed(std::span<const std::byte> wasm, const std::string& name,
                              const std::vector<std::string>& exports) {
  auto functions = nlohmann::json::array();
  for (const std::string& one : exports) {
    const std::string signature = name + "::" + one + "()->u32";
    functions.push_back({{"name", name + "::" + one},
                         {"export", one},
                         {"signature", signature},
                         {"signature_hash", hash_of(signature)},
                         {"effects", "pure"}});
  }
  const nlohmann::json manifest{{"abi", 1},
                                {"module", name},
                                {"functions", functions},
                                {"graphs", nlohmann::json::array()},
                                {"capabilities", nlohmann::json::array()},
                                {"content_sha256", sha256(wasm).hex()}};
  std::vector<std::byte> file(wasm.begin(), wasm.end());
  const auto section = runtime::make_custom_section("aloft.manifest", manifest.dump());
  file.insert(file.end(), section.begin(), section.end());
  return file;
}

std::vector<std::byte> guest(std::string_view imports, std::string_view functions) {
  return runtime::testing::wat("(module " + std::string(imports) + std::string(kAbi) +
                               std::string(functions) + ")");
}

std::string function(std::string_view name, std::string_view body) {
  return "(func (export \"" + std::string(name) +
         "\") (param i32 i32) (result i32) (local $i i32) (local $n i32) (call $answer " +
         std::string(body) + "))\n";
}

const std::vector<HostCall>& calls_with_bad_pointers() {
  static const std::vector<HostCall> all{
      host_call(kWasi, "args_get", {"*", "*"}, true),
      host_call(kWasi, "args_sizes_get", {"*", "*"}),
      host_call(kWasi, "environ_get", {"*", "*"}, true),
      host_call(kWasi, "environ_sizes_get", {"*", "*"}),
      host_call(kWasi, "clock_res_get", {"1", "*"}),
      host_call(kWasi, "clock_time_get", {"1", "0L", "*"}),
      host_call(kWasi, "fd_fdstat_get", {"1", "*"}),
      host_call(kWasi, "fd_filestat_get", {"1", "*"}),
      host_call(kWasi, "fd_pread", {"0", "*", "1", "0L", "*"}),
      host_call(kWasi, "fd_prestat_get", {"3", "*"}),
      host_call(kWasi, "fd_prestat_dir_name", {"3", "*", "64"}),
      host_call(kWasi, "fd_pwrite", {"1", "*", "1", "0L", "*"}),
      host_call(kWasi, "fd_read", {"0", "*", "1", "*"}),
      host_call(kWasi, "fd_readdir", {"3", "*", "64", "0L", "*"}),
      host_call(kWasi, "fd_seek", {"1", "0L", "0", "*"}),
      host_call(kWasi, "fd_tell", {"1", "*"}),
      host_call(kWasi, "fd_write", {"1", "*", "1", "*"}),
      host_call(kWasi, "path_create_directory", {"3", "*", "64"}),
      host_call(kWasi, "path_filestat_get", {"3", "0", "*", "64", "*"}),
      host_call(kWasi, "path_filestat_set_times", {"3", "0", "*", "64", "0L", "0L", "0"}),
      host_call(kWasi, "path_link", {"3", "0", "*", "64", "3", "*", "64"}),
      host_call(kWasi, "path_open", {"3", "0", "*", "64", "0", "0L", "0L", "0", "*"}),
      host_call(kWasi, "path_readlink", {"3", "*", "64", "*", "64", "*"}),
      host_call(kWasi, "path_remove_directory", {"3", "*", "64"}),
      host_call(kWasi, "path_rename", {"3", "*", "64", "3", "*", "64"}),
      host_call(kWasi, "path_symlink", {"*", "64", "3", "*", "64"}),
      host_call(kWasi, "path_unlink_file", {"3", "*", "64"}),
      host_call(kWasi, "poll_oneoff", {"*", "*", "1", "*"}),
      host_call(kWasi, "random_get", {"*", "64"}),
      host_call(kWasi, "sock_accept", {"3", "0", "*"}),
      host_call(kWasi, "sock_recv", {"3", "*", "1", "0", "*", "*"}),
      host_call(kWasi, "sock_send", {"3", "*", "1", "0", "*"}),
      host_call(kNn, "load", {"*", "1", "1", "0", "*"}),
      host_call(kNn, "load_by_name", {"*", "64", "*"}),
      host_call(kNn, "init_execution_context", {"0", "*"}),
      host_call(kNn, "set_input", {"0", "0", "*"}),
      host_call(kNn, "compute", {"-4"}),
      host_call(kNn, "get_output", {"0", "0", "*", "64", "*"}),
  };
  return all;
}

std::vector<std::byte> guest_with_bad_pointers() {
  std::string imports, functions;
  for (const HostCall& call : calls_with_bad_pointers()) {
    imports += "(import \"" + call.module + "\" \"" + call.name + "\" (func $" + call.name +
               " (param" + call.parameters + ") (result i32)))\n";
    functions += function(call.name, "(call $" + call.name + call.arguments + ")");
  }
  return guest(imports, functions);
}

std::vector<std::byte> compile_bomb(unsigned blocks) {
  // Every block ends with a jump to any of those around it, and passes on a variable that all
  // change.
  std::string body = "(local $x i32) local.get 0 local.set $x ";
  for (unsigned i = 0; i < blocks; ++i) body += "block ";
  for (unsigned around = blocks; around > 0; --around) {
    body += "local.get $x i32.const 31 i32.mul i32.const " + std::to_string(around) +
            " i32.add local.set $x local.get $x br_table";
    for (unsigned i = 0; i < around; ++i) body += " " + std::to_string(i);
    body += " end ";
  }
  return guest("", "(func (export \"bomb\") (param i32 i32) (result i32) " + body +
                       " local.get $x call $answer)");
}

std::vector<std::byte> many_functions(unsigned count) {
  std::string functions = function("few", "(i32.const 1)");
  for (unsigned i = 0; i < count; ++i) functions += "(func)";
  return guest("", functions);
}

std::vector<std::byte> deep_nesting(unsigned depth) {
  // In the text the nesting is the parser's; so it is in the instructions alone.
  std::string body;
  for (unsigned i = 0; i < depth; ++i) body += "block ";
  for (unsigned i = 0; i < depth; ++i) body += "end ";
  return guest("", "(func (export \"deep\") (param i32 i32) (result i32) " + body +
                       " i32.const 1 call $answer)");
}

}  // namespace aloft::testing
