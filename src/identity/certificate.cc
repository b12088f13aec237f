#include "identity/certificate.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <utility>

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include "base/ids.h"
#include "identity/openssl.h"

namespace aloft::identity {
namespace {

constexpr std::string_view kScheme = "aloft://";
constexpr std::chrono::days kAuthorityLife{3650};
// A certificate is good from a day before it was made: the clock of a machine that has just started
// may be behind.
constexpr std::chrono::days kBackdated{1};

using OwnedExtension = Owned<X509_EXTENSION, X509_EXTENSION_free>;
using OwnedNames = Owned<GENERAL_NAMES, GENERAL_NAMES_free>;

std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

OwnedNames alternative_names(const X509* certificate) {
  return OwnedNames(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
}

template <class F>
void each_name(const OwnedNames& names, int type, F&& call) {
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == type) call(text_of(name->d.ia5));
  }
}

// All URIs of aloft's among the alternative names.
std::vector<std::string> aloft_uris(const X509* certificate) {
  std::vector<std::string> uris;
  each_name(alternative_names(certificate), GEN_URI, [&](std::string_view uri) {
    if (uri.starts_with(kScheme)) uris.emplace_back(uri);
  });
  return uris;
}

std::optional<Identity> parse_identity(std::string_view uri) {
  uri.remove_prefix(kScheme.size());
  const auto first = uri.find('/');
  const auto second = first == std::string_view::npos ? first : uri.find('/', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const auto cluster = uri.substr(0, first);
  const auto role = parse_role(uri.substr(first + 1, second - first - 1));
  const auto name = uri.substr(second + 1);
  if (!role || !is_name(cluster) || !is_name(name)) return std::nullopt;
  return Identity{std::string(cluster), *role, std::string(name)};
}

std::string uri_of(const Identity& identity) {
  return std::string(kScheme) + identity.cluster + "/" + std::string(to_string(identity.role)) +
         "/" + identity.name;
}

std::optional<Digest> key_digest_of(const X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return std::nullopt;
  const Digest digest = sha256(std::as_bytes(std::span(der, static_cast<std::size_t>(size))));
  OPENSSL_free(der);
  return digest;
}

// The bytes of the number: what its sign would be does not matter, none is negative.
std::string serial_of(const X509* certificate) {
  const auto bytes = text_of(X509_get0_serialNumber(certificate));
  return to_hex(std::as_bytes(std::span(bytes)));
}

Result<OwnedCertificate> first_certificate(std::string_view pem) {
  ERR_clear_error();
  OwnedCertificate certificate(
      pem.size() <= kMaxKeyFile
          ? PEM_read_bio_X509(bio_over(pem).get(), nullptr, no_password, nullptr)
          : nullptr);
  if (certificate == nullptr) return fail(Errc::corrupt, "no certificate: " + openssl_reason());
  return certificate;
}

std::string pem_of(X509* certificate) {
  const OwnedBio bio = bio_in_memory();
  require(PEM_write_bio_X509(bio.get(), certificate) == 1);
  return identity::text_of(bio);
}

std::string pem_of(EVP_PKEY* key) {
  const OwnedBio bio = bio_in_memory();
  require(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) ==
          1);
  return identity::text_of(bio);
}

OwnedKey new_key() {
  OwnedKey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  require(key != nullptr);
  return key;
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

bool is_dns_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  while (true) {
    const auto dot = host.find('.');
    if (!is_name(host.substr(0, dot))) return false;
    // A last label of digits alone is a mistyped address, never a name.
    if (dot == std::string_view::npos)
      return host.find_first_not_of("0123456789") != std::string_view::npos;
    host.remove_prefix(dot + 1);
  }
}

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const OwnedExtension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  require(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

void set_time(ASN1_TIME* out, std::chrono::sys_seconds time) {
  require(ASN1_TIME_set(out, static_cast<std::time_t>(time.time_since_epoch().count())) != nullptr);
}

std::chrono::sys_seconds time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::sys_seconds{std::chrono::seconds{::timegm(&parts)}};
}

std::chrono::sys_seconds now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

// All that an authority's certificate and those that it issues have in common.
OwnedCertificate blank(EVP_PKEY* key, const std::string& cluster, const std::string& unit,
                       const std::string& name, std::chrono::sys_seconds until) {
  OwnedCertificate certificate(X509_new());
  require(certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1);
  std::array<unsigned char, 16> random{};
  require(RAND_bytes(random.data(), static_cast<int>(random.size())) == 1);
  random[0] = static_cast<unsigned char>((random[0] & 0x7fU) | 0x40U);  // positive, 16 bytes
  const Owned<BIGNUM, BN_free> serial(
      BN_bin2bn(random.data(), static_cast<int>(random.size()), nullptr));
  require(serial != nullptr &&
          BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get())) != nullptr);
  set_time(X509_getm_notBefore(certificate.get()), now() - kBackdated);
  set_time(X509_getm_notAfter(certificate.get()), until);
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  const auto add = [&](const char* field, const std::string& value) {
    require(X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(value.data()),
                                       static_cast<int>(value.size()), -1, 0) == 1);
  };
  add("O", cluster);
  add("OU", unit);
  add("CN", name);
  require(X509_set_pubkey(certificate.get(), key) == 1);
  return certificate;
}

