// Modules that are not what they should be, or are made to hurt whoever reads or compiles them, as
// somebody who may write to the repository puts them there.
#include <array>
#include <atomic>
#include <future>

#include <gmock/gmock.h>

#include "attack_modules.h"
#include "oci/artifact.h"
#include "oci/blob.h"
#include "oci/registry.h"
#include "oci/repository.h"
#include "runtime/testing/wat.h"
#include "runtime/wasm_file.h"
#include "world.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ModuleAttack : public HostileTest {
 protected:
  void SetUp() override {
    HostileTest::SetUp();
    bystander_ = std::make_unique<Bystander>(cluster());
  }
  void TearDown() override {
    bystander_->expect_undisturbed();
    bystander_.reset();
    HostileTest::TearDown();
  }

  // A guest that does nothing, under this name, so that no two tests have the same one.
  static std::vector<std::byte> plain(const std::string& name) {
    return sealed(guest("", function("run", "(i32.const 1)")), name, {"run"});
  }
  // Into the repository without a look at it, as other tools do.
  static ModuleFile smuggled(const std::string& name, std::span<const std::byte> file) {
    auto repository = oci::open_repository(cluster().repository().string(), {});
    EXPECT_TRUE(repository);
    const auto pushed = oci::push_artifact(**repository, oci::Kind::module, name,
                                           oci::Blob::of({file.begin(), file.end()}), {});
    EXPECT_TRUE(pushed) << pushed.error().message;
    // What the device says it is; the host looks for itself.
    ModuleFile known(binary_dir() / "modules/probe.wasm");
    known.manifest.module = name;
    known.digest = "sha256:" + sha256(file).hex();
    return known;
  }
  // Why a session with it does not come about.
  static Error refusal_of(const ClusterDevice& device, const ModuleFile& file) {
    const auto session = device.open({&file});
    if (!session) return session.error();
    (void)device.close(session->id());
    return {Errc::internal, "opened"};
  }
  // The cluster's programs take what is right all the same.
  void expect_serves(const ClusterDevice& device) {
    static std::atomic<int> number = 0;
    const std::string name = "fine-" + std::to_string(++number);
    const auto file = pushed(name, plain(name));
    const auto ue = linked(device, {&file});
    ASSERT_TRUE(ue);
    const auto module = open_patiently(*ue, file);
    ASSERT_TRUE(module) << module.error().message;
    EXPECT_EQ(ue->call(*module, name + "::run", arguments()).get<std::uint32_t>(), 1U);
  }

  std::unique_ptr<Bystander> bystander_;
};

TEST_F(ModuleAttack, only_what_the_publisher_has_signed_runs_for_a_strict_tenant) {
  const ClusterDevice strict = cluster().device("strict");
  const auto good =
      pushed("signed", plain("signed"), {"--sign", (cluster().keys() / "publisher.key").string()});
  EXPECT_TRUE(strict.open({&good}));
  const auto none = pushed("unsigned", plain("unsigned"));
  const auto error = refusal_of(strict, none);
  EXPECT_EQ(error.code, Errc::refused);
  EXPECT_THAT(error.message, HasSubstr("sign"));
  ASSERT_TRUE(cluster().aloft({"module", "keygen", files_ / "other"}));
  const auto other =
      pushed("signed-by-another", plain("signed-by-another"), {"--sign", files_ / "other.key"});
  EXPECT_EQ(refusal_of(strict, other).code, Errc::refused);
  // One that another tenant has had the host fetch, unsigned, is not taken for verified.
  EXPECT_TRUE(evil_.open({&none}));
  EXPECT_EQ(refusal_of(strict, none).code, Errc::refused);
}

