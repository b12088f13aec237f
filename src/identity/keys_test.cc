// Keys and their files: SigningKey, VerifyingKey, PublicKey, key_file.h, base64.h.
#include <cstdlib>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "identity/base64.h"
#include "identity/key_file.h"
#include "identity/public_key.h"
#include "identity/signing_key.h"
#include "identity/testing/bytes.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace aloft::identity {
namespace {

using aloft::testing::TempDir;
using testing::bytes_of;
using testing::from_hex;
using testing::openssl;

constexpr std::string_view kSeed =
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

TEST(SigningKey, signs_as_rfc_8032_has_it) {
  const auto key = SigningKey::from_raw(from_hex(kSeed));
  ASSERT_TRUE(key);
  EXPECT_EQ(Digest::parse("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
                .value()
                .hex(),
            testing::to_hex(key->verifying().raw()));
  EXPECT_EQ(
      testing::to_hex(key->sign({})),
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
      "1cf9b46bd25bf5f0595bbe24655141438e7a100b");
  EXPECT_FALSE(SigningKey::from_raw(from_hex("9d61")));
}

TEST(SigningKey, verifies_what_it_signed_and_nothing_else) {
  const SigningKey key = SigningKey::generate();
  const auto message = bytes_of("a module");
  Signature signature = key.sign(message);
  EXPECT_TRUE(key.verifying().verify(message, signature));
  EXPECT_FALSE(SigningKey::generate().verifying().verify(message, signature));
  EXPECT_FALSE(key.verifying().verify(bytes_of("a modulo"), signature));
  EXPECT_FALSE(key.verifying().verify(message, std::span(signature).first(63)));
  EXPECT_FALSE(key.verifying().verify(message, {}));
  for (auto& byte : signature) {
    byte ^= std::byte{0x10};
    EXPECT_FALSE(key.verifying().verify(message, signature));
    byte ^= std::byte{0x10};
  }
}

// RFC 8032 has the second half of a signature below the group's order; adding the order to it makes
// another signature of the same message where that is not checked.
TEST(SigningKey, takes_no_second_form_of_a_signature) {
  const SigningKey key = SigningKey::generate();
  const auto message = bytes_of("a module");
  Signature signature = key.sign(message);
  const auto order = from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    carry += std::to_integer<unsigned>(signature[32 + i]) + std::to_integer<unsigned>(order[i]);
    signature[32 + i] = static_cast<std::byte>(carry & 0xffU);
    carry >>= 8U;
  }
  ASSERT_EQ(carry, 0U);
  EXPECT_FALSE(key.verifying().verify(message, signature));
  const auto as_public = PublicKey::from_ed25519(key.verifying().raw());
  ASSERT_TRUE(as_public);
  EXPECT_FALSE(as_public->verify(message, signature));
}

TEST(SigningKey, is_the_same_after_a_way_through_files_that_openssl_reads) {
  const TempDir folder;
  const SigningKey key = SigningKey::generate();
  ASSERT_TRUE(key.save(folder / "a.key"));
  struct stat status{};
  ASSERT_EQ(::stat((folder / "a.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  const auto loaded = SigningKey::load(folder / "a.key");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->verifying(), key.verifying());

  openssl({"pkey", "-in", folder / "a.key", "-pubout", "-out", folder / "a.pub"});
  const auto open = VerifyingKey::load(folder / "a.pub");
  ASSERT_TRUE(open) << open.error().message;
  EXPECT_EQ(*open, key.verifying());
  EXPECT_EQ(open->id(), key.verifying().id());
  EXPECT_EQ(open->id().size(), 16U);
  EXPECT_EQ(testing::text_file(folder / "a.pub"), key.verifying().to_pem());
}

TEST(SigningKey, is_not_written_over_another_one) {
  const TempDir folder;
  const SigningKey key = SigningKey::generate();
  ASSERT_TRUE(key.save(folder / "a.key"));
  const auto again = SigningKey::generate().save(folder / "a.key");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::refused);
  EXPECT_EQ(SigningKey::load(folder / "a.key")->verifying(), key.verifying());
  // Nothing is left of the attempt.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(SigningKey, that_others_may_read_is_refused) {
  const TempDir folder;
  ASSERT_TRUE(SigningKey::generate().save(folder / "a.key"));
  for (const mode_t mode : {0604U, 0602U, 0620U, 0666U, 0601U}) {
    ASSERT_EQ(::chmod((folder / "a.key").c_str(), mode), 0);
    const auto loaded = SigningKey::load(folder / "a.key");
    ASSERT_FALSE(loaded) << std::oct << mode;
    EXPECT_EQ(loaded.error().code, Errc::refused);
    EXPECT_NE(loaded.error().message.find("chmod 600"), std::string::npos);
  }
  // A secret that Kubernetes mounts is root's, and its group may read it.
  ASSERT_EQ(::chmod((folder / "a.key").c_str(), 0440), 0);
  EXPECT_EQ(SigningKey::load(folder / "a.key").has_value(), ::geteuid() == 0);
}

TEST(SigningKey, says_which_file_is_no_key) {
  const TempDir folder;
  const auto missing = SigningKey::load(folder / "missing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  EXPECT_NE(missing.error().message.find("missing"), std::string::npos);
  ASSERT_TRUE(write_key_file(folder / "text", "hello", Secrecy::secret));
  EXPECT_EQ(SigningKey::load(folder / "text").error().code, Errc::corrupt);
  openssl({"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
           folder / "p256"});
  EXPECT_EQ(SigningKey::load(folder / "p256").error().code, Errc::corrupt);
  // Encrypted: refused, without a question on the terminal.
  openssl({"genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:secret", "-out",
           folder / "locked"});
  EXPECT_EQ(SigningKey::load(folder / "locked").error().code, Errc::corrupt);
  EXPECT_EQ(SigningKey::load(folder.path()).error().code, Errc::corrupt);
}

TEST(KeyFile, is_bounded_and_not_waited_for) {
  const TempDir folder;
  ASSERT_TRUE(write_key_file(folder / "large", std::string(kMaxKeyFile + 1, 'x'), Secrecy::open));
  EXPECT_EQ(read_key_file(folder / "large", Secrecy::open).error().code, Errc::corrupt);
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(read_key_file(folder / "pipe", Secrecy::open).error().code, Errc::corrupt);
}

TEST(PublicKey, of_either_kind_verifies_what_openssl_signed) {
  const TempDir folder;
  aloft::testing::write_file(folder / "m", bytes_of("a module"));
  for (const std::string algorithm : {"ed25519", "EC"}) {
    std::vector<std::string> command{"genpkey", "-algorithm", algorithm, "-out", folder / "k"};
    if (algorithm == "EC") {
      command.emplace_back("-pkeyopt");
      command.emplace_back("ec_paramgen_curve:P-256");
    }
    openssl(command);
    openssl({"pkey", "-in", folder / "k", "-pubout", "-out", folder / "p"});
    openssl({"pkeyutl", "-sign", "-inkey", folder / "k", "-rawin", "-in", folder / "m", "-out",
             folder / "s"});
    const auto key = PublicKey::load(folder / "p");
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(key->type(), algorithm == "EC" ? KeyType::ecdsa_p256 : KeyType::ed25519);
    auto signature = aloft::testing::read_file(folder / "s");
    EXPECT_TRUE(key->verify(bytes_of("a module"), signature));
    EXPECT_FALSE(key->verify(bytes_of("another"), signature));
    signature.push_back(std::byte{0});
    EXPECT_FALSE(key->verify(bytes_of("a module"), signature));
    EXPECT_FALSE(key->verify(bytes_of("a module"), {}));
    const auto same = PublicKey::from_der(key->der());
    ASSERT_TRUE(same);
    EXPECT_EQ(*same, *key);
    EXPECT_EQ(sha256(key->der()), key->digest());
    auto longer = key->der();
    longer.push_back(std::byte{0});
    EXPECT_EQ(PublicKey::from_der(longer).error().code, Errc::corrupt);
    for (std::size_t size = 0; size < key->der().size(); ++size)
      EXPECT_FALSE(PublicKey::from_der(std::span(key->der()).first(size)));
  }
}

TEST(PublicKey, of_another_kind_is_refused) {
  const TempDir folder;
  const std::vector<std::vector<std::string>> kinds{
      {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"},
      {"-algorithm", "x25519"}};
  for (const auto& kind : kinds) {
    std::vector<std::string> command{"genpkey", "-out", folder / "k"};
    command.insert(command.end(), kind.begin(), kind.end());
    openssl(command);
    openssl({"pkey", "-in", folder / "k", "-pubout", "-out", folder / "p"});
    const auto key = PublicKey::load(folder / "p");
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Errc::refused) << key.error().message;
    EXPECT_NE(key.error().message.find("p: "), std::string::npos) << "names the file";
  }
}

TEST(PublicKey, that_is_no_point_of_the_curve_is_corrupt) {
  std::vector<std::byte> x(32, std::byte{1});
  std::vector<std::byte> y(32, std::byte{2});
  EXPECT_EQ(PublicKey::from_p256(x, y).error().code, Errc::corrupt);
  EXPECT_EQ(PublicKey::from_p256(std::span(x).first(31), y).error().code, Errc::corrupt);
  EXPECT_EQ(PublicKey::from_ed25519(std::span(x).first(31)).error().code, Errc::corrupt);
}

TEST(Base64url, has_one_text_for_each_value) {
  for (const auto& [text, value] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"Zg", "f"}, {"Zm8", "fo"}, {"Zm9v", "foo"}, {"Zm9vYg", "foob"}}) {
    EXPECT_EQ(to_base64url(bytes_of(value)), text);
    EXPECT_EQ(from_base64url(text), bytes_of(value));
  }
  EXPECT_EQ(to_base64url(from_hex("fbff")), "-_8");
  for (const std::string_view bad :
       {"Z", "Zh", "Zm9", "Zg==", "Zg=", "Z g", "Zg\n", "+/8", "Zm9vY", "\xff\xff"})
    EXPECT_FALSE(from_base64url(bad)) << bad;
}

}  // namespace
}  // namespace aloft::identity
