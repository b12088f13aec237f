// aloft token: JSON Web Tokens for clusters without an identity provider. Needs no manager: the key
// of the issuer is a file, and the managers know its public half from the tenants file.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/ids.h"
#include "cluster/tenants.h"
#include "commands.h"
#include "config/value.h"
#include "identity/jwt.h"
#include "identity/key_file.h"
#include "identity/signing_key.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Options {
  std::string key;
  std::string issuer;
  std::string audience = "aloft";
  std::string tenant;
  std::string subject;
  std::string lifetime = "1h";
  std::string tenants;
  std::string token;
};

void new_key(Context& context, const Options& options) {
  const auto key = identity::SigningKey::generate();
  const fs::path secret = options.key;
  const fs::path open = secret.string() + ".pub";
  if (auto saved = key.save(secret); !saved) return failed(context, saved.error());
  if (auto saved =
          identity::write_key_file(open, key.verifying().to_pem(), identity::Secrecy::open);
      !saved)
    return failed(context, saved.error());
  if (context.json) {
    std::printf(
        "%s\n",
        Json{{"key", secret.string()}, {"public_key", open.string()}, {"kid", key.verifying().id()}}
            .dump(2)
            .c_str());
    return;
  }
  std::printf(
      "%s\n%s\nFor the tenants file, with %s beside it:\n"
      "  [[issuers]]\n  issuer = \"https://example.com\"\n  audience = \"aloft\"\n"
      "  tenants = [\"default\"]\n  keys = { \"%s\" = \"%s\" }\n",
      secret.c_str(), open.c_str(), open.filename().c_str(), key.verifying().id().c_str(),
      open.filename().c_str());
}

void issue(Context& context, const Options& options) {
  const auto key = identity::SigningKey::load(options.key);
  if (!key) return failed(context, key.error());
  std::chrono::milliseconds lifetime{};
  const auto read = config::read({options.lifetime, 0}, config::Origin::text, lifetime);
  if (!read || lifetime < std::chrono::seconds{1})
    return failed(context, {Errc::invalid_argument, "--lifetime has to be a time: \"1h\""});
  identity::JwtRequest request;
  request.claims.issuer = options.issuer;
  request.claims.subject = options.subject;
  request.claims.id = random_hex();
  request.claims.tenant = options.tenant;
  request.claims.issued =
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  request.claims.expires =
      request.claims.issued + std::chrono::duration_cast<std::chrono::seconds>(lifetime);
  request.audience = options.audience;
  request.key_id = key->verifying().id();
  const std::string token = identity::sign_jwt(request, *key);
  const Json said{{"token", token}, {"id", request.claims.id}};
  std::printf("%s\n", context.json ? said.dump(2).c_str() : token.c_str());
}

void check(Context& context, const Options& options) {
  const auto table = cluster::load_tenants(options.tenants);
  if (!table) return failed(context, table.error());
  std::string token = options.token;
  if (token == "-") std::getline(std::cin, token);
  const auto claims = identity::verify_jwt(token, table->issuers, std::chrono::system_clock::now());
  if (!claims) return failed(context, claims.error());
  if (table->revoked.covers(
          {.key = {}, .serial = {}, .token = claims->id, .tenant = claims->tenant}))
    return failed(context, {Errc::refused, "the token, or its tenant, has been revoked"});
  const auto left =
      claims->expires - std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (context.json) {
    std::printf("%s\n", Json{{"tenant", claims->tenant},
                             {"issuer", claims->issuer},
                             {"subject", claims->subject},
                             {"id", claims->id},
                             {"expires_in_seconds", left.count()}}
                            .dump(2)
                            .c_str());
    return;
  }
  std::printf("good: tenant %s, by %s, for another %lld s%s%s\n", claims->tenant.c_str(),
              claims->issuer.c_str(), static_cast<long long>(left.count()),
              claims->id.empty() ? "" : ", id ", claims->id.c_str());
}

}  // namespace

void add_token_commands(CLI::App& app, Context& context) {
  auto* const token = app.add_subcommand("token", "tokens for devices that have no certificate");
  token->require_subcommand(1);
  const auto options = std::make_shared<Options>();

  auto* const key = token->add_subcommand("new-key", "makes the key of an issuer");
  key->add_option("FILE", options->key, "where to; its public half goes to FILE.pub")->required();
  key->callback([&context, options] { new_key(context, *options); });

  auto* const give = token->add_subcommand("issue", "prints a token");
  give->add_option("--key", options->key, "file of the issuer's key")->required();
  give->add_option("--issuer", options->issuer, "as in the tenants file")->required();
  give->add_option("--audience", options->audience, "as in the tenants file")
      ->capture_default_str();
  give->add_option("--tenant", options->tenant, "whose it is")->required();
  give->add_option("--subject", options->subject, "which device; for logs");
  give->add_option("--lifetime", options->lifetime, "how long it is good")->capture_default_str();
  give->callback([&context, options] { issue(context, *options); });

  auto* const look = token->add_subcommand("check", "checks a token as a manager would");
  look->add_option("--tenants", options->tenants, "the tenants file")->required();
  look->add_option("TOKEN", options->token, "the token; `-` reads it from the standard input")
      ->required();
  look->callback([&context, options] { check(context, *options); });
}

}  // namespace aloft::cli
