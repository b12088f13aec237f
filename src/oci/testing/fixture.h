// What tests of repositories share: a repository in a folder or in a registry, made anew.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "oci/artifact.h"
#include "oci/registry.h"
#include "oci/repository.h"
#include "support/docker_registry.h"
#include "support/temp_dir.h"

namespace aloft::oci {

inline std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline Reference tag(std::string_view name) { return Reference::of_tag(name).value(); }

enum class Where { folder, registry };

// The test runs on both.
class RepositoryTest : public ::testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    if (GetParam() == Where::registry) {
      std::filesystem::create_directory(folder_ / "registry");
      auto server = aloft::testing::DockerRegistry::start(folder_ / "registry");
      ASSERT_TRUE(server) << server.error().message;
      server_ = *std::move(server);
      location_ = "http://" + server_->host() + "/team/modules";
    } else {
      location_ = (folder_ / "layout").string();
    }
    auto opened = open_repository(location_, options_, Missing::make);
    ASSERT_TRUE(opened) << opened.error().message;
    repository_ = *std::move(opened);
  }

  Artifact push(std::string_view name, std::string_view content, std::vector<Reference> tags = {},
                Kind kind = Kind::module) {
    auto pushed = push_artifact(*repository_, kind, name, Blob::of(bytes_of(content)), tags);
    if (!pushed) ADD_FAILURE() << pushed.error().message;
    return pushed.value();
  }
  [[nodiscard]] std::filesystem::path blob_file(const Digest& digest) const {
    if (server_) return server_->blob_file(digest.hex());
    return folder_ / "layout/blobs/sha256" / digest.hex();
  }
  // One byte in the middle is another one now.
  void damage(const Digest& digest) const {
    auto bytes = aloft::testing::read_file(blob_file(digest));
    bytes[bytes.size() / 2] ^= std::byte{1};
    aloft::testing::write_file(blob_file(digest), bytes);
  }

  aloft::testing::TempDir folder_;
  RegistryOptions options_{.first_pause = std::chrono::milliseconds(10)};
  std::optional<aloft::testing::DockerRegistry> server_;
  std::string location_;
  std::unique_ptr<Repository> repository_;
  const std::filesystem::path into_ = folder_ / "fetched";
  const Verification unsigned_{.signers = {}, .unsigned_artifacts = Unsigned::allow};
};

inline auto every_where() { return ::testing::Values(Where::folder, Where::registry); }
inline std::string name_of(const ::testing::TestParamInfo<Where>& info) {
  return info.param == Where::folder ? "folder" : "registry";
}

}  // namespace aloft::oci
