// Registries that lie, stall and fail: whatever one sends, a fetch ends in time, with an error that
// says what was wrong, and nothing is left that could be taken for a module.
#include "oci/registry.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/artifact.h"
#include "oci/testing/scripted_server.h"
#include "support/temp_dir.h"

namespace aloft::oci {
namespace {

using Client = ScriptedServer::Client;
using Request = ScriptedServer::Request;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using namespace std::chrono_literals;

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class RegistryTest : public ::testing::Test {
 protected:
  Registry& registry(ScriptedServer::Script script) {
    server_ = std::make_unique<ScriptedServer>(std::move(script));
    auto opened = Registry::open("http://" + server_->host() + "/modules", options_);
    if (!opened) ADD_FAILURE() << opened.error().message;
    registry_ = *std::move(opened);
    return *registry_;
  }
  void TearDown() override { EXPECT_FALSE(std::filesystem::exists(into_)); }

  aloft::testing::TempDir folder_;
  const std::filesystem::path into_ = folder_ / "module.wasm";
  const std::string module_ = "the module, all of it";
  const Digest digest_ = sha256(bytes_of(module_));
  RegistryOptions options_{.first_pause = 1ms, .stall_timeout = 1s, .answer_timeout = 20s};
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(RegistryTest, a_blob_that_never_ends_is_cut_off_at_its_bound) {
  auto& lying = registry([&](const Request&, Client& client) {
    client.send("HTTP/1.1 200 OK\r\n\r\n");
    while (client.send(std::string(64 * 1024, 'x'))) {
    }
  });
  const auto saved = lying.save_blob(digest_, 1_MiB, into_);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Errc::resource_exhausted) << saved.error().message;
}

TEST_F(RegistryTest, a_length_that_is_a_lie_is_cut_off_at_its_bound) {
  auto& lying = registry([&](const Request&, Client& client) {
    client.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n");
    while (client.send(std::string(64 * 1024, 'x'))) {
    }
  });
  EXPECT_EQ(lying.save_blob(digest_, 1_MiB, into_).error().code, Errc::resource_exhausted);
}

TEST_F(RegistryTest, other_bytes_than_the_digests_are_corrupt) {
  auto& lying =
      registry([&](const Request&, Client& client) { client.answer("200 OK", "not the module"); });
  const auto saved = lying.save_blob(digest_, 1_MiB, into_);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Errc::corrupt);
  EXPECT_THAT(server_->requests(), SizeIs(1)) << "asking again is of no use";
}

TEST_F(RegistryTest, compressed_bytes_are_never_inflated) {
  auto& lying = registry([&](const Request&, Client& client) {
    client.answer("200 OK", "\x1f\x8b\x08", "Content-Encoding: gzip\r\n");
  });
  EXPECT_EQ(lying.save_blob(digest_, 1_MiB, into_).error().code, Errc::corrupt);
  EXPECT_FALSE(server_->requests().at(0).has("Accept-Encoding"));
}

TEST_F(RegistryTest, a_blob_that_was_cut_off_goes_on_where_it_was) {
  auto& flaky = registry([&](const Request& request, Client& client) {
    if (request.has("Range: bytes=5-")) {
      client.answer("206 Partial Content", module_.substr(5), "Content-Range: bytes 5-20/21\r\n");
    } else {
      client.send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n" + module_.substr(0, 5));
    }
  });
  const auto blob = flaky.read_blob(digest_, 1_KiB);
  ASSERT_TRUE(blob) << blob.error().message;
  EXPECT_EQ(*blob, bytes_of(module_));
  EXPECT_THAT(server_->requests(), SizeIs(2));
}

TEST_F(RegistryTest, a_registry_that_cannot_go_on_begins_anew) {
  int count = 0;
  auto& flaky = registry([&](const Request&, Client& client) {
    if (count++ == 0) {
      client.send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n" + module_.substr(0, 7));
    } else {
      client.answer("200 OK", module_);
    }
  });
  const auto blob = flaky.read_blob(digest_, 1_KiB);
  ASSERT_TRUE(blob) << blob.error().message;
  EXPECT_EQ(*blob, bytes_of(module_));
}

TEST_F(RegistryTest, one_that_is_overloaded_for_a_moment_is_asked_again) {
  int count = 0;
  auto& busy = registry([&](const Request&, Client& client) {
    if (++count < 4) {
      client.answer(count == 1 ? "503 Service Unavailable" : "429 Too Many Requests", "");
    } else {
      client.answer("200 OK", module_);
    }
  });
  const auto blob = busy.read_blob(digest_, 1_KiB);
  EXPECT_TRUE(blob) << blob.error().message;
}

TEST_F(RegistryTest, attempts_have_an_end) {
  auto& broken = registry([&](const Request&, Client& client) {
    client.answer("500 Internal Server Error",
                  R"({"errors":[{"code":"X","message":"on fire\n"}]})");
  });
  const auto saved = broken.save_blob(digest_, 1_MiB, into_);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Errc::unreachable);
  EXPECT_THAT(server_->requests(), SizeIs(4));
  const auto resolved = broken.resolve(content_tag(digest_));
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().code, Errc::unreachable);
  EXPECT_THAT(resolved.error().message, HasSubstr("on fire?"));
  EXPECT_THAT(server_->requests(), SizeIs(8));
}

