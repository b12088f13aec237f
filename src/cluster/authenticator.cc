#include "cluster/authenticator.h"

#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include <grpcpp/security/auth_context.h>

#include "identity/jwt.h"

namespace aloft::cluster {
namespace {

constexpr std::string_view kBearer = "Bearer ";

std::string_view view(const grpc::string_ref& text) { return {text.data(), text.size()}; }

std::optional<std::string> certificate_of(const grpc::ServerContextBase& context) {
  const auto auth = context.auth_context();
  if (!auth) return std::nullopt;
  const auto found = auth->FindPropertyValues("x509_pem_cert");
  if (found.empty()) return std::nullopt;
  return std::string(view(found.front()));
}

}  // namespace

Authenticator::Authenticator(std::string cluster, Table table)
    : cluster_(std::move(cluster)), table_(std::move(table)) {}

Result<Caller> Authenticator::who(const grpc::ServerContextBase& context) const {
  const auto table = table_();
  auto caller = shown_by(context, *table);
  if (caller && table->revoked.covers(caller->shown)) {
    return fail(Errc::refused,
                "what you show has been revoked: have a new certificate or token issued by whoever "
                "runs cluster " +
                    cluster_);
  }
  return caller;
}

Result<Caller> Authenticator::shown_by(const grpc::ServerContextBase& context,
                                       const TenantTable& table) const {
  if (const auto certificate = certificate_of(context)) {
    auto identity = identity::identity_of(*certificate);
    if (!identity) return fail(Errc::refused, identity.error().message);
    if (identity->cluster != cluster_) {
      return fail(Errc::refused, "the certificate is of cluster " + identity->cluster +
                                     ", and this is cluster " + cluster_);
    }
    auto mark = identity::mark_of(*certificate);
    if (!mark) return fail(Errc::refused, mark.error().message);
    const bool is_tenant = identity->role == identity::Role::tenant;
    return Caller{.role = identity->role,
                  .name = identity->name,
                  .shown = {.key = mark->public_key,
                            .serial = std::move(mark->serial),
                            .token = {},
                            .tenant = is_tenant ? identity->name : std::string()}};
  }
  const auto& metadata = context.client_metadata();
  const auto [first, last] = metadata.equal_range("authorization");
  if (first == last) {
    return fail(Errc::refused,
                "nobody: show a client certificate of this cluster, or a bearer token in the "
                "metadata key `authorization`");
  }
  if (std::next(first) != last) return fail(Errc::refused, "more than one `authorization`");
  const std::string_view value = view(first->second);
  if (!value.starts_with(kBearer)) {
    return fail(Errc::refused, "`authorization` has to be `Bearer TOKEN`");
  }
  auto claims = identity::verify_jwt(value.substr(kBearer.size()), table.issuers,
                                     std::chrono::system_clock::now());
  if (!claims) return fail(Errc::refused, claims.error().message);
  return Caller{
      .role = identity::Role::tenant,
      .name = claims->tenant,
      .shown = {.key = {}, .serial = {}, .token = std::move(claims->id), .tenant = claims->tenant}};
}

}  // namespace aloft::cluster
