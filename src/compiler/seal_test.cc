#include "compiler/seal.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "runtime/wasm_file.h"

namespace aloft::compiler {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::array kAbi = {"_initialize", "aloft_abi_version", "aloft_buffer",
                             "aloft_free_buffer", "aloft_release"};

void append(Bytes& out, std::initializer_list<int> bytes) {
  for (const int byte : bytes) out.push_back(static_cast<std::byte>(byte));
}
void append(Bytes& out, const std::string& name) {
  out.push_back(static_cast<std::byte>(name.size()));
  for (const char c : name) out.push_back(static_cast<std::byte>(c));
}
void append_section(Bytes& file, int id, const Bytes& content) {
  EXPECT_LT(content.size(), 128U * 128U);
  append(file, {id, static_cast<int>(content.size() & 0x7f) | 0x80,
                static_cast<int>(content.size() >> 7)});
  file.insert(file.end(), content.begin(), content.end());
}

// A module of one function, exported under each of `exports`, that imports `module`.f.
Bytes module_with(const std::vector<std::string>& exports,
                  const std::string& imported = "wasi_snapshot_preview1") {
  Bytes file;
  append(file, {0, 'a', 's', 'm', 1, 0, 0, 0});
  append_section(file, 1, [] {
    Bytes types;
    append(types, {1, 0x60, 0, 0});
    return types;
  }());
  Bytes imports;
  append(imports, {1});
  append(imports, imported);
  append(imports, "f");
  append(imports, {0, 0});
  append_section(file, 2, imports);
  Bytes exported;
  append(exported, {static_cast<int>(exports.size()) + 1});
  append(exported, "memory");
  append(exported, {2, 0});
  for (const std::string& name : exports) {
    append(exported, name);
    append(exported, {0, 0});
  }
  append_section(file, 7, exported);
  return file;
}

std::vector<std::string> all_exports() {
  std::vector<std::string> names(kAbi.begin(), kAbi.end());
  names.push_back("aloft_fn_f_12345678");
  return names;
}

std::string manifest() {
  return R"({"abi":1,"module":"m","functions":[{"name":"demo::f","export":"aloft_fn_f_12345678"}],"graphs":[]})";
}

TEST(Seal, puts_the_manifest_into_the_last_section_with_the_digest_of_what_precedes_it) {
  const Bytes linked = module_with(all_exports());
  const Result<Sealed> sealed = seal(linked, manifest());
  ASSERT_TRUE(sealed.has_value()) << sealed.error().message;
  EXPECT_TRUE(std::equal(linked.begin(), linked.end(), sealed->file.begin()));
  EXPECT_EQ(sealed->digest, "sha256:" + sha256(sealed->file).hex());
  const auto sections = runtime::read_sections(sealed->file).value();
  EXPECT_EQ(sections.back().name, "aloft.manifest");
  EXPECT_EQ(sections.back().begin, linked.size());
  const auto json = nlohmann::json::parse(read_manifest(sealed->file).value());
  EXPECT_EQ(json["content_sha256"], sha256(linked).hex());
  EXPECT_EQ(json["module"], "m");
  EXPECT_EQ(json["capabilities"], nlohmann::json::array());
}

TEST(Seal, of_what_is_sealed_changes_nothing) {
  const Sealed once = seal(module_with(all_exports()), manifest()).value();
  const Sealed twice = seal(once.file, manifest()).value();
  EXPECT_EQ(twice.file, once.file);
  EXPECT_EQ(twice.digest, once.digest);
}

TEST(Seal, names_inference_as_a_capability_when_it_is_imported) {
  const Sealed sealed = seal(module_with(all_exports(), "wasi_ephemeral_nn"), manifest()).value();
  EXPECT_EQ(nlohmann::json::parse(read_manifest(sealed.file).value())["capabilities"],
            nlohmann::json::array({"wasi_nn"}));
}

TEST(Seal, refuses_an_import_that_no_host_offers_by_name) {
  const auto sealed = seal(module_with(all_exports(), "env"), manifest());
  ASSERT_FALSE(sealed.has_value());
  EXPECT_EQ(sealed.error().code, Errc::refused);
  EXPECT_EQ(sealed.error().message,
            "the guest cannot run on a host:\n  it imports 'env.f', which no host offers");
}

TEST(Seal, of_a_module_with_objects_wants_the_exports_for_them) {
  const std::string with_objects =
      R"({"abi":1,"module":"m","functions":[],"objects":[{"name":"demo::C"}],"graphs":[]})";
  std::vector<std::string> exports = all_exports();
  exports.insert(exports.end(), {"aloft_object_make", "aloft_state_load"});
  const auto sealed = seal(module_with(exports), with_objects);
  ASSERT_FALSE(sealed.has_value());
  EXPECT_EQ(sealed.error().message,
            "the guest cannot run on a host:\n  it does not export 'aloft_state_save' of the guest "
            "ABI");
  exports.push_back("aloft_state_save");
  EXPECT_TRUE(seal(module_with(exports), with_objects).has_value());
}

TEST(Seal, refuses_missing_exports_by_name) {
  const auto sealed =
      seal(module_with({"_initialize", "aloft_abi_version", "aloft_buffer", "aloft_release"}),
           manifest());
  ASSERT_FALSE(sealed.has_value());
  EXPECT_EQ(sealed.error().message,
            "the guest cannot run on a host:\n"
            "  it does not export 'aloft_free_buffer' of the guest ABI\n"
            "  it does not export 'aloft_fn_f_12345678' (demo::f), nor 'demo_f' alone");
}

TEST(Seal, gives_an_export_with_a_plain_name_its_full_one) {
  std::vector<std::string> exports(kAbi.begin(), kAbi.end());
  exports.insert(exports.begin() + 2, "demo_f");
  exports.emplace_back("another");
  const auto sealed = seal(module_with(exports), manifest());
  ASSERT_TRUE(sealed.has_value()) << sealed.error().message;
  std::ranges::replace(exports, std::string("demo_f"), std::string("aloft_fn_f_12345678"));
  // The lengths of sections may be written in more bytes than they need; those of a section that
  // was written anew are not.
  const auto linked = runtime::rename_exports(module_with(exports), {}).value();
  const Sealed named = seal(linked, manifest()).value();
  EXPECT_EQ(sealed->file, named.file) << "it differs from one that was linked with the full name";
}

TEST(Seal, does_not_guess_which_of_two_overloads_a_plain_name_is) {
  std::vector<std::string> exports(kAbi.begin(), kAbi.end());
  exports.emplace_back("demo_f");
  const auto sealed = seal(
      module_with(exports),
      R"({"abi":1,"module":"m","functions":[{"name":"demo::f","export":"aloft_fn_f_12345678"},)"
      R"({"name":"demo::f","export":"aloft_fn_f_87654321"}],"graphs":[]})");
  ASSERT_FALSE(sealed.has_value());
  EXPECT_EQ(sealed.error().code, Errc::refused);
}

TEST(Seal, is_broken_by_any_flipped_byte_before_the_manifest) {
  const Sealed sealed = seal(module_with(all_exports()), manifest()).value();
  const std::size_t size = module_with(all_exports()).size();
  for (std::size_t at = 0; at < size; ++at) {
    Bytes flipped = sealed.file;
    flipped[at] ^= std::byte{1};
    const auto read = read_manifest(flipped);
    ASSERT_FALSE(read.has_value()) << "byte " << at;
    EXPECT_TRUE(read.error().code == Errc::corrupt || read.error().code == Errc::not_found);
  }
}

TEST(Seal, refuses_what_is_not_webassembly_or_is_cut_off) {
  const Bytes linked = module_with(all_exports());
  const std::string why = "not a WebAssembly module: ";
  EXPECT_EQ(seal({}, manifest()).error().message,
            why + "it does not begin with its magic number and version 1");
  int cut_within = 0;
  for (std::size_t size = 8; size < linked.size(); ++size) {
    const auto sealed = seal(std::span(linked).first(size), manifest());
    ASSERT_FALSE(sealed.has_value());  // cut between sections, its exports are missing
    cut_within += sealed.error().message == why + "it is cut off";
  }
  EXPECT_GT(cut_within, 10);
}

TEST(Manifest, of_a_module_without_one_is_not_found) {
  EXPECT_EQ(read_manifest(module_with(all_exports())).error().code, Errc::not_found);
}

}  // namespace
}  // namespace aloft::compiler