TEST_F(RegistryTest, one_that_stalls_is_given_up) {
  options_.attempts = 1;
  auto& stalling = registry([&](const Request&, Client& client) {
    client.send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nthe");
    client.stall();
  });
  const auto saved = stalling.save_blob(digest_, 1_MiB, into_);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Errc::unreachable);
}

TEST_F(RegistryTest, one_that_drips_is_given_up) {
  options_.attempts = 1;
  options_.blob_timeout = 1500ms;
  auto& dripping = registry([&](const Request&, Client& client) {
    client.send("HTTP/1.1 200 OK\r\n\r\n");
    while (client.send("x")) std::this_thread::sleep_for(20ms);
  });
  const auto saved = dripping.save_blob(digest_, 1_MiB, into_);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Errc::unreachable);
}

TEST_F(RegistryTest, headers_without_end_are_not_read_to_their_end) {
  auto& lying = registry([&](const Request&, Client& client) {
    client.send("HTTP/1.1 200 OK\r\n");
    while (client.send("X-More: " + std::string(1000, 'x') + "\r\n")) {
    }
  });
  const auto saved = lying.save_blob(digest_, 1_MiB, into_);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Errc::protocol) << saved.error().message;
}

TEST_F(RegistryTest, what_does_not_speak_http_is_an_error) {
  auto& other =
      registry([&](const Request&, Client& client) { client.send("220 smtp ready\r\n"); });
  EXPECT_FALSE(other.save_blob(digest_, 1_MiB, into_));
}

TEST_F(RegistryTest, a_redirection_is_followed_without_the_password) {
  options_.user = "ann";
  options_.password = "secret";
  ScriptedServer store([&](const Request&, Client& client) { client.answer("200 OK", module_); });
  auto& redirecting = registry([&](const Request& request, Client& client) {
    if (!request.has("Authorization: Basic")) {
      client.answer("401 Unauthorized", "", "WWW-Authenticate: Basic realm=\"r\"\r\n");
    } else {
      client.answer("307 Temporary Redirect", "",
                    "Location: http://" + store.host() + "/elsewhere\r\n");
    }
  });
  const auto blob = redirecting.read_blob(digest_, 1_KiB);
  ASSERT_TRUE(blob) << blob.error().message;
  ASSERT_THAT(store.requests(), SizeIs(1));
  EXPECT_FALSE(store.requests().at(0).has("Authorization"));
  EXPECT_TRUE(store.requests().at(0).has("GET /elsewhere"));
}

