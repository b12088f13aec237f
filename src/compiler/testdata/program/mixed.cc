#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>

#include <openssl/sha.h>

extern "C" int legacy(int x);

namespace demo {

std::mutex lock;
int calls = 0;

// Nothing here is against it but its neighbours.
std::uint64_t hash(const std::string& text) {
  std::uint64_t value = 14695981039346656037U;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return value;
}

int counted(int x) {
  const std::lock_guard<std::mutex> held(lock);
  calls += x;
  return calls;
}

int checked(int x) {
  if (x < 0) throw std::invalid_argument("negative");
  return x;
}

int through(int x) { return checked(x) + 1; }

int of_a_library(const std::string& text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return digest[0];
}

int of_c(int x) { return legacy(x); }

}  // namespace demo
