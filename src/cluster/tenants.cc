#include "cluster/tenants.h"

#include <climits>
#include <optional>
#include <utility>

#include "config/reloaded.h"
#include "config/value.h"
#include "identity/key_file.h"
#include "identity/name.h"

namespace aloft::cluster {
namespace {

namespace fs = std::filesystem;
using config::Fields;
using config::Table;
using config::Value;

constexpr std::size_t kMaxTenants = 10'000;

const Table* table_of(const Value& value) { return std::get_if<Table>(&value.data); }

bool is_host_function(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-:"
             "/") == std::string_view::npos;
}

class Loader {
 public:
  explicit Loader(fs::path file) : file_(std::move(file)), folder_(file_.parent_path()) {}

  Result<TenantTable> load() {
    const auto text = config::read_file(file_);
    if (!text) return std::unexpected(text.error());
    const auto root = config::parse_toml(*text, file_.string());
    if (!root) return std::unexpected(root.error());
    Fields fields(*root, file_.string(), "");
    if (const Value* const tenants = fields.find("tenants")) read_tenants(fields, *tenants);
    if (const Value* const issuers = fields.find("issuers")) read_issuers(fields, *issuers);
    if (auto done = fields.done(); !done) return std::unexpected(std::move(done).error());
    auto revoked = load_revocations(folder_);
    if (!revoked) return std::unexpected(std::move(revoked).error());
    table_.revoked = *std::move(revoked);
    return std::move(table_);
  }

 private:
  void read_tenants(Fields& fields, const Value& value) {
    const Table* const tenants = table_of(value);
    if (tenants == nullptr) return fields.refuse("tenants", "has to be tables: [tenants.NAME]");
    if (tenants->size() > kMaxTenants)
      return fields.refuse("tenants", "has more than 10000 tenants");
    for (const auto& [name, each] : *tenants) {
      const Table* const table = table_of(each);
      if (table == nullptr || !identity::is_name(name))
        return fields.refuse("tenants", "has '" + name.substr(0, identity::kMaxName) +
                                            "' in it, which is no table with a tenant's name (1 to "
                                            "63 of a-z, 0-9 and '-', not '-' at an end)");
      fields.also(read_tenant(name, *table));
    }
  }

  Result<void> read_tenant(const std::string& name, const Table& table) {
    Fields fields(table, file_.string(), "tenants." + name);
    Tenant tenant;
    tenant.name = name;
    fields.take_number("max_sessions", tenant.max_sessions);
    fields.take("memory", tenant.memory);
    fields.take_number("cpu_millicores", tenant.cpu_millicores);
    fields.take_number("gpus", tenant.gpus);
    fields.take("opens_per_second", tenant.opens_per_second, 0.001, 1e6);
    fields.take_number("open_burst", tenant.open_burst, 1, 1'000'000);
    fields.take("allow_unsigned", tenant.allow_unsigned);
    fields.take("operator", tenant.is_operator);

    std::vector<std::string> list;
    if (fields.take("modules", list)) read_modules(fields, list, tenant);
    list.clear();
    fields.take("module_signers", list);
    for (const std::string& each : list) {
      auto key = read_key(each);
      if (key)
        tenant.module_signers.push_back(*std::move(key));
      else
        fields.refuse("module_signers", "names " + key.error().message);
    }
    list.clear();
    fields.take("host_functions", list);
    for (const std::string& each : list) {
      if (!is_host_function(each))
        fields.refuse("host_functions",
                      "has a name that no import module has: '" + each.substr(0, 128) + "'");
      tenant.host_functions.insert(each);
    }
    auto done = fields.done();
    if (done) table_.tenants.emplace(name, std::move(tenant));
    return done;
  }

  static void read_modules(Fields& fields, const std::vector<std::string>& list, Tenant& tenant) {
    for (const std::string& each : list) {
      if (each == "*") {
        tenant.all_modules = true;
      } else if (each.starts_with("sha256:")) {
        const auto digest = Digest::parse(each);
        if (!digest) return fields.refuse("modules", "has " + digest.error().message);
        tenant.module_digests.insert(*digest);
      } else if (each.empty() || each.find_first_of("*? ") != std::string::npos) {
        return fields.refuse("modules", "has '" + each +
                                            "', which is neither a module's name, nor "
                                            "\"sha256:...\", nor \"*\" for all");
      } else {
        tenant.module_names.insert(each);
      }
    }
  }

  void read_issuers(Fields& fields, const Value& value) {
    const auto* const issuers = std::get_if<config::Array>(&value.data);
    if (issuers == nullptr) return fields.refuse("issuers", "has to be tables: [[issuers]]");
    for (std::size_t i = 0; i < issuers->size(); ++i) {
      const Table* const table = table_of((*issuers)[i]);
      if (table == nullptr) return fields.refuse("issuers", "has to be tables: [[issuers]]");
      fields.also(read_issuer("issuers[" + std::to_string(i) + "]", *table));
    }
  }

