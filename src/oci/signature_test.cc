#include "oci/signature.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/base64.h"
#include "oci/testing/fixture.h"

namespace aloft::oci {
namespace {

using identity::KeyType;
using ::testing::HasSubstr;

class SignatureTest : public RepositoryTest {
 protected:
  Result<Fetched> fetch(const Artifact& artifact, std::vector<identity::PublicKey> signers) {
    return fetch_module(*repository_, artifact.content.digest, into_,
                        {.signers = std::move(signers)});
  }
  // The one layer's payload and signature, as another tool would read them.
  std::pair<std::string, std::string> first_signature(const Artifact& artifact) {
    const auto manifest = repository_->resolve(signature_tag(artifact.manifest.digest)).value();
    const auto payload = repository_->read_blob(manifest.layers.at(0).digest, 64_KiB).value();
    return {std::string(reinterpret_cast<const char*>(payload.data()), payload.size()),
            manifest.layers.at(0).annotations.at("dev.cosignproject.cosign/signature")};
  }

  const SignerKey ann_ = SignerKey::generate(KeyType::ed25519).value();
  const SignerKey bob_ = SignerKey::generate(KeyType::ecdsa_p256).value();
};

INSTANTIATE_TEST_SUITE_P(On, SignatureTest, every_where(), name_of);

TEST_P(SignatureTest, a_module_signed_by_a_trusted_key_is_fetched) {
  const Artifact artifact = push("detect", "the module");
  for (const SignerKey& key : {ann_, bob_}) {
    ASSERT_FALSE(fetch(artifact, {key.public_key()}));
    const auto signed_now = sign(*repository_, artifact.manifest.digest, key);
    ASSERT_TRUE(signed_now) << signed_now.error().message;
    const auto fetched = fetch(artifact, {key.public_key()});
    ASSERT_TRUE(fetched) << fetched.error().message;
    EXPECT_EQ(fetched->signer, key_id(key.public_key()));
  }
  EXPECT_TRUE(fetch(artifact, {ann_.public_key()})) << "the second one replaced the first";
}

TEST_P(SignatureTest, an_unsigned_module_is_refused_and_leaves_no_file) {
  const Artifact artifact = push("detect", "the module");
  const auto fetched = fetch(artifact, {ann_.public_key()});
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, Errc::refused);
  EXPECT_THAT(fetched.error().message, HasSubstr("is not signed"));
  EXPECT_FALSE(std::filesystem::exists(into_));
  EXPECT_EQ(fetch(artifact, {}).error().code, Errc::refused) << "nobody is trusted";
  EXPECT_TRUE(fetch_module(*repository_, artifact.content.digest, into_, unsigned_));
}

TEST_P(SignatureTest, a_module_signed_by_somebody_else_is_refused) {
  const Artifact artifact = push("detect", "the module");
  ASSERT_TRUE(sign(*repository_, artifact.manifest.digest, bob_));
  const auto fetched = fetch(artifact, {ann_.public_key()});
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, Errc::refused);
  EXPECT_THAT(fetched.error().message, HasSubstr("not with any of the keys"));
}

TEST_P(SignatureTest, the_signature_of_another_module_does_not_count) {
  const Artifact good = push("detect", "the module");
  const Artifact bad = push("detect", "another module");
  ASSERT_TRUE(sign(*repository_, good.manifest.digest, ann_));
  // Whoever may write to the repository puts the good one's signature beside the bad one.
  const auto signatures = repository_->resolve(signature_tag(good.manifest.digest)).value();
  const Reference forged = signature_tag(bad.manifest.digest);
  ASSERT_TRUE(repository_->push_manifest(signatures, std::span(&forged, 1)));
  EXPECT_EQ(fetch(bad, {ann_.public_key()}).error().code, Errc::refused);
  // And the other way: the content tag of the bad one leads to the good one, which is signed.
  const Reference content = content_tag(bad.content.digest);
  ASSERT_TRUE(repository_->push_manifest(good.manifest, std::span(&content, 1)));
  EXPECT_EQ(fetch(bad, {ann_.public_key()}).error().code, Errc::corrupt);
}

TEST_P(SignatureTest, a_signature_that_is_changed_in_any_way_does_not_count) {
  const Artifact artifact = push("detect", "the module");
  ASSERT_TRUE(sign(*repository_, artifact.manifest.digest, ann_));
  const auto good = repository_->resolve(signature_tag(artifact.manifest.digest)).value();
  const Reference here = signature_tag(artifact.manifest.digest);
  const char* const kAnnotation = "dev.cosignproject.cosign/signature";
  const std::string encoded = good.layers.at(0).annotations.at(kAnnotation);
  auto flipped = *identity::from_base64(encoded);
  flipped[10] ^= std::byte{1};
  const auto push_with = [&](auto change) {
    auto layers = good.layers;
    change(layers.at(0));
    const auto made = make_manifest("", good.config, layers, {});
    ASSERT_TRUE(repository_->push_manifest(made, std::span(&here, 1)));
  };
  for (const std::string& signature :
       {std::string(), std::string("no base64!"), std::string(2000, 'A'),
        identity::to_base64(flipped), encoded + "\n", encoded.substr(4)}) {
    push_with([&](Descriptor& layer) { layer.annotations[kAnnotation] = signature; });
    EXPECT_EQ(fetch(artifact, {ann_.public_key()}).error().code, Errc::refused) << signature;
  }
  const auto other = bytes_of(R"({"critical":{}})");
  ASSERT_TRUE(repository_->push_blob(Blob::of(other)));
  push_with([&](Descriptor& layer) {
    layer.digest = sha256(other);
    layer.size = other.size();
  });
  EXPECT_EQ(fetch(artifact, {ann_.public_key()}).error().code, Errc::refused);
  push_with([&](Descriptor& layer) { layer.media_type = "application/wasm"; });
  EXPECT_EQ(fetch(artifact, {ann_.public_key()}).error().code, Errc::refused);
  push_with([](Descriptor&) {});
  EXPECT_TRUE(fetch(artifact, {ann_.public_key()}));
}