TEST_F(RegistryTest, a_redirection_into_the_clear_or_in_circles_is_refused) {
  std::string target = "http://registry.example.org/x";
  auto& redirecting = registry([&](const Request&, Client& client) {
    client.answer("302 Found", "", "Location: " + target + "\r\n");
  });
  EXPECT_EQ(redirecting.save_blob(digest_, 1_MiB, into_).error().code, Errc::refused);
  target = "file:///etc/passwd";
  EXPECT_EQ(redirecting.save_blob(digest_, 1_MiB, into_).error().code, Errc::refused);
  target = "/again";
  const auto circle = redirecting.save_blob(digest_, 1_MiB, into_);
  EXPECT_EQ(circle.error().code, Errc::protocol) << circle.error().message;
}

TEST_F(RegistryTest, a_blob_is_sent_to_the_registry_and_to_nobody_else) {
  ScriptedServer thief([](const Request&, Client& client) { client.answer("201 Created", ""); });
  auto& lying = registry([&](const Request& request, Client& client) {
    if (request.has("HEAD ")) return client.answer("404 Not Found", "");
    client.answer("202 Accepted", "", "Location: http://" + thief.host() + "/upload\r\n");
  });
  const auto pushed = lying.push_blob(Blob::of(bytes_of(module_)));
  ASSERT_FALSE(pushed);
  EXPECT_EQ(pushed.error().code, Errc::refused) << pushed.error().message;
  EXPECT_THAT(thief.requests(), SizeIs(0));
}

TEST_F(RegistryTest, an_upload_that_breaks_is_made_again_from_its_start) {
  options_.chunk = 1_KiB;
  const std::string content(2500, 'c');
  std::string received;
  bool broken = false;
  auto& flaky = registry([&](const Request& request, Client& client) {
    if (request.has("HEAD ")) return client.answer("404 Not Found", "");
    if (request.has("POST ")) {
      received.clear();
      return client.answer("202 Accepted", "", "Location: /v2/modules/blobs/uploads/1?s=1\r\n");
    }
    if (received.size() > 1000 && !std::exchange(broken, true)) return;  // hangs up
    received += request.body;
    if (request.has("PATCH "))
      return client.answer("202 Accepted", "", "Location: /v2/modules/blobs/uploads/1?s=2\r\n");
    EXPECT_TRUE(request.has("?s=2&digest=sha256:")) << request.line;
    client.answer("201 Created", "");
  });
  const auto pushed = flaky.push_blob(Blob::of(bytes_of(content)));
  ASSERT_TRUE(pushed) << pushed.error().message;
  EXPECT_TRUE(broken);
  EXPECT_EQ(received, content);
}

TEST_F(RegistryTest, a_manifest_that_is_too_long_is_not_read_to_its_end) {
  auto& lying = registry([&](const Request&, Client& client) {
    client.send("HTTP/1.1 200 OK\r\n\r\n{\"a\":\"");
    while (client.send(std::string(64 * 1024, 'x'))) {
    }
  });
  EXPECT_EQ(lying.resolve(content_tag(digest_)).error().code, Errc::protocol);
}

TEST_F(RegistryTest, another_manifest_than_the_digests_is_corrupt) {
  const Manifest manifest = make_manifest("", {"c", digest_, 1}, {{"l", digest_, 1}}, {});
  auto& lying = registry([&](const Request&, Client& client) {
    client.answer("200 OK", std::string(reinterpret_cast<const char*>(manifest.bytes.data()),
                                        manifest.bytes.size()));
  });
  EXPECT_TRUE(lying.resolve(Reference::of_digest(manifest.digest)));
  EXPECT_EQ(lying.resolve(Reference::of_digest(digest_)).error().code, Errc::corrupt);
}

TEST_F(RegistryTest, a_size_that_is_a_lie_in_the_manifest_ends_the_fetch_there) {
  std::string config = "{}";
  const Manifest manifest = make_manifest(
      "", {"application/vnd.wasm.config.v0+json", sha256(bytes_of(config)), config.size()},
      {{"application/wasm", digest_, 3}}, {});
  auto& lying = registry([&](const Request& request, Client& client) {
    client.answer("200 OK", request.has("/manifests/")
                                ? std::string(reinterpret_cast<const char*>(manifest.bytes.data()),
                                              manifest.bytes.size())
                                : module_);
  });
  const auto fetched =
      fetch_module(lying, digest_, into_, {.signers = {}, .unsigned_artifacts = Unsigned::allow});
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, Errc::resource_exhausted) << fetched.error().message;
}