  Result<void> read_issuer(const std::string& key, const Table& table) {
    Fields fields(table, file_.string(), key);
    identity::JwtIssuer issuer;
    if (!fields.take("issuer", issuer.issuer) || issuer.issuer.empty())
      fields.refuse("issuer", "has to be what its tokens say (`iss`)");
    if (!fields.take("audience", issuer.audience) || issuer.audience.empty())
      fields.refuse("audience", "has to be what its tokens for this cluster say (`aud`)");
    if (fields.take("tenant_claim", issuer.tenant_claim) && issuer.tenant_claim.empty())
      fields.refuse("tenant_claim", "has to be the name of a claim");
    std::vector<std::string> tenants;
    if (!fields.take("tenants", tenants) || tenants.empty())
      fields.refuse("tenants", "has to name the tenants that it may speak for");
    for (const std::string& tenant : tenants) {
      if (!table_.tenants.contains(tenant))
        fields.refuse("tenants", "names '" + tenant.substr(0, identity::kMaxName) +
                                     "', which is no tenant of this file");
      issuer.tenants.insert(tenant);
    }
    std::chrono::milliseconds time{};
    if (fields.take("max_lifetime", time))
      issuer.max_lifetime = std::chrono::duration_cast<std::chrono::seconds>(time);
    if (fields.take("leeway", time)) {
      issuer.leeway = std::chrono::duration_cast<std::chrono::seconds>(time);
      if (issuer.leeway > std::chrono::minutes{5}) fields.refuse("leeway", "has to be 5m or less");
    }
    std::string jwks;
    if (fields.take("jwks", jwks)) {
      auto keys = read_jwks(jwks);
      if (keys)
        issuer.keys = *std::move(keys);
      else
        fields.refuse("jwks", "names " + keys.error().message);
    }
    if (const Value* const keys = fields.find("keys")) read_keys(fields, *keys, issuer);
    if (issuer.keys.empty())
      fields.refuse("keys",
                    "has to give its public keys by `kid` ({\"2026\" = \"FILE.pub\"}), or "
                    "`jwks` a file with them");
    auto done = fields.done();
    if (done) table_.issuers.push_back(std::move(issuer));
    return done;
  }

  void read_keys(Fields& fields, const Value& value, identity::JwtIssuer& issuer) {
    const Table* const keys = table_of(value);
    if (keys == nullptr) return fields.refuse("keys", "has to be a table of files by `kid`");
    for (const auto& [id, each] : *keys) {
      const auto* const name = std::get_if<std::string>(&each.data);
      if (name == nullptr) return fields.refuse("keys", "has to be a table of files by `kid`");
      auto key = read_key(*name);
      if (!key) return fields.refuse("keys", "names " + key.error().message);
      if (!issuer.keys.emplace(id, *std::move(key)).second)
        return fields.refuse("keys", "has '" + id + "', which is in `jwks` as well");
    }
  }

  // A file of a public key, or the PEM text of one itself.
  Result<identity::PublicKey> read_key(const std::string& name_or_pem) {
    if (name_or_pem.starts_with("-----BEGIN ")) return identity::PublicKey::from_pem(name_or_pem);
    return identity::PublicKey::load(folder_ / name_or_pem);
  }
  Result<std::map<std::string, identity::PublicKey, std::less<>>> read_jwks(
      const std::string& name) {
    const fs::path file = folder_ / name;
    const auto text = identity::read_key_file(file, identity::Secrecy::open);
    if (!text) return std::unexpected(text.error());
    auto keys = identity::parse_jwk_set(*text);
    if (!keys) return fail(keys.error().code, file.string() + ": " + keys.error().message);
    return keys;
  }

  fs::path file_, folder_;
  TenantTable table_;
};

}  // namespace

bool Tenant::allows_module(std::string_view module, const Digest& digest) const {
  return all_modules || module_digests.contains(digest) || module_names.contains(module);
}

const Tenant* TenantTable::find(std::string_view name) const {
  const auto found = tenants.find(name);
  return found == tenants.end() ? nullptr : &found->second;
}

Result<TenantTable> load_tenants(const fs::path& file) { return Loader(file).load(); }

struct Tenants::Impl {
  std::unique_ptr<config::Reloaded<TenantTable>> file;
};

Tenants::Tenants(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tenants::~Tenants() = default;

Result<std::unique_ptr<Tenants>> Tenants::open(const fs::path& file, Told told) {
  auto opened = config::Reloaded<TenantTable>::open(
      {file}, [file](const TenantTable*) { return load_tenants(file); },
      [told = std::move(told)](const Result<config::Reload>& outcome, const TenantTable&) {
        if (!told) return;
        told(outcome ? Result<void>{} : Result<void>{std::unexpected(outcome.error())});
      });
  if (!opened) return std::unexpected(std::move(opened).error());
  return std::unique_ptr<Tenants>(new Tenants(std::make_unique<Impl>(*std::move(opened))));
}

std::shared_ptr<const TenantTable> Tenants::table() const { return impl_->file->value(); }

Result<void> Tenants::reload() { return impl_->file->reload(); }

}  // namespace aloft::cluster
