#include "oci/repository.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/certificate.h"
#include "oci/registry_login.h"
#include "oci/testing/fixture.h"
#include "support/process.h"

namespace aloft::oci {
namespace {

using aloft::testing::DockerRegistry;
using aloft::testing::Process;
using aloft::testing::read_file;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

INSTANTIATE_TEST_SUITE_P(On, RepositoryTest, every_where(), name_of);

TEST_P(RepositoryTest, what_was_pushed_is_fetched_by_the_digest_of_its_content) {
  const Artifact pushed = push("detect", "the module", {tag("detect"), tag("v1.0")});
  const Digest content = sha256(bytes_of("the module"));
  EXPECT_EQ(pushed.content.digest, content);
  const auto fetched = fetch_module(*repository_, content, into_, unsigned_);
  ASSERT_TRUE(fetched) << fetched.error().message;
  EXPECT_EQ(fetched->name, "detect");
  EXPECT_EQ(fetched->manifest, pushed.manifest.digest);
  EXPECT_EQ(fetched->size, 10U);
  EXPECT_EQ(read_file(into_), bytes_of("the module"));
  EXPECT_THAT(*repository_->tags(), ElementsAre(content_tag(content).text(), "detect", "v1.0"));
}

TEST_P(RepositoryTest, the_manifest_of_a_module_is_the_same_everywhere) {
  // A signature of one place would otherwise be none in another.
  const Artifact here = push("detect", "the module");
  const auto elsewhere = open_repository((folder_ / "other").string(), {}, Missing::make).value();
  const auto there =
      push_artifact(*elsewhere, Kind::module, "detect", Blob::of(bytes_of("the module")), {});
  ASSERT_TRUE(there);
  EXPECT_EQ(there->manifest.bytes, here.manifest.bytes);
  const std::string text(reinterpret_cast<const char*>(here.manifest.bytes.data()),
                         here.manifest.bytes.size());
  EXPECT_THAT(text, HasSubstr(R"("mediaType":"application/vnd.wasm.config.v0+json")"));
  EXPECT_THAT(text, HasSubstr(R"("mediaType":"application/wasm")"));
}

TEST_P(RepositoryTest, a_tag_moves_and_the_content_stays_found) {
  const Artifact first = push("detect", "one", {tag("latest")});
  const Artifact second = push("detect", "two", {tag("latest")});
  EXPECT_EQ(repository_->resolve(tag("latest"))->digest, second.manifest.digest);
  EXPECT_TRUE(fetch_module(*repository_, first.content.digest, into_, unsigned_));
  EXPECT_EQ(read_file(into_), bytes_of("one"));
  EXPECT_TRUE(fetch_module(*repository_, second.content.digest, into_, unsigned_));
  EXPECT_EQ(read_file(into_), bytes_of("two"));
  EXPECT_EQ(repository_->resolve(Reference::of_digest(first.manifest.digest))->bytes,
            first.manifest.bytes);
}

TEST_P(RepositoryTest, what_is_not_there_is_not_found) {
  (void)push("detect", "one");
  const Digest other = sha256(bytes_of("other"));
  const auto fetched = fetch_module(*repository_, other, into_, unsigned_);
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, Errc::not_found);
  EXPECT_THAT(fetched.error().message, HasSubstr(other.hex()));
  EXPECT_EQ(repository_->resolve(tag("nothing")).error().code, Errc::not_found);
  EXPECT_EQ(repository_->resolve(Reference::of_digest(other)).error().code, Errc::not_found);
  EXPECT_EQ(repository_->read_blob(other, 1_KiB).error().code, Errc::not_found);
  EXPECT_FALSE(std::filesystem::exists(into_));
}

TEST_P(RepositoryTest, a_model_is_not_taken_for_a_module) {
  const Artifact model = push("pedestrian", "an ONNX file", {}, Kind::model);
  EXPECT_EQ(fetch_module(*repository_, model.content.digest, into_, unsigned_).error().code,
            Errc::refused);
  ASSERT_TRUE(fetch_model(*repository_, model.content.digest, into_, unsigned_));
  EXPECT_EQ(read_file(into_), bytes_of("an ONNX file"));
}

TEST_P(RepositoryTest, a_damaged_blob_is_corrupt_and_pushing_again_repairs_a_folder) {
  const Artifact pushed = push("detect", "the module");
  damage(pushed.content.digest);
  const auto fetched = fetch_module(*repository_, pushed.content.digest, into_, unsigned_);
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, Errc::corrupt);
  EXPECT_FALSE(std::filesystem::exists(into_));
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    EXPECT_NE(entry.path().filename().string().front(), '.') << entry.path();
  if (GetParam() == Where::registry) return;
  (void)push("detect", "the module");
  EXPECT_TRUE(fetch_module(*repository_, pushed.content.digest, into_, unsigned_));
}

TEST_P(RepositoryTest, a_damaged_manifest_is_not_believed) {
  const Artifact pushed = push("detect", "the module", {tag("detect")});
  damage(pushed.manifest.digest);
  const auto by_digest = repository_->resolve(Reference::of_digest(pushed.manifest.digest));
  ASSERT_FALSE(by_digest);
}

