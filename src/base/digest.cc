#include "base/digest.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <openssl/evp.h>

#include "base/ids.h"

namespace aloft {
namespace {

// What OpenSSL can fail with here is want of memory alone; there is no digest then, and none may be
// made up.
void require(bool ok) {
  if (!ok) std::abort();
}

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

struct CloseFile {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};

}  // namespace

std::string Digest::hex() const { return to_hex(bytes); }

Result<Digest> Digest::parse(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  std::string_view digits = text;
  if (digits.starts_with(kPrefix)) digits.remove_prefix(kPrefix.size());
  Digest digest;
  bool ok = digits.size() == 2 * digest.bytes.size();
  for (std::size_t i = 0; ok && i < digest.bytes.size(); ++i) {
    const int high = hex_value(digits[2 * i]);
    const int low = hex_value(digits[2 * i + 1]);
    ok = high >= 0 && low >= 0;
    if (ok) digest.bytes[i] = static_cast<std::byte>(high << 4 | low);
  }
  if (!ok)
    return fail(Errc::invalid_argument, "no SHA-256: '" + std::string(text.substr(0, 80)) + "'");
  return digest;
}

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  require(context_->evp != nullptr && EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
  Digest digest;
  require(EVP_DigestFinal_ex(context_->evp, reinterpret_cast<unsigned char*>(digest.bytes.data()),
                             nullptr) == 1 &&
          EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
  return digest;
}

Digest sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

Result<FileDigest> sha256_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) {
    return fail(Errc::not_found, "cannot open " + path.string() + ": " + std::strerror(errno));
  }
  Sha256 hash;
  FileDigest result;
  std::vector<std::byte> buffer(std::size_t{256} * 1024);
  for (;;) {
    const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get());
    if (count == 0) break;
    hash.update(std::span(buffer).first(count));
    result.size += count;
  }
  if (std::ferror(file.get()) != 0) {
    return fail(Errc::internal, "cannot read " + path.string() + ": " + std::strerror(errno));
  }
  result.digest = hash.finish();
  return result;
}

}  // namespace aloft