TEST_P(SignatureTest, broken_signatures_do_not_hide_a_good_one) {
  const Artifact artifact = push("detect", "the module");
  ASSERT_TRUE(sign(*repository_, artifact.manifest.digest, ann_));
  auto manifest = repository_->resolve(signature_tag(artifact.manifest.digest)).value();
  auto layers = manifest.layers;
  Descriptor broken = layers.at(0);
  broken.annotations.clear();
  layers.insert(layers.begin(), broken);
  const Reference here = signature_tag(artifact.manifest.digest);
  ASSERT_TRUE(repository_->push_manifest(make_manifest("", manifest.config, layers, {}),
                                         std::span(&here, 1)));
  EXPECT_TRUE(fetch(artifact, {ann_.public_key()}));
}

TEST_P(SignatureTest, signing_again_changes_nothing) {
  const Artifact artifact = push("detect", "the module");
  ASSERT_TRUE(sign(*repository_, artifact.manifest.digest, bob_));
  const auto once = repository_->resolve(signature_tag(artifact.manifest.digest)).value();
  ASSERT_TRUE(sign(*repository_, artifact.manifest.digest, bob_));
  EXPECT_EQ(repository_->resolve(signature_tag(artifact.manifest.digest))->digest, once.digest);
}

TEST_P(SignatureTest, it_is_laid_out_as_cosign_has_it_and_openssl_verifies_it) {
  const Artifact artifact = push("detect", "the module");
  ASSERT_TRUE(sign(*repository_, artifact.manifest.digest, bob_));
  const auto [payload, signature] = first_signature(artifact);
  const std::string where =
      GetParam() == Where::folder ? "" : location_.substr(std::string("http://").size());
  EXPECT_EQ(payload, R"({"critical":{"identity":{"docker-reference":")" + where +
                         R"("},"image":{"docker-manifest-digest":"sha256:)" +
                         artifact.manifest.digest.hex() +
                         R"("},"type":"cosign container image signature"},"optional":null})");
  aloft::testing::write_file(folder_ / "payload", bytes_of(payload));
  aloft::testing::write_file(folder_ / "signature", *identity::from_base64(signature));
  aloft::testing::write_file(folder_ / "key.pem", bytes_of(*bob_.public_pem()));
  auto openssl =
      aloft::testing::Process::start({"openssl", "dgst", "-sha256", "-verify", folder_ / "key.pem",
                                      "-signature", folder_ / "signature", folder_ / "payload"});
  ASSERT_TRUE(openssl);
  EXPECT_EQ(openssl->wait(std::chrono::seconds(30)), 0) << openssl->transcript();
}

TEST(SignerKeyTest, a_key_of_openssl_signs_and_one_that_others_may_read_does_not) {
  const aloft::testing::TempDir folder;
  const auto make = [&](std::vector<std::string> arguments, const std::string& file) {
    std::vector<std::string> command = {"openssl", "genpkey", "-out", folder / file};
    command.insert(command.end(), arguments.begin(), arguments.end());
    auto openssl = aloft::testing::Process::start(command);
    ASSERT_TRUE(openssl);
    ASSERT_EQ(openssl->wait(std::chrono::seconds(30)), 0) << openssl->transcript();
  };
  make({"-algorithm", "ed25519"}, "ed25519");
  make({"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, "p256");
  make({"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"}, "p384");
  make({"-algorithm", "ed25519", "-aes256", "-pass", "pass:word"}, "encrypted");
  for (const char* file : {"ed25519", "p256"}) {
    const auto key = SignerKey::load(folder / file);
    ASSERT_TRUE(key) << key.error().message;
    const auto message = bytes_of("message");
    EXPECT_TRUE(key->public_key().verify(message, key->sign(message).value()));
    EXPECT_FALSE(key->public_key().verify(bytes_of("massage"), key->sign(message).value()));
  }
  EXPECT_EQ(SignerKey::load(folder / "p384").error().code, Errc::refused);
  EXPECT_EQ(SignerKey::load(folder / "encrypted").error().code, Errc::corrupt);
  EXPECT_EQ(SignerKey::load(folder / "nothing").error().code, Errc::not_found);
  std::filesystem::permissions(folder / "p256", std::filesystem::perms(0604));
  EXPECT_EQ(SignerKey::load(folder / "p256").error().code, Errc::refused);

  const SignerKey made = SignerKey::generate(KeyType::ed25519).value();
  ASSERT_TRUE(made.save(folder / "made"));
  EXPECT_EQ(SignerKey::load(folder / "made")->public_key(), made.public_key());
  EXPECT_EQ(made.save(folder / "made").error().code, Errc::refused) << "it is there";
}

}  // namespace
}  // namespace aloft::oci
