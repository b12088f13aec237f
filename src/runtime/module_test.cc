#include "runtime/module.h"

#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "runtime/testing/fixture.h"

namespace aloft::runtime {
namespace {

namespace fs = std::filesystem;
using testing::soon;
using testing::wat;

constexpr std::string_view kSmall = R"((module (func (export "one") (result i32) (i32.const 1))))";

class ModuleTest : public testing::RuntimeTest {
 protected:
  ModuleTest() {
    std::string name = fs::temp_directory_path() / "aloft-module-test-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~ModuleTest() override { fs::remove_all(folder_); }

  EngineOptions options() override { return {.cache_dir = folder_ / "cache", .max_instances = 4}; }
  Error refusal(std::span<const std::byte> wasm) {
    const auto module = engine_->load(wasm);
    EXPECT_FALSE(module.has_value());
    return module ? Error{} : module.error();
  }
  fs::path only_artifact() const {
    for (const auto& entry : fs::directory_iterator(folder_ / "cache")) {
      if (entry.path().extension() == ".cwasm") return entry.path();
    }
    return {};
  }

  fs::path folder_;
};

// `wasm` with a manifest as aloft-cc seals it.
std::vector<std::byte> sealed(std::vector<std::byte> wasm, const std::string& functions,
                              const std::string& objects = "") {
  const std::string json = R"({"abi":1,"module":"test","graphs":[],"functions":[)" + functions +
                           R"(],"objects":[)" + objects + R"(],"content_sha256":")" +
                           sha256(wasm).hex() + "\"}";
  const std::string name = "aloft.manifest";
  std::string section = static_cast<char>(name.size()) + name + json;
  std::string head(1, '\0');
  for (std::size_t rest = section.size(); true; rest >>= 7) {
    head += static_cast<char>(rest < 128 ? rest : (rest & 127) | 128);
    if (rest < 128) break;
  }
  section = head + section;
  const auto bytes = std::as_bytes(std::span(section));
  wasm.insert(wasm.end(), bytes.begin(), bytes.end());
  return wasm;
}

TEST_F(ModuleTest, junk_and_truncated_modules_are_corrupt) {
  EXPECT_EQ(refusal(std::as_bytes(std::span("junk"))).code, Errc::corrupt);
  const auto whole = sealed(wat(kSmall), {});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto module = engine_->load(std::span(whole).first(size));
    // Cut between two sections, what is left may be a module, but none with a manifest.
    const Error error = module ? (*module)->check_abi().error() : module.error();
    EXPECT_EQ(error.code, Errc::corrupt) << size;
  }
}

TEST_F(ModuleTest, an_import_outside_the_host_interface_is_refused_by_name) {
  const Error error =
      refusal(wat(R"((module (import "env" "system" (func (param i32) (result i32)))))"));
  EXPECT_EQ(error.code, Errc::refused);
  EXPECT_NE(error.message.find("env.system"), std::string::npos) << error.message;
}

TEST_F(ModuleTest, a_function_that_the_host_interface_lacks_is_refused_by_name) {
  const Error error = refusal(
      wat(R"((module (import "wasi_ephemeral_nn" "train" (func (param i32) (result i32)))))"));
  EXPECT_EQ(error.code, Errc::refused);
  EXPECT_NE(error.message.find("train"), std::string::npos) << error.message;
}

TEST_F(ModuleTest, threads_and_relaxed_simd_are_not_part_of_what_guests_get) {
  EXPECT_EQ(refusal(wat(R"((module (memory 1 1 shared)))")).code, Errc::corrupt);
  EXPECT_EQ(refusal(wat(R"((module (func (param v128 v128 v128) (result v128)
      (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))))"))
                .code,
            Errc::corrupt);
}

TEST_F(ModuleTest, each_flipped_byte_of_a_sealed_module_is_noticed) {
  const auto whole =
      sealed(wat(kSmall), R"({"name":"one","export":"one","signature":"","signature_hash":""})");
  ASSERT_TRUE(engine_->load(whole).has_value());
  const std::size_t content = wat(kSmall).size();
  for (std::size_t i = 0; i < content; ++i) {
    auto damaged = whole;
    damaged[i] ^= std::byte{1};
    EXPECT_EQ(refusal(damaged).code, Errc::corrupt) << i;
  }
}

TEST_F(ModuleTest, an_export_that_the_manifest_promises_and_the_module_lacks_is_named) {
  const auto module = engine_->load(
      sealed(wat(R"((module (memory (export "memory") 1)
      (func (export "aloft_abi_version")) (func (export "aloft_buffer")) (func (export "aloft_free_buffer"))
      (func (export "aloft_release"))))"),
             R"({"name":"f","export":"aloft_fn_f","signature":"","signature_hash":""})"));
  ASSERT_TRUE(module.has_value()) << module.error().message;
  const auto checked = (*module)->check_abi();
  ASSERT_FALSE(checked.has_value());
  EXPECT_NE(checked.error().message.find("aloft_fn_f"), std::string::npos)
      << checked.error().message;
}

