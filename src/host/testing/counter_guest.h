// A guest with one class, written by hand in WebAssembly's text format: a counter with a state of
// four blocks, and methods that do to their host what guests do. Its arguments and results are
// plain little-endian numbers: a host does not look into them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "function/protocol.h"
#include "runtime/testing/wat.h"

namespace aloft::host::testing {

// Methods, as they are opened: indices of function::OpenModule::functions.
enum Method : std::uint32_t {
  kAdd,    // adds its argument (u32); the counter (u32)
  kMark,   // sets the first byte of the block that its argument (u32) names; the counter
  kEcho,   // its arguments
  kBusy,   // counts to its argument, then as kAdd of 1
  kSpin,   // never ends
  kAbort,  // says why on stderr, and traps
  kRefuse  // does not understand its arguments
};

inline constexpr std::size_t kStateSize = 4 * 4096;

inline constexpr std::string_view kCounterGuest = R"WAT(
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 256) "aloft: call aborted: no luck\n")
  (global $heap (mut i32) (i32.const 0x20000))
  ;; 0x10000: the state, its first word the counter; 64, 80: a descriptor and what it names.
  (func (export "aloft_abi_version") (result i32) (i32.const 1))
  (func (export "aloft_buffer") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap
      (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 15)) (i32.const -16)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits
        (i32.ge_s
          (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $size) (i32.const 65536))))
          (i32.const 0)))
      (return (i32.const 0)))
    (local.get $at))
  (func (export "aloft_free_buffer") (param i32))
  (func (export "aloft_release") (param i32))

  (func (export "aloft_object_make") (param $class i32) (result i32)
    (memory.fill (i32.const 0x10000) (i32.const 0) (i32.const 16384))
    (i32.eqz (local.get $class)))
  (func (export "aloft_state_save") (result i32)
    (call $reply (i32.const 0x10000) (i32.const 16384)))
  (func (export "aloft_state_load") (param $at i32) (param $size i32) (result i32)
    (if (i32.ne (local.get $size) (i32.const 16384)) (then (return (i32.const 0))))
    (memory.copy (i32.const 0x10000) (local.get $at) (local.get $size))
    (i32.const 1))

  (func $reply (param $at i32) (param $size i32) (result i32)
    (i32.store (i32.const 64) (i32.const 1))
    (i32.store (i32.const 68) (local.get $at))
    (i32.store (i32.const 72) (local.get $size))
    (i32.const 64))
  (func $counter (result i32)
    (i32.store (i32.const 80) (i32.load (i32.const 0x10000)))
    (call $reply (i32.const 80) (i32.const 4)))
  (func $add (param $number i32)
    (i32.store (i32.const 0x10000)
      (i32.add (i32.load (i32.const 0x10000)) (local.get $number))))

  (func (export "fn_add") (param $at i32) (param $size i32) (result i32)
    (call $add (i32.load (local.get $at)))
    (call $counter))
  (func (export "fn_mark") (param $at i32) (param $size i32) (result i32)
    (i32.store8
      (i32.add (i32.const 0x10008) (i32.mul (i32.load (local.get $at)) (i32.const 4096)))
      (i32.const 7))
    (call $counter))
  (func (export "fn_echo") (param $at i32) (param $size i32) (result i32)
    (call $reply (local.get $at) (local.get $size)))
  (func (export "fn_busy") (param $at i32) (param $size i32) (result i32)
    (local $left i32)
    (local.set $left (i32.load (local.get $at)))
    (loop $more
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (i32.store (i32.const 84) (local.get $left))
      (br_if $more (i32.gt_s (local.get $left) (i32.const 0))))
    (call $add (i32.const 1))
    (call $counter))
  (func (export "fn_spin") (param $at i32) (param $size i32) (result i32)
    (loop $for_ever (br $for_ever))
    (unreachable))
  (func $fn_abort (export "fn_abort") (param $at i32) (param $size i32) (result i32)
    (i32.store (i32.const 128) (i32.const 256))
    (i32.store (i32.const 132) (i32.const 29))
    (drop (call $fd_write (i32.const 2) (i32.const 128) (i32.const 1) (i32.const 136)))
    (unreachable))
  (func (export "fn_refuse") (param $at i32) (param $size i32) (result i32)
    (i32.const 0)))
)WAT";

// Bytes of a number, as the guest has it.
[[nodiscard]] inline std::vector<std::byte> number(std::uint32_t value) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
[[nodiscard]] inline std::uint32_t number(const std::vector<std::byte>& bytes) {
  std::uint32_t value = 0;
  if (bytes.size() == sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// Puts the guest, sealed, into a repository's folder, as a version of its own. Gives what opens it.
[[nodiscard]] inline function::OpenModule add_counter_module(const std::filesystem::path& folder,
                                                             std::string_view version) {
  constexpr std::string_view kFunctions[] = {"add",  "mark",  "echo",  "busy",
                                             "spin", "abort", "refuse"};
  std::vector<std::byte> file = runtime::testing::wat(kCounterGuest);
  const std::string hash(64, 'a');
  std::string json = R"({"abi":1,"module":"counter","version":")" + std::string(version) +
                     R"(","graphs":[],"effects":"pure","capabilities":[],"objects":[)"
                     R"({"name":"Counter","state":"u32","state_hash":")" +
                     hash + R"("}],"functions":[)";
  function::OpenModule open{.name = "counter"};
  for (const std::string_view function : kFunctions) {
    const std::string name(function);
    json += (open.functions.empty() ? "" : ",") + (R"({"name":"counter::)" + name) +
            R"(","export":"fn_)" + name + R"(","signature":"","signature_hash":")" + hash + "\"}";
    open.functions.push_back({"fn_" + name, hash});
  }
  json += R"(],"content_sha256":")" + sha256(file).hex() + "\"}";

  // A custom section: its id, its size, its name with that one's size, its content.
  constexpr std::string_view kName = "aloft.manifest";
  const auto put = [&](std::string_view text) {
    for (const char c : text) file.push_back(static_cast<std::byte>(c));
  };
  std::size_t size = 1 + kName.size() + json.size();
  file.push_back(std::byte{0});
  do {
    file.push_back(static_cast<std::byte>((size & 0x7fU) | (size > 0x7f ? 0x80U : 0U)));
    size >>= 7U;
  } while (size != 0);
  file.push_back(static_cast<std::byte>(kName.size()));
  put(kName);
  put(json);

  std::ofstream out(folder / ("counter_" + std::string(version) + ".wasm"), std::ios::binary);
  out.write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  open.digest = "sha256:" + sha256(file).hex();
  return open;
}

}  // namespace aloft::host::testing