Result<std::string> alternative_names_of(const CertificateRequest& request) {
  std::string names = "URI:" + uri_of(request.identity);
  for (const std::string& host : request.hosts) {
    if (is_address(host)) {
      names += ",IP:" + host;
    } else if (is_dns_name(host)) {
      names += ",DNS:" + host;
    } else {
      return fail(Errc::invalid_argument,
                  "'" + host + "' is neither an IP address nor a DNS name in lower case");
    }
  }
  return names;
}

}  // namespace

std::string_view to_string(Role role) {
  switch (role) {
    case Role::manager: return "manager";
    case Role::host: return "host";
    case Role::tenant: return "tenant";
    case Role::operator_: return "operator";
  }
  return "unknown";
}

std::optional<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::manager, Role::host, Role::tenant, Role::operator_})
    if (text == to_string(role)) return role;
  return std::nullopt;
}

Result<Identity> identity_of(std::string_view certificate_pem) {
  const auto certificate = first_certificate(certificate_pem);
  if (!certificate) return std::unexpected(certificate.error());
  const auto uris = aloft_uris(certificate->get());
  if (uris.size() > 1)
    return fail(Errc::refused, "the certificate has more than one identity of aloft's");
  auto identity = uris.empty() ? std::nullopt : parse_identity(uris.front());
  if (!identity) {
    return fail(Errc::refused,
                "the certificate has no identity of aloft's (aloft://CLUSTER/ROLE/NAME among its "
                "alternative names); have one made with `aloft cluster issue`");
  }
  return *std::move(identity);
}

Result<Digest> public_key_digest(std::string_view certificate_pem) {
  const auto mark = mark_of(certificate_pem);
  if (!mark) return std::unexpected(mark.error());
  return mark->public_key;
}

Result<CertificateMark> mark_of(std::string_view certificate_pem) {
  const auto certificate = first_certificate(certificate_pem);
  if (!certificate) return std::unexpected(certificate.error());
  const auto digest = key_digest_of(certificate->get());
  if (!digest) return fail(Errc::corrupt, "a certificate without a public key");
  return CertificateMark{*digest, serial_of(certificate->get())};
}