TEST_F(ModuleAttack, one_that_was_changed_in_the_repository_is_corrupt) {
  const auto file = pushed("changed", plain("changed"));
  const auto blob = cluster().repository() / "blobs" / "sha256" / file.digest.substr(7);
  ASSERT_TRUE(std::filesystem::exists(blob)) << blob;
  auto bytes = read_file(blob);
  bytes[bytes.size() / 2] ^= std::byte{1};
  std::filesystem::permissions(blob, std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  write_file(blob, bytes);
  EXPECT_EQ(refusal_of(evil_, file).code, Errc::corrupt);
  expect_serves(evil_);
}

TEST_F(ModuleAttack, what_no_tenant_is_granted_is_not_imported) {
  const auto nn = pushed(
      "wants-networks",
      sealed(guest("(import \"wasi_ephemeral_nn\" \"compute\" (func (param i32) (result i32)))",
                   function("run", "(i32.const 1)")),
             "wants-networks", {"run"}));
  const auto error = refusal_of(cluster().device("plain"), nn);
  EXPECT_EQ(error.code, Errc::refused);
  EXPECT_THAT(error.message, HasSubstr("wasi_ephemeral_nn"));
}

TEST_F(ModuleAttack, a_name_with_lines_in_it_forges_none_in_a_log) {
  const std::string lie = "env\n2026-01-01 00:00:00.000 aloft-host[1] info: all is well\x1b[2J";
  std::string escaped;
  for (const char c : lie) {
    const auto code = static_cast<unsigned char>(c);
    escaped += code < 0x20 ? std::string("\\") + "0123456789abcdef"[code / 16] +
                                 "0123456789abcdef"[code % 16]
                           : std::string(1, c);
  }
  const auto file = smuggled("lines", sealed(guest("(import \"" + escaped + "\" \"f\" (func))",
                                                   function("run", "(i32.const 1)")),
                                             "lines", {"run"}));
  const auto error = refusal_of(evil_, file);
  EXPECT_EQ(error.code, Errc::refused) << error.message;
  EXPECT_THAT(error.message, HasSubstr("all is well"));
  EXPECT_EQ(error.message.find_first_of("\n\x1b"), std::string::npos);
  // The host has said so, in one line, by the time its manager answers.
  for (const Process* const process : {&cluster().host_process(), &cluster().manager_process()}) {
    EXPECT_THAT(process->standard_error(), Not(HasSubstr("\n2026-01-01")));
    EXPECT_THAT(process->standard_error(), Not(HasSubstr("\x1b[2J")));
  }
}

TEST_F(ModuleAttack, imports_exports_and_sections_without_end_are_refused_by_the_host) {
  const auto header = runtime::testing::wat("(module)");
  const auto with = [&](std::byte id, std::span<const std::byte> entry, std::uint32_t count) {
    std::vector<std::byte> content;
    const auto number = [](std::vector<std::byte>& out, std::size_t value) {
      for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::byte>(value | 0x80));
      out.push_back(static_cast<std::byte>(value));
    };
    number(content, count);
    for (std::uint32_t i = 0; i < count; ++i)
      content.insert(content.end(), entry.begin(), entry.end());
    auto file = header;
    file.push_back(id);
    number(file, content.size());
    file.insert(file.end(), content.begin(), content.end());
    return file;
  };
  const std::array<std::byte, 4> import{};  // no name, no name, function 0
  const std::array<std::byte, 3> exported{};
  const auto imports = smuggled("imports", with(std::byte{2}, import, 2'000'000));
  EXPECT_EQ(refusal_of(evil_, imports).code, Errc::corrupt);
  const auto exports = smuggled("exports", with(std::byte{7}, exported, 2'000'000));
  EXPECT_EQ(refusal_of(evil_, exports).code, Errc::corrupt);
  auto sections = header;
  for (int i = 0; i < 1'000'000; ++i)
    sections.insert(sections.end(), {std::byte{0}, std::byte{1}, std::byte{0}});
  const auto many = smuggled("sections", sections);
  EXPECT_EQ(refusal_of(evil_, many).code, Errc::corrupt);
  expect_serves(evil_);
}

