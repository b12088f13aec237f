#include "identity/certificate_chain.h"

#include <string>
#include <vector>

#include <openssl/x509_vfy.h>

#include "identity/openssl.h"

namespace aloft::identity {
namespace {

using OwnedStore = Owned<X509_STORE, X509_STORE_free>;
using OwnedStoreContext = Owned<X509_STORE_CTX, X509_STORE_CTX_free>;
// Of certificates that others own.
using Borrowed = Owned<STACK_OF(X509), [](STACK_OF(X509) * stack) { sk_X509_free(stack); }>;

std::vector<OwnedCertificate> certificates_in(std::string_view text) {
  const OwnedBio bio = bio_over(text);
  std::vector<OwnedCertificate> all;
  while (X509* const one = PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr))
    all.emplace_back(one);
  ERR_clear_error();
  return all;
}

}  // namespace

Result<void> check_chain(std::string_view certificate, std::string_view key,
                         std::string_view authorities) {
  const auto chain = certificates_in(certificate);
  if (chain.empty()) return fail(Errc::corrupt, "no certificate in PEM");
  const OwnedKey own(PEM_read_bio_PrivateKey(bio_over(key).get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  if (own == nullptr) return fail(Errc::corrupt, "no private key in PEM, without a passphrase");
  const bool fits = X509_check_private_key(chain.front().get(), own.get()) == 1;
  ERR_clear_error();
  if (!fits) return fail(Errc::refused, "the private key is not that of the certificate");

  const auto trusted = certificates_in(authorities);
  if (trusted.empty()) return fail(Errc::corrupt, "no certificate of an authority in PEM");
  const OwnedStore store(X509_STORE_new());
  require(store != nullptr);
  for (const auto& one : trusted) X509_STORE_add_cert(store.get(), one.get());
  const Borrowed between(sk_X509_new_null());
  require(between != nullptr);
  for (std::size_t i = 1; i < chain.size(); ++i) sk_X509_push(between.get(), chain[i].get());
  const OwnedStoreContext context(X509_STORE_CTX_new());
  require(context != nullptr &&
          X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), between.get()) == 1);
  const bool good = X509_verify_cert(context.get()) == 1;
  const int why = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  if (good) return {};
  return fail(Errc::refused, std::string("the certificate is not good by these authorities: ") +
                                 X509_verify_cert_error_string(why));
}

}  // namespace aloft::identity