TEST_F(ModuleTest, a_module_with_objects_has_the_exports_for_them) {
  const auto module =
      engine_->load(sealed(wat(R"((module (memory (export "memory") 1)
      (func (export "aloft_abi_version")) (func (export "aloft_buffer")) (func (export "aloft_free_buffer"))
      (func (export "aloft_release")) (func (export "aloft_object_make")) (func (export "aloft_state_load"))))"),
                           "", R"({"name":"C","state":"struct C{}","state_hash":"00"})"));
  ASSERT_TRUE(module.has_value()) << module.error().message;
  ASSERT_EQ((*module)->manifest()->objects.size(), 1U);
  EXPECT_EQ((*module)->manifest()->objects[0].state_hash, "00");
  const auto checked = (*module)->check_abi();
  ASSERT_FALSE(checked.has_value());
  EXPECT_NE(checked.error().message.find("aloft_state_save"), std::string::npos)
      << checked.error().message;
}

TEST_F(ModuleTest, a_method_of_no_class_is_no_manifest) {
  const std::string method =
      R"({"name":"C::f","export":"f","signature":"","signature_hash":"","object":1})";
  const std::string object = R"({"name":"C","state":"struct C{}","state_hash":"00"})";
  const auto module = engine_->load(sealed(wat("(module)"), method, object));
  ASSERT_FALSE(module.has_value());
  EXPECT_EQ(module.error().code, Errc::corrupt);
  EXPECT_TRUE(engine_->load(sealed(wat("(module)"), method, object + "," + object)).has_value());
}

TEST_F(ModuleTest, a_function_says_whether_it_has_effects) {
  const auto module = engine_->load(
      sealed(wat("(module)"),
             R"({"name":"f","export":"f","signature":"","signature_hash":"","effects":"once"},)"
             R"({"name":"g","export":"g","signature":"","signature_hash":"","effects":"pure"},)"
             R"({"name":"h","export":"h","signature":"","signature_hash":""})"));
  ASSERT_TRUE(module.has_value()) << module.error().message;
  const auto& functions = (*module)->manifest()->functions;
  EXPECT_TRUE(functions[0].once);
  EXPECT_FALSE(functions[1].once);
  EXPECT_FALSE(functions[2].once);
}

TEST_F(ModuleTest, a_module_without_a_manifest_is_no_module_of_the_abi) {
  EXPECT_FALSE(load(kSmall)->check_abi().has_value());
}

TEST_F(ModuleTest, what_was_compiled_once_is_not_compiled_again) {
  static_cast<void>(load(kSmall));
  static_cast<void>(load(kSmall));
  EXPECT_EQ(engine_->compilations(), 1U);
  auto later = Engine::create(options());
  ASSERT_TRUE(later.has_value());
  auto module = (*later)->load(wat(kSmall));
  ASSERT_TRUE(module.has_value());
  EXPECT_EQ((*later)->compilations(), 0U);
  EXPECT_EQ(instantiate(*module)->run("one", soon()), 1);
}

TEST_F(ModuleTest, a_tampered_artifact_is_compiled_again_and_never_loaded) {
  static_cast<void>(load(kSmall));
  const fs::path artifact = only_artifact();
  const auto size = fs::file_size(artifact);
  for (const std::uintmax_t at : {std::uintmax_t{0}, std::uintmax_t{40}, size / 2, size - 1}) {
    std::fstream file(artifact, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const char flipped = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(flipped);
    file.close();
    const auto before = engine_->compilations();
    static_cast<void>(load(kSmall));
    EXPECT_EQ(engine_->compilations(), before + 1) << at;  // and stored anew
  }
}

TEST_F(ModuleTest, an_artifact_under_another_modules_name_is_not_loaded) {
  static_cast<void>(load(kSmall));
  const fs::path first = only_artifact();
  const fs::path moved = folder_ / "moved";
  fs::rename(first, moved);
  static_cast<void>(load(R"((module (func (export "two") (result i32) (i32.const 2))))"));
  const fs::path second = only_artifact();
  fs::remove(second);
  fs::rename(moved, second);
  auto module = load(R"((module (func (export "two") (result i32) (i32.const 2))))");
  EXPECT_EQ(instantiate(module)->run("two", soon()), 2);
}

TEST_F(ModuleTest, a_cache_folder_that_others_may_write_is_refused) {
  const fs::path open = folder_ / "open";
  fs::create_directory(open);
  ::chmod(open.c_str(), 0777);
  const auto engine = Engine::create({.cache_dir = open});
  ASSERT_FALSE(engine.has_value());
  EXPECT_EQ(engine.error().code, Errc::refused);
}

}  // namespace
}  // namespace aloft::runtime
