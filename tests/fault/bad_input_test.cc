// Modules and models that are not what they should be: each is refused with its reason, and the
// session goes on.
#include <algorithm>
#include <iostream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "inference/testing/onnx_writer.h"
#include "support/demo.h"
#include "support/process.h"
#include "support/raw_ue.h"
#include "support/temp_dir.h"
#include "support/text_file.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// Replaces all of `from` by `to`, of the same length, so that no size in the file changes.
void replace_all(std::string& text, std::string_view from, std::string_view to) {
  ASSERT_EQ(from.size(), to.size());
  std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  for (; at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

class BadInput : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::copy(binary_dir() / "modules/probe.wasm", repository_.path());
    std::filesystem::copy(binary_dir() / "modules/infer.wasm", repository_.path());
    auto started = DemoEdge::start(cache_.path(), 0, repository_.path());
    ASSERT_TRUE(started) << started.error().message;
    edge_.emplace(std::move(*started));
    ue_.emplace(net::Address{"127.0.0.1", edge_->port()});
    ASSERT_TRUE(ue_->wait_up(5s));
  }

  // Puts a changed probe module into the repository and opens it by its own digest.
  Result<RawUe::Module> open_changed(const std::string& module) {
    const auto bytes = std::as_bytes(std::span(module));
    write_file(repository_ / "changed.wasm", bytes);
    changed_ = probe_;
    changed_.digest = "sha256:" + sha256(bytes).hex();
    return ue_->open(changed_, {});
  }
  Result<RawUe::Module> open_with_model(std::vector<std::byte> model, std::uint64_t said_size = 0) {
    return ue_->open(infer_, {{"model", std::move(model), said_size}});
  }
  void expect_session_goes_on() {
    const auto module = ue_->open(probe_, {});
    ASSERT_TRUE(module) << module.error().message;
    EXPECT_EQ(ue_->call(*module, "probe::join", arguments("a", "b")).get<std::string>(), "ab");
  }

  void TearDown() override {
    if (HasFailure() && edge_) std::cerr << edge_->process().transcript() << "\n";
  }

  TempDir cache_, repository_;
  std::optional<DemoEdge> edge_;
  std::optional<RawUe> ue_;
  const ModuleFile probe_{binary_dir() / "modules/probe.wasm"};
  const ModuleFile infer_{binary_dir() / "modules/infer.wasm"};
  ModuleFile changed_ = probe_;
};

TEST_F(BadInput, a_module_with_a_flipped_byte_is_corrupt) {
  std::string module = read_text(repository_ / "probe.wasm");
  module[module.size() / 3] = static_cast<char>(module[module.size() / 3] ^ 0x20);
  const auto opened = open_changed(module);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::corrupt);
  EXPECT_THAT(opened.error().message, HasSubstr("changed.wasm"));
  expect_session_goes_on();
}

TEST_F(BadInput, a_module_that_is_cut_off_is_corrupt_or_has_no_manifest) {
  std::string module = read_text(repository_ / "probe.wasm");
  module.resize(module.size() / 2);
  const auto opened = open_changed(module);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::corrupt) << opened.error().message;
  expect_session_goes_on();
}

TEST_F(BadInput, an_export_that_is_missing_is_named) {
  std::string module = read_text(repository_ / "probe.wasm");
  // In the manifest alone: the code's own name of the export stays.
  const std::size_t manifest = module.rfind("aloft.manifest");
  std::string tail = module.substr(manifest);
  const std::string name = probe_.manifest.functions[0].export_name;
  std::string other = name;
  other.back() = other.back() == '0' ? '1' : '0';
  replace_all(tail, name, other);
  const auto opened = open_changed(module.substr(0, manifest) + tail);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr(other)) << to_string(opened.error().code);
  expect_session_goes_on();
}