Result<std::vector<CertificateView>> view_certificates(std::string_view pem) {
  if (pem.size() > kMaxKeyFile) return fail(Errc::corrupt, "no certificate: more than 1 MiB");
  std::vector<CertificateView> views;
  const OwnedBio bio = bio_over(pem);
  ERR_clear_error();
  for (;;) {
    const OwnedCertificate certificate(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
    if (certificate == nullptr) break;
    CertificateView view;
    if (const auto uris = aloft_uris(certificate.get()); uris.size() == 1)
      view.identity = parse_identity(uris.front());
    if (const auto key = key_digest_of(certificate.get()))
      view.mark = {*key, serial_of(certificate.get())};
    const OwnedNames names = alternative_names(certificate.get());
    each_name(names, GEN_DNS, [&](std::string_view name) { view.hosts.emplace_back(name); });
    each_name(names, GEN_IPADD, [&](std::string_view address) {
      std::array<char, INET6_ADDRSTRLEN> text{};
      const int family = address.size() == sizeof(in_addr) ? AF_INET : AF_INET6;
      if (address.size() != sizeof(in_addr) && address.size() != sizeof(in6_addr)) return;
      if (::inet_ntop(family, address.data(), text.data(), text.size()) != nullptr)
        view.hosts.emplace_back(text.data());
    });
    view.not_before = time_of(X509_get0_notBefore(certificate.get()));
    view.not_after = time_of(X509_get0_notAfter(certificate.get()));
    views.push_back(std::move(view));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (views.empty() || !at_end) return fail(Errc::corrupt, "no certificate: " + openssl_reason());
  ERR_clear_error();
  return views;
}

Result<Authority> Authority::create(std::string_view cluster) {
  if (!is_name(cluster)) {
    return fail(Errc::invalid_argument,
                "'" + std::string(cluster.substr(0, kMaxName)) +
                    "' is no name of a cluster: 1 to 63 of a-z, 0-9 and '-', not '-' at an end");
  }
  Authority authority;
  authority.cluster_ = cluster;
  const OwnedKey key = new_key();
  // The day tells an authority from the one that replaces it where a person reads the name.
  const auto today = std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(now()));
  const std::string day = std::to_string(static_cast<int>(today.year())) + "-" +
                          std::to_string(static_cast<unsigned>(today.month())) + "-" +
                          std::to_string(static_cast<unsigned>(today.day()));
  const OwnedCertificate certificate = blank(key.get(), authority.cluster_, "authority",
                                             "authority of " + day, now() + kAuthorityLife);
  X509* const self = certificate.get();
  require(X509_set_issuer_name(self, X509_get_subject_name(self)) == 1);
  add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(self, self, NID_subject_key_identifier, "hash");
  add_extension(self, self, NID_authority_key_identifier, "keyid:always");
  add_extension(self, self, NID_subject_alt_name,
                "URI:" + std::string(kScheme) + authority.cluster_);
  require(X509_sign(self, key.get(), EVP_sha256()) > 0);
  authority.certificate_pem_ = pem_of(self);
  authority.key_pem_ = pem_of(key.get());
  return authority;
}

Result<Authority> Authority::load(const std::filesystem::path& folder, std::string_view name) {
  const auto certificate_file = folder / (std::string(name) + ".pem");
  const auto key_file = folder / (std::string(name) + ".key");
  auto certificate_pem = read_key_file(certificate_file, Secrecy::open);
  if (!certificate_pem) return std::unexpected(std::move(certificate_pem).error());
  auto key_pem = read_key_file(key_file, Secrecy::secret);
  if (!key_pem) return std::unexpected(std::move(key_pem).error());

  const auto certificate = first_certificate(*certificate_pem);
  if (!certificate)
    return fail(Errc::corrupt, certificate_file.string() + ": " + certificate.error().message);
  ERR_clear_error();
  const OwnedKey key(
      PEM_read_bio_PrivateKey(bio_over(*key_pem).get(), nullptr, no_password, nullptr));
  if (key == nullptr)
    return fail(Errc::corrupt,
                key_file.string() + " is no private key in PEM: " + openssl_reason());
  if (X509_check_private_key(certificate->get(), key.get()) != 1) {
    ERR_clear_error();
    return fail(Errc::corrupt, key_file.string() + " is not the key of " +
                                   certificate_file.string() + " (of its first certificate)");
  }
  const auto uris = aloft_uris(certificate->get());
  Authority authority;
  if (uris.size() == 1) authority.cluster_ = uris.front().substr(kScheme.size());
  if (!is_name(authority.cluster_) || X509_check_ca(certificate->get()) != 1) {
    return fail(Errc::corrupt, certificate_file.string() +
                                   " is no authority of a cluster; `aloft cluster init` makes one");
  }
  authority.certificate_pem_ = pem_of(certificate->get());
  authority.key_pem_ = *std::move(key_pem);
  return authority;
}

Result<void> Authority::save(const std::filesystem::path& folder, std::string_view name) const {
  return identity::save({certificate_pem_, key_pem_}, folder, name);
}

Result<IssuedCertificate> Authority::issue(const CertificateRequest& request) const {
  const Identity& identity = request.identity;
  if (identity.cluster != cluster_)
    return fail(Errc::invalid_argument, "this is the authority of the cluster " + cluster_ +
                                            ", not of " + identity.cluster);
  if (!is_name(identity.name)) {
    return fail(Errc::invalid_argument,
                "'" + identity.name.substr(0, kMaxName) +
                    "' is no name: 1 to 63 of a-z, 0-9 and '-', not '-' at an end");
  }
  const bool serves = identity.role == Role::manager || identity.role == Role::host;
  if (serves && request.hosts.empty()) {
    return fail(Errc::invalid_argument,
                "a " + std::string(to_string(identity.role)) +
                    " needs the DNS names or IP addresses at which it is reached (--hosts)");
  }
  const auto names = alternative_names_of(request);
  if (!names) return std::unexpected(names.error());

  const auto authority = first_certificate(certificate_pem_);
  if (!authority) return std::unexpected(authority.error());
  const OwnedKey authority_key(
      PEM_read_bio_PrivateKey(bio_over(key_pem_).get(), nullptr, no_password, nullptr));
  require(authority_key != nullptr);
  const auto until = now() + request.valid_for;
  if (request.valid_for <= std::chrono::days{0} ||
      until > time_of(X509_get0_notAfter(authority->get()))) {
    return fail(Errc::invalid_argument,
                "a certificate lives for a day at least, and not longer than its authority");
  }

  const OwnedKey key = new_key();
  const OwnedCertificate certificate =
      blank(key.get(), cluster_, std::string(to_string(identity.role)), identity.name, until);
  X509* const leaf = certificate.get();
  require(X509_set_issuer_name(leaf, X509_get_subject_name(authority->get())) == 1);
  add_extension(leaf, authority->get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(leaf, authority->get(), NID_key_usage, "critical,digitalSignature");
  add_extension(leaf, authority->get(), NID_ext_key_usage,
                serves ? "serverAuth,clientAuth" : "clientAuth");
  add_extension(leaf, authority->get(), NID_subject_key_identifier, "hash");
  add_extension(leaf, authority->get(), NID_authority_key_identifier, "keyid:always");
  add_extension(leaf, authority->get(), NID_subject_alt_name, *names);
  require(X509_sign(leaf, authority_key.get(), EVP_sha256()) > 0);
  return IssuedCertificate{pem_of(leaf), pem_of(key.get())};
}

Result<void> save(const IssuedCertificate& issued, const std::filesystem::path& folder,
                  std::string_view name, Existing existing) {
  std::error_code error;
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), error);
  if (::mkdir(folder.c_str(), S_IRWXU) != 0 && !std::filesystem::is_directory(folder, error))
    return fail(Errc::internal, "cannot make the folder " + folder.string());
  const auto certificate = folder / (std::string(name) + ".pem");
  if (existing == Existing::refuse && std::filesystem::exists(certificate, error))
    return fail(Errc::refused, certificate.string() + " is there already and is not written over");
  // The key first: whoever finds the certificate finds its key.
  if (auto written = write_key_file(folder / (std::string(name) + ".key"), issued.key_pem,
                                    Secrecy::secret, existing);
      !written)
    return written;
  return write_key_file(certificate, issued.certificate_pem, Secrecy::open, existing);
}

}  // namespace aloft::identity