TEST_F(ModuleAttack, a_manifest_of_any_size_or_depth_is_read_within_bounds) {
  const auto wasm = guest("", function("run", "(i32.const 1)"));
  const auto with_manifest = [&](const std::string& text) {
    auto file = wasm;
    const auto section = runtime::make_custom_section("aloft.manifest", text);
    file.insert(file.end(), section.begin(), section.end());
    return file;
  };
  for (const auto& [name, text] :
       {std::pair{"deep", std::string(2'000'000, '[')},
        std::pair{"wide", "{\"abi\":1,\"x\":[" + std::string(20'000'000, '0') + "]}"},
        std::pair{"long", "[" + [] {
                    std::string all;
                    for (int i = 0; i < 2'000'000; ++i) all += "{},";
                    return all;
                  }() + "0]"}}) {
    const auto file = smuggled(name, with_manifest(text));
    const auto error = refusal_of(evil_, file);
    EXPECT_THAT(error.code, AnyOf(Errc::corrupt, Errc::overloaded, Errc::refused))
        << name << ": " << error.message;
  }
  expect_serves(evil_);
}

// Whatever becomes of them, others go on, and the one who sent them may go on with something else.
TEST_F(ModuleAttack, what_takes_long_to_compile_holds_up_nobody_else) {
  const auto bomb = pushed("bomb", sealed(compile_bomb(1500), "bomb", {"bomb"}));
  const auto many = pushed("many", sealed(many_functions(100'000), "many", {"few"}));
  const auto deep = pushed("deep", sealed(deep_nesting(30'000), "deep", {"deep"}));
  std::vector<std::future<Error>> outcomes;
  for (const ModuleFile* const one : {&bomb, &many, &deep}) {
    outcomes.push_back(
        std::async(std::launch::async, [this, one] { return refusal_of(evil_, *one); }));
  }
  bystander_->expect_undisturbed();
  expect_serves(cluster().device("good"));
  for (auto& outcome : outcomes) {
    const Error error = outcome.get();
    if (error.message == "opened") continue;  // it was not long
    EXPECT_THAT(error.code, AnyOf(Errc::overloaded, Errc::deadline_exceeded, Errc::corrupt))
        << error.message;
  }
}

// What is packed would be unpacked by somebody, to any size: no layout of ours has such a layer.
TEST_F(ModuleAttack, a_layer_that_would_have_to_be_unpacked_is_no_module) {
  auto repository = oci::open_repository(cluster().repository().string(), {});
  ASSERT_TRUE(repository);
  for (const char* const type :
       {"application/wasm+gzip", "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.v1.tar+gzip"}) {
    const auto bytes = plain("packed-" + std::to_string(std::string_view(type).size()));
    const auto artifact =
        oci::push_artifact(**repository, oci::Kind::module, "packed", oci::Blob::of(bytes), {});
    ASSERT_TRUE(artifact) << artifact.error().message;
    oci::Descriptor layer = artifact->manifest.layers.front();
    layer.media_type = type;
    const auto packed =
        oci::make_manifest(artifact->manifest.artifact_type, artifact->manifest.config, {layer},
                           artifact->manifest.annotations);
    const oci::Reference tag = oci::content_tag(artifact->content.digest);
    ASSERT_TRUE((*repository)->push_manifest(packed, std::span(&tag, 1)));
    ModuleFile known = probe_;
    known.manifest.module = "packed";
    known.digest = "sha256:" + sha256(bytes).hex();
    // What this tenant has sent before may still be at its turn with the compiler.
    Error error = refusal_of(evil_, known);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (error.code == Errc::overloaded && std::chrono::steady_clock::now() < end)
      error = refusal_of(evil_, known);
    EXPECT_THAT(error.code, AnyOf(Errc::refused, Errc::corrupt)) << type << ": " << error.message;
  }
}

}  // namespace
}  // namespace aloft::testing
