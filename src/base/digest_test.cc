#include "base/digest.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace aloft {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(Digest, is_that_of_the_standards_examples) {
  EXPECT_EQ(sha256({}).hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256(bytes_of("abc")).hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, does_not_depend_on_how_the_bytes_are_cut) {
  Sha256 hash;
  hash.update(bytes_of("a"));
  hash.update({});
  hash.update(bytes_of("bc"));
  EXPECT_EQ(hash.finish(), sha256(bytes_of("abc")));
  EXPECT_EQ(hash.finish(), sha256({})) << "it starts anew";
}

TEST(Digest, reads_what_it_writes_with_and_without_its_prefix) {
  const Digest digest = sha256(bytes_of("abc"));
  EXPECT_EQ(Digest::parse(digest.hex()).value(), digest);
  EXPECT_EQ(Digest::parse("sha256:" + digest.hex()).value(), digest);
  EXPECT_EQ(Digest::parse(digest.hex().substr(1)).error().code, Errc::invalid_argument);
  EXPECT_EQ(Digest::parse("g" + digest.hex().substr(1)).error().code, Errc::invalid_argument);
}

TEST(Digest, of_a_file_is_that_of_its_bytes) {
  const std::string path = testing::TempDir() + "aloft_digest_test";
  const std::string content(600'000, 'x');
  std::ofstream(path, std::ios::binary) << content;
  const auto file = sha256_file(path);
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->digest, sha256(bytes_of(content)));
  EXPECT_EQ(file->size, content.size());
  std::filesystem::remove(path);
}

TEST(Digest, of_a_file_that_is_not_there_is_not_found) {
  const auto file = sha256_file("/nonexistent/model.onnx");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, Errc::not_found);
  EXPECT_NE(file.error().message.find("/nonexistent/model.onnx"), std::string::npos);
}

}  // namespace
}  // namespace aloft
