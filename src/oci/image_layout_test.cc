#include "oci/image_layout.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "oci/testing/fixture.h"

namespace aloft::oci {
namespace {

namespace fs = std::filesystem;
using aloft::testing::write_file;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImageLayoutTest : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path blob(const Digest& digest) const {
    return path_ / "blobs/sha256" / digest.hex();
  }
  Artifact push(std::string_view name) {
    const Reference reference = tag(name);
    return push_artifact(*layout_, Kind::module, name, Blob::of(bytes_of(name)),
                         std::span(&reference, 1))
        .value();
  }
  Errc fetch(const Artifact& artifact) {
    const auto fetched = fetch_module(*layout_, artifact.content.digest, folder_ / "fetched",
                                      {.signers = {}, .unsigned_artifacts = Unsigned::allow});
    return fetched ? Errc{} : fetched.error().code;
  }

  aloft::testing::TempDir folder_;
  const fs::path path_ = folder_ / "layout";
  std::unique_ptr<ImageLayout> layout_ = ImageLayout::open(path_, Missing::make).value();
};

TEST_F(ImageLayoutTest, a_folder_of_other_things_is_not_made_a_repository) {
  fs::create_directory(folder_ / "pictures");
  write_file(folder_ / "pictures/cat.jpeg", bytes_of("cat"));
  EXPECT_EQ(ImageLayout::open(folder_ / "pictures", Missing::make).error().code, Errc::corrupt);
  EXPECT_EQ(ImageLayout::open(folder_ / "pictures").error().code, Errc::not_found);
  EXPECT_EQ(ImageLayout::open(folder_ / "nothing").error().code, Errc::not_found);
  EXPECT_FALSE(fs::exists(folder_ / "nothing"));
  write_file(path_ / "oci-layout", bytes_of(R"({"imageLayoutVersion":"2.0.0"})"));
  EXPECT_EQ(ImageLayout::open(path_).error().code, Errc::corrupt);
}

TEST_F(ImageLayoutTest, a_symbolic_link_does_not_lead_out_of_it) {
  const Artifact artifact = push("detect");
  // What it leads to even has the right bytes.
  write_file(folder_ / "outside", bytes_of("detect"));
  fs::remove(blob(artifact.content.digest));
  fs::create_symlink(folder_ / "outside", blob(artifact.content.digest));
  EXPECT_EQ(fetch(artifact), Errc::refused);
  fs::remove(blob(artifact.content.digest));
  ASSERT_EQ(::mkfifo(blob(artifact.content.digest).c_str(), 0600), 0);
  EXPECT_EQ(fetch(artifact), Errc::refused) << "and a pipe does not stop us";
}

TEST_F(ImageLayoutTest, an_index_that_is_none_is_corrupt_and_names_the_file) {
  (void)push("detect");
  for (const char* text :
       {"", "{", "[]", "null", R"({"schemaVersion":2})", R"({"schemaVersion":1,"manifests":[]})",
        R"({"schemaVersion":2,"manifests":{}})",
        R"({"schemaVersion":2,"manifests":[{"digest":"sha256:../../../etc/passwd",
            "annotations":{"org.opencontainers.image.ref.name":"detect"}}]})",
        R"({"schemaVersion":2,"manifests":[{"digest":7,
            "annotations":{"org.opencontainers.image.ref.name":"detect"}}]})"}) {
    write_file(path_ / "index.json", bytes_of(text));
    const auto resolved = layout_->resolve(tag("detect"));
    ASSERT_FALSE(resolved) << text;
    EXPECT_EQ(resolved.error().code, Errc::corrupt) << text;
    EXPECT_THAT(resolved.error().message, HasSubstr("index.json"));
  }
  write_file(path_ / "index.json", bytes_of(std::string(1'000'000, '[')));
  EXPECT_EQ(layout_->resolve(tag("detect")).error().code, Errc::corrupt);
}

TEST_F(ImageLayoutTest, what_others_wrote_into_the_index_stays) {
  write_file(path_ / "index.json",
             bytes_of(R"({"schemaVersion":2,"annotations":{"ours":"no"},"manifests":[
      {"mediaType":"application/vnd.oci.image.index.v1+json","size":1,"digest":"sha256:)" +
                      std::string(64, 'a') + R"(","platform":{"os":"linux"},"annotations":
      {"org.opencontainers.image.ref.name":"docker.io/library/thing:1"}}]})"));
  const Artifact artifact = push("detect");
  const auto index = aloft::testing::read_file(path_ / "index.json");
  const std::string text(reinterpret_cast<const char*>(index.data()), index.size());
  EXPECT_THAT(text, HasSubstr(R"("ours":"no")"));
  EXPECT_THAT(text, HasSubstr(R"("platform":{"os":"linux"})"));
  EXPECT_THAT(*layout_->tags(), ElementsAre(content_tag(artifact.content.digest).text(), "detect"));
}

