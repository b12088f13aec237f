// `aloft module` as it is typed: real processes, a folder and a registry.
#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "runtime/wasm_file.h"
#include "support/docker_registry.h"
#include "support/process.h"
#include "support/programs.h"
#include "support/temp_dir.h"

namespace aloft {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using testing::Ran;
using namespace std::chrono_literals;

// A module without any function: the seal is what matters here.
std::vector<std::byte> sealed(const std::string& name) {
  const unsigned char header[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
  const auto bytes = std::as_bytes(std::span(header));
  std::vector<std::byte> file(bytes.begin(), bytes.end());
  const Json manifest = {{"abi", 1},
                         {"module", name},
                         {"functions", Json::array()},
                         {"graphs", Json::array()},
                         {"content_sha256", sha256(file).hex()}};
  const auto section = runtime::make_custom_section("aloft.manifest", manifest.dump());
  file.insert(file.end(), section.begin(), section.end());
  return file;
}

Json json_of(const Ran& ran) { return Json::parse(ran.output, nullptr, false); }

class ModuleCommandTest : public ::testing::Test {
 protected:
  Ran aloft(std::vector<std::string> arguments) {
    return testing::run_aloft(
        std::move(arguments),
        {.environment = {{"ALOFT_REPOSITORY", repository_}}, .working_directory = folder_.path()});
  }
  void SetUp() override {
    testing::write_file(folder_ / "file.wasm", module_);
    ASSERT_EQ(aloft({"module", "keygen", "ann"}).status, 0);
    ASSERT_EQ(aloft({"module", "keygen", "bob", "--type", "ecdsa"}).status, 0);
  }
  // Everything, once.
  void push_sign_list_inspect_pull();

  testing::TempDir folder_;
  std::string repository_ = (folder_ / "repository").string();
  const std::vector<std::byte> module_ = sealed("hello");
  const std::string digest_ = "sha256:" + sha256(module_).hex();
};

void ModuleCommandTest::push_sign_list_inspect_pull() {
  const Ran pushed = aloft({"module", "push", "file.wasm", "--tag", "v1", "--tag", "latest"});
  ASSERT_EQ(pushed.status, 0) << pushed.error;
  EXPECT_EQ(pushed.output, "hello@" + digest_ + "\n");

  Ran refused = aloft({"module", "pull", "v1", "--key", "ann.pub"});
  EXPECT_EQ(refused.status, 4);
  EXPECT_THAT(refused.error, HasSubstr("error: "));
  EXPECT_THAT(refused.error, HasSubstr("is not signed"));

  ASSERT_EQ(aloft({"module", "sign", digest_, "--key", "ann.key"}).status, 0);
  ASSERT_EQ(aloft({"module", "sign", "hello@" + digest_, "--key", "bob.key"}).status, 0);

  const Json list = json_of(aloft({"--json", "module", "list"}));
  ASSERT_EQ(list.size(), 1U) << list;
  EXPECT_EQ(list[0]["name"], "hello");
  EXPECT_EQ(list[0]["digest"], digest_);
  EXPECT_EQ(list[0]["tags"], Json::array({"latest", "v1"}));
  EXPECT_EQ(list[0]["has_signatures"], true);
  EXPECT_THAT(aloft({"module", "list"}).output, HasSubstr(digest_));

  const Json inspected =
      json_of(aloft({"--json", "module", "inspect", "latest", "--key", "bob.pub"}));
  EXPECT_EQ(inspected["digest"], digest_);
  EXPECT_EQ(inspected["signed_by"].get<std::string>().size(), 16U);
  const std::string manifest = inspected["manifest"];
  EXPECT_THAT(aloft({"module", "inspect", manifest}).output, HasSubstr(digest_));

  const Ran pulled = aloft({"module", "pull", digest_, "-o", "copy.wasm", "--key", "bob.pub"});
  ASSERT_EQ(pulled.status, 0) << pulled.error;
  EXPECT_EQ(testing::read_file(folder_ / "copy.wasm"), module_);
  const Ran unchecked = aloft({"module", "pull", "v1"});
  ASSERT_EQ(unchecked.status, 0) << unchecked.error;
  EXPECT_THAT(unchecked.error, HasSubstr("warning: "));
  EXPECT_EQ(testing::read_file(folder_ / "hello.wasm"), module_);

  EXPECT_EQ(aloft({"module", "pull", "nothing"}).status, 3);
  EXPECT_EQ(aloft({"module", "pull", "other@" + digest_}).status, 3);
  EXPECT_EQ(aloft({"module", "pull", "sha256:12"}).status, 2);
  EXPECT_EQ(aloft({"module", "pull", "../v1"}).status, 2);
}

TEST_F(ModuleCommandTest, all_commands_work_on_a_folder) { push_sign_list_inspect_pull(); }

TEST_F(ModuleCommandTest, all_commands_work_on_a_registry) {
  const testing::TempDir data;
  const auto registry = testing::DockerRegistry::start(data.path());
  ASSERT_TRUE(registry) << registry.error().message;
  repository_ = "http://" + registry->host() + "/team/modules";
  push_sign_list_inspect_pull();
}

TEST_F(ModuleCommandTest, what_a_host_would_refuse_is_not_pushed) {
  auto damaged = module_;
  damaged[4] ^= std::byte{2};
  testing::write_file(folder_ / "damaged.wasm", damaged);
  testing::write_file(folder_ / "plain.wasm", std::span(module_).first(8));
  Ran pushed = aloft({"module", "push", "plain.wasm"});
  EXPECT_EQ(pushed.status, 4);
  EXPECT_THAT(pushed.error, HasSubstr("has no manifest"));
  EXPECT_EQ(aloft({"module", "push", "damaged.wasm"}).status, 1);
  EXPECT_EQ(aloft({"module", "push", "nothing.wasm"}).status, 3);
  EXPECT_EQ(aloft({"module", "push"}).status, 2);
}

TEST_F(ModuleCommandTest, a_model_is_pushed_and_pulled) {
  testing::write_file(folder_ / "net.onnx", std::as_bytes(std::span("an ONNX file")));
  const Ran pushed =
      aloft({"--json", "module", "push", "--model", "net.onnx", "--sign", "ann.key"});
  ASSERT_EQ(pushed.status, 0) << pushed.error;
  EXPECT_EQ(json_of(pushed)[0]["kind"], "model");
  ASSERT_EQ(aloft({"module", "pull", "net", "-o", "copy.onnx", "--key", "ann.pub"}).status, 0);
  EXPECT_EQ(testing::read_file(folder_ / "copy.onnx"), testing::read_file(folder_ / "net.onnx"));
}

}  // namespace
}  // namespace aloft