TEST_P(RepositoryTest, a_module_that_is_too_large_is_refused_before_it_is_fetched) {
  const Artifact pushed = push("detect", std::string(5000, 'x'));
  const auto fetched = fetch_module(*repository_, pushed.content.digest, into_, unsigned_, 4_KiB);
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, Errc::resource_exhausted);
  EXPECT_EQ(repository_->read_blob(pushed.content.digest, 4_KiB).error().code,
            Errc::resource_exhausted);
}

TEST_P(RepositoryTest, a_large_file_goes_in_pieces) {
  options_.chunk = 64_KiB;
  repository_ = open_repository(location_, options_).value();
  std::vector<std::byte> content(200'001);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i * i >> 7);
  aloft::testing::write_file(folder_ / "large", content);
  const auto blob = Blob::open(folder_ / "large");
  ASSERT_TRUE(blob);
  const auto pushed = push_artifact(*repository_, Kind::model, "large", *blob, {});
  ASSERT_TRUE(pushed) << pushed.error().message;
  const auto fetched = fetch_model(*repository_, blob->digest(), into_, unsigned_);
  ASSERT_TRUE(fetched) << fetched.error().message;
  EXPECT_EQ(read_file(into_), content);
}

TEST_P(RepositoryTest, many_may_push_at_once) {
  constexpr int kThreads = 4, kEach = 4;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        // Each through a repository of its own, as processes would; all push one thing the same.
        const auto mine = open_repository(location_, options_, Missing::make).value();
        for (int i = 0; i < kEach; ++i) {
          const std::string name = "m" + std::to_string(thread) + "-" + std::to_string(i);
          const Reference own = tag(name);
          const auto pushed = push_artifact(*mine, Kind::module, name, Blob::of(bytes_of(name)),
                                            std::span(&own, 1));
          EXPECT_TRUE(pushed) << pushed.error().message;
          const Reference same = tag("same");
          const auto common = push_artifact(*mine, Kind::module, "same", Blob::of(bytes_of("same")),
                                            std::span(&same, 1));
          EXPECT_TRUE(common) << common.error().message;
          EXPECT_TRUE(mine->resolve(own));
        }
      });
    }
  }
  const auto tags = repository_->tags();
  ASSERT_TRUE(tags);
  EXPECT_EQ(tags->size(), 2U * (kThreads * kEach + 1));  // with their content tags
  for (int thread = 0; thread < kThreads; ++thread)
    for (int i = 0; i < kEach; ++i) {
      const std::string name = "m" + std::to_string(thread) + "-" + std::to_string(i);
      EXPECT_THAT(*tags, Contains(name));
      EXPECT_TRUE(fetch_module(*repository_, sha256(bytes_of(name)), into_, unsigned_));
    }
}

TEST_P(RepositoryTest, a_name_that_could_be_a_path_is_refused) {
  for (const char* name : {"", "..", "../detect", "a/b", ".hidden", "-x", "a b", "\n"}) {
    const auto pushed =
        push_artifact(*repository_, Kind::module, name, Blob::of(bytes_of("x")), {});
    ASSERT_FALSE(pushed) << name;
    EXPECT_EQ(pushed.error().code, Errc::invalid_argument);
  }
}

TEST_P(RepositoryTest, a_manifest_whose_blobs_are_missing_is_not_stored) {
  const Manifest manifest =
      make_manifest("", {"application/vnd.wasm.config.v0+json", sha256(bytes_of("a")), 1},
                    {{"application/wasm", sha256(bytes_of("b")), 1}}, {});
  const Reference name = tag("lost");
  const auto pushed = repository_->push_manifest(manifest, std::span(&name, 1));
  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code, Errc::not_found) << pushed.error().message;
  EXPECT_EQ(repository_->resolve(name).error().code, Errc::not_found);
}

Result<std::string> run(std::vector<std::string> command) {
  auto process = Process::start(std::move(command));
  if (!process) return std::unexpected(process.error());
  const auto status = process->wait(50s);
  if (status != 0) return fail(Errc::internal, process->transcript());
  return process->standard_output();
}

// Where skopeo finds it.
std::string for_skopeo(Where where, const std::string& location, const std::string& name) {
  if (where == Where::folder) return "oci:" + location + ":" + name;
  return "docker://" + location.substr(std::string("http://").size()) + ":" + name;
}

TEST_P(RepositoryTest, skopeo_reads_what_we_write_and_we_read_what_it_writes) {
  const Artifact pushed = push("detect", "the module", {tag("v1")});
  const auto raw = run({"skopeo", "inspect", "--raw", "--tls-verify=false",
                        for_skopeo(GetParam(), location_, "v1")});
  ASSERT_TRUE(raw) << raw.error().message;
  EXPECT_EQ(bytes_of(*raw), pushed.manifest.bytes);

  const std::string copy = (folder_ / "copy").string();
  const auto copied =
      run({"skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--preserve-digests",
           for_skopeo(GetParam(), location_, "v1"), "oci:" + copy + ":copied"});
  ASSERT_TRUE(copied) << copied.error().message;
  auto layout = open_repository(copy, {});
  ASSERT_TRUE(layout) << layout.error().message;
  const auto manifest = (*layout)->resolve(tag("copied"));
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->digest, pushed.manifest.digest);
  ASSERT_TRUE((*layout)->save_blob(pushed.content.digest, 1_KiB, into_));

  const auto back =
      run({"skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "--preserve-digests",
           "oci:" + copy + ":copied", for_skopeo(GetParam(), location_, "back")});
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(repository_->resolve(tag("back"))->digest, pushed.manifest.digest);
  EXPECT_TRUE(repository_->resolve(tag("v1")));
}