TEST_F(ImageLayoutTest, what_a_killed_writer_left_is_removed_when_it_is_old) {
  const auto old_one = path_ / "blobs/sha256/.partial-AAAAAA";
  const auto new_one = path_ / "blobs/sha256/.partial-BBBBBB";
  write_file(old_one, bytes_of("half"));
  write_file(new_one, bytes_of("half"));
  fs::last_write_time(old_one, fs::file_time_type::clock::now() - std::chrono::hours(25));
  ASSERT_TRUE(ImageLayout::open(path_, Missing::make));
  EXPECT_FALSE(fs::exists(old_one));
  EXPECT_TRUE(fs::exists(new_one)) << "its writer may be at work";
}

TEST_F(ImageLayoutTest, readers_need_no_lock_and_no_right_to_write) {
  const Artifact artifact = push("detect");
  const int lock = ::open((path_ / "index.json.lock").c_str(), O_RDWR);
  ASSERT_GE(lock, 0);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  EXPECT_TRUE(layout_->resolve(tag("detect")));
  EXPECT_EQ(fetch(artifact), Errc{});
  ::close(lock);
}

TEST_F(ImageLayoutTest, a_manifest_that_is_too_deep_or_too_large_is_refused) {
  const auto resolve = [&](std::string text) {
    auto bytes = bytes_of(text);
    const Digest digest = sha256(bytes);
    write_file(blob(digest), bytes);
    const auto resolved = layout_->resolve(Reference::of_digest(digest));
    return resolved ? Errc{} : resolved.error().code;
  };
  EXPECT_EQ(resolve(std::string(900'000, '[')), Errc::corrupt);
  std::string deep = R"({"schemaVersion":2,"config":)";
  for (int i = 0; i < 100; ++i) deep += R"({"a":)";
  EXPECT_EQ(resolve(deep + "1" + std::string(101, '}')), Errc::corrupt);
  EXPECT_EQ(resolve("{\"a\":\"" + std::string(2'000'000, 'x') + "\"}"), Errc::resource_exhausted);
  const std::string part =
      R"({"mediaType":"m","size":1,"digest":"sha256:)" + std::string(64, 'a') + "\"}";
  const auto manifest = [&](const std::string& config, const std::string& layers) {
    return R"({"schemaVersion":2,"config":)" + config + R"(,"layers":[)" + layers + "]}";
  };
  EXPECT_EQ(resolve(manifest(part, part)), Errc{});
  EXPECT_EQ(resolve(manifest(part, "7")), Errc::corrupt);
  EXPECT_EQ(
      resolve(manifest(
          R"({"mediaType":"m","size":-1,"digest":"sha256:)" + std::string(64, 'a') + "\"}", part)),
      Errc::corrupt);
  EXPECT_EQ(resolve(manifest(R"({"mediaType":"m","size":1,"digest":"sha512:aa"})", part)),
            Errc::refused);
  EXPECT_EQ(resolve(manifest(R"({"mediaType":"m","size":1,"digest":"sha256:../../x"})", part)),
            Errc::corrupt);
  EXPECT_EQ(resolve(R"({"schemaVersion":2,"manifests":[]})"), Errc::refused);
  std::string many = part;
  for (int i = 0; i < 1024; ++i) many += "," + part;
  EXPECT_EQ(resolve(manifest(part, many)), Errc::refused);
}

TEST_F(ImageLayoutTest, a_title_that_is_a_path_becomes_no_name) {
  const auto content = bytes_of("module");
  const auto config = bytes_of("{}");
  ASSERT_TRUE(layout_->push_blob(Blob::of(content)));
  ASSERT_TRUE(layout_->push_blob(Blob::of(config)));
  const auto make = [&](std::string_view config_type, std::vector<Descriptor> layers) {
    return make_manifest("", {std::string(config_type), sha256(config), config.size()},
                         std::move(layers),
                         {{"org.opencontainers.image.title", "../../etc/passwd"}});
  };
  const Descriptor layer{"application/wasm", sha256(content), content.size()};
  const auto artifact = as_artifact(make("application/vnd.wasm.config.v0+json", {layer}));
  ASSERT_TRUE(artifact);
  EXPECT_TRUE(is_artifact_name(artifact->name)) << artifact->name;
  EXPECT_EQ(artifact->name, "module-" + sha256(content).hex().substr(0, 12));
  for (const Manifest& other : {make("application/vnd.wasm.config.v0+json", {layer, layer}),
                                make("application/vnd.wasm.config.v0+json", {}),
                                make("application/vnd.cncf.model.config.v1+json", {layer}),
                                make("application/vnd.oci.image.config.v1+json", {layer})})
    EXPECT_EQ(as_artifact(other).error().code, Errc::refused);
}

}  // namespace
}  // namespace aloft::oci