TEST_F(RegistryTest, pages_of_tags_are_followed_and_have_an_end) {
  auto& paging = registry([&](const Request& request, Client& client) {
    if (request.has("last=b")) return client.answer("200 OK", R"({"name":"modules","tags":["c"]})");
    client.answer("200 OK", R"({"name":"modules","tags":["b","a"]})",
                  "Link: </v2/modules/tags/list?last=b&n=2>; rel=\"next\"\r\n");
  });
  EXPECT_THAT(paging.tags().value(), ::testing::ElementsAre("a", "b", "c"));
  auto& endless = registry([&](const Request&, Client& client) {
    client.answer("200 OK", R"({"name":"modules","tags":["a"]})",
                  "Link: </v2/modules/tags/list?n=1>; rel=\"next\"\r\n");
  });
  EXPECT_EQ(endless.tags().error().code, Errc::protocol);
  auto& bad = registry([&](const Request&, Client& client) {
    client.answer("200 OK", R"({"tags":["../../etc/passwd"]})");
  });
  EXPECT_EQ(bad.tags().error().code, Errc::protocol);
}

TEST_F(RegistryTest, a_token_is_got_kept_and_got_anew_when_it_is_refused) {
  options_.user = "ann";
  options_.password = "secret";
  int tokens = 0;
  ScriptedServer issuer([&](const Request& request, Client& client) {
    EXPECT_TRUE(request.has("Authorization: Basic YW5uOnNlY3JldA==")) << request.headers;
    EXPECT_TRUE(request.has("service=reg%201&scope=repository%3Amodules%3Apull")) << request.line;
    client.answer("200 OK", R"({"token":"t)" + std::to_string(++tokens) + R"(","expires_in":300})");
  });
  std::string good = "t1";
  auto& guarded = registry([&](const Request& request, Client& client) {
    if (request.has("Authorization: Bearer " + good + "\r\n"))
      return client.answer("200 OK", module_);
    EXPECT_FALSE(request.has("Authorization: Basic"));
    client.answer("401 Unauthorized", "",
                  "WWW-Authenticate: Bearer realm=\"http://" + issuer.host() +
                      "/token\",service=\"reg 1\",scope=\"repository:modules:pull\"\r\n");
  });
  EXPECT_TRUE(guarded.read_blob(digest_, 1_KiB));
  EXPECT_TRUE(guarded.read_blob(digest_, 1_KiB));
  EXPECT_EQ(tokens, 1);
  good = "t2";
  EXPECT_TRUE(guarded.read_blob(digest_, 1_KiB));
  EXPECT_EQ(tokens, 2);
  good = "never";
  const auto refused = guarded.read_blob(digest_, 1_KiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_THAT(refused.error().message, Not(HasSubstr("secret")));
}

TEST_F(RegistryTest, a_token_that_would_be_two_headers_is_refused) {
  ScriptedServer issuer([&](const Request&, Client& client) {
    client.answer("200 OK", R"({"token":"t\r\nX-Evil: 1"})");
  });
  std::string realm = "http://" + issuer.host() + "/token";
  auto& guarded = registry([&](const Request&, Client& client) {
    client.answer("401 Unauthorized", "", "WWW-Authenticate: Bearer realm=\"" + realm + "\"\r\n");
  });
  EXPECT_EQ(guarded.save_blob(digest_, 1_MiB, into_).error().code, Errc::protocol);
  realm = "http://tokens.example.org/token";
  EXPECT_EQ(guarded.save_blob(digest_, 1_MiB, into_).error().code, Errc::refused);
  realm = "";
  EXPECT_FALSE(guarded.save_blob(digest_, 1_MiB, into_));
}

}  // namespace
}  // namespace aloft::oci