TEST_F(BadInput, an_import_outside_the_host_interface_is_refused_by_its_name) {
  std::string module = read_text(repository_ / "probe.wasm");
  const std::size_t name = module.rfind("aloft.manifest");
  // The section begins before its name: its id, its size (LEB128), the size of its name.
  const std::size_t before = module.rfind('\0', name);
  ASSERT_NE(before, std::string::npos);
  const std::string old_hash = sha256(std::as_bytes(std::span(module).first(before))).hex();
  ASSERT_EQ(old_hash, probe_.manifest.content_sha256);
  replace_all(module, "wasi_snapshot_preview1", "wasi_snapshot_previewX");
  replace_all(module, old_hash, sha256(std::as_bytes(std::span(module).first(before))).hex());
  const auto opened = open_changed(module);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::refused);
  EXPECT_THAT(opened.error().message, HasSubstr("wasi_snapshot_previewX"));
  expect_session_goes_on();
}

TEST_F(BadInput, another_signature_hash_is_told_with_both_sides) {
  const auto opened = ue_->open(probe_, {}, [](function::OpenModule& request) {
    request.functions[0].signature_hash = std::string(64, 'a');
  });
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::signature_mismatch);
  EXPECT_THAT(opened.error().message, HasSubstr("probe::"));
  expect_session_goes_on();
}

TEST_F(BadInput, a_module_that_the_repository_lacks_is_not_found) {
  const auto opened = ue_->open(probe_, {}, [](function::OpenModule& request) {
    request.digest = "sha256:" + std::string(64, '1');
  });
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::not_found);
  EXPECT_THAT(opened.error().message, HasSubstr("no module probe with digest sha256:1111"));
}

TEST_F(BadInput, a_module_that_comes_later_is_found_when_it_is_asked_for) {
  std::filesystem::copy(binary_dir() / "modules/hostile.wasm", repository_.path());
  const ModuleFile hostile(binary_dir() / "modules/hostile.wasm");
  const auto opened = ue_->open(hostile, {});
  ASSERT_TRUE(opened) << opened.error().message;
}

TEST_F(BadInput, arguments_that_no_instance_can_hold_are_refused_when_the_module_is_opened) {
  const auto opened = ue_->open(
      probe_, {}, [](function::OpenModule& request) { request.argument_bytes = 0xF000'0000; });
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::resource_exhausted);
  expect_session_goes_on();
}

TEST_F(BadInput, a_module_whose_model_is_not_named_is_refused) {
  const auto opened = ue_->open(infer_, {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::invalid_argument);
  EXPECT_THAT(opened.error().message, HasSubstr("'model'"));
}

TEST_F(BadInput, a_truncated_model_is_corrupt) {
  auto model = inference::testing::doubling_model({1});
  model.resize(model.size() / 2);
  const auto opened = open_with_model(model);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::corrupt) << opened.error().message;
  expect_session_goes_on();
}

TEST_F(BadInput, an_upload_shorter_than_was_said_is_corrupt) {
  const auto model = inference::testing::doubling_model({1});
  const auto opened = open_with_model(model, model.size() + 1000);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::corrupt) << opened.error().message;
  expect_session_goes_on();
}

TEST_F(BadInput, a_model_that_is_too_large_is_refused_before_it_is_sent) {
  const auto opened = open_with_model(inference::testing::doubling_model({1}), 1ULL << 40U);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::refused);
  EXPECT_EQ(ue_->models_wanted(), 0U);
}

TEST_F(BadInput, a_file_that_is_no_model_is_corrupt) {
  const auto opened = open_with_model(std::vector<std::byte>(5000, std::byte{0x42}));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::corrupt) << opened.error().message;
  expect_session_goes_on();
}

TEST(BadDevice, an_accelerator_that_is_not_there_is_an_error_that_says_what_to_install) {
  const TempDir empty;
  auto exec =
      Process::start({(binary_dir() / "bin/aloft-exec").string(), "--repository",
                      empty.path().string(), "--cache", empty.path().string(), "--inference-device",
                      "cuda", "--inference-libraries", empty.path().string()});
  ASSERT_TRUE(exec) << exec.error().message;
  EXPECT_EQ(exec->wait(20s), 2);
  EXPECT_THAT(exec->standard_error(),
              ::testing::StartsWith("error: no CUDA: there is no " +
                                    (empty / "libonnxruntime_providers_cuda.so").string()));
  EXPECT_THAT(exec->standard_error(), HasSubstr("onnxruntime-gpu"));
}

}  // namespace
}  // namespace aloft::testing