// user: "ann", password: "secret"
constexpr const char* kHtpasswd =
    "ann:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

class SecureRegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto authority = identity::Authority::create("test").value();
    const auto issued =
        authority
            .issue({.identity = {"test", identity::Role::host, "registry"}, .hosts = {"127.0.0.1"}})
            .value();
    ASSERT_TRUE(authority.save(folder_ / "ca"));
    ASSERT_TRUE(identity::save(issued, folder_.path(), "registry"));
    auto server = DockerRegistry::start(folder_.path(), {.certificate = folder_ / "registry.pem",
                                                         .key = folder_ / "registry.key",
                                                         .htpasswd = kHtpasswd});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    url_ = "https://" + server_->host() + "/modules";
    options_.authority = folder_ / "ca/ca.pem";
    options_.first_pause = 10ms;
  }
  Result<Artifact> push() {
    const auto repository = open_repository(url_, options_);
    if (!repository) return std::unexpected(repository.error());
    return push_artifact(**repository, Kind::module, "detect", Blob::of(bytes_of("m")), {});
  }

  aloft::testing::TempDir folder_;
  std::optional<DockerRegistry> server_;
  std::string url_;
  RegistryOptions options_;
};

TEST_F(SecureRegistryTest, a_password_over_tls_lets_us_in) {
  options_.user = "ann";
  options_.password = "secret";
  const auto pushed = push();
  ASSERT_TRUE(pushed) << pushed.error().message;
  const auto repository = open_repository(url_, options_).value();
  const auto fetched = fetch_module(*repository, pushed->content.digest, folder_ / "fetched",
                                    {.signers = {}, .unsigned_artifacts = Unsigned::allow});
  ASSERT_TRUE(fetched) << fetched.error().message;
}

TEST_F(SecureRegistryTest, a_wrong_password_and_none_are_refused_with_what_to_do) {
  auto pushed = push();
  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code, Errc::refused);
  EXPECT_THAT(pushed.error().message, HasSubstr("asks for a user and password"));
  options_.user = "ann";
  options_.password = "wrong";
  pushed = push();
  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code, Errc::refused);
  EXPECT_THAT(pushed.error().message, HasSubstr("does not accept"));
  EXPECT_THAT(pushed.error().message, ::testing::Not(HasSubstr("wrong")));
}

TEST_F(SecureRegistryTest, a_login_file_of_other_tools_serves) {
  const auto file = folder_ / "auth.json";
  const auto made = run({"skopeo", "login", "--authfile", file.string(), "--tls-verify=false", "-u",
                         "ann", "-p", "secret", server_->host()});
  ASSERT_TRUE(made) << made.error().message;
  const auto login = find_login(file, url_);
  ASSERT_TRUE(login) << login.error().message;
  options_.user = login->user;
  options_.password = login->password;
  const auto pushed = push();
  EXPECT_TRUE(pushed) << pushed.error().message;
  EXPECT_EQ(find_login(file, "https://elsewhere.example/modules")->user, "");
}

TEST_F(SecureRegistryTest, a_certificate_of_another_authority_is_refused) {
  ASSERT_TRUE(identity::Authority::create("other")->save(folder_ / "other"));
  options_.authority = folder_ / "other/ca.pem";
  options_.user = "ann";
  options_.password = "secret";
  const auto pushed = push();
  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code, Errc::refused) << pushed.error().message;
  EXPECT_THAT(pushed.error().message, HasSubstr("certificate"));
}

TEST_F(SecureRegistryTest, a_registry_that_is_gone_is_unreachable_in_bounded_time) {
  options_.user = "ann";
  options_.password = "secret";
  server_->process().kill();
  ASSERT_TRUE(server_->process().wait(10s));
  const auto pushed = push();
  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code, Errc::unreachable) << pushed.error().message;
}

TEST(RepositoryLocation, in_clear_and_over_other_protocols_is_refused) {
  for (const char* location :
       {"http://registry.example.org/modules", "http://10.0.0.1/modules", "ftp://127.0.0.1/modules",
        "https://ann:secret@127.0.0.1/modules", "https://127.0.0.1/", "https://127.0.0.1/Modules",
        "https://127.0.0.1/a/../b", "https://127.0.0.1/a?b", "http://127.evil.example/modules",
        "https:///modules", ""}) {
    const auto opened = open_repository(location, {});
    ASSERT_FALSE(opened) << location;
    EXPECT_THAT(opened.error().code, ::testing::AnyOf(Errc::refused, Errc::invalid_argument))
        << location;
  }
}

}  // namespace
}  // namespace aloft::oci
