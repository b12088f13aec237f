#include "device/page/door.h"

#include <openssl/crypto.h>

namespace aloft::device {

std::string Door::url() const {
  return "http://127.0.0.1:" + std::to_string(port_) + "/" + key_ + "/";
}

Result<std::string_view> Door::open(const Knock& knock, Wants wants) const {
  const std::string port = ":" + std::to_string(port_);
  if (!knock.host || (*knock.host != "127.0.0.1" + port && *knock.host != "localhost" + port))
    return fail(Errc::refused, "this page is at 127.0.0.1" + port + " and has no other name");
  if (wants == Wants::socket && !knock.origin)
    return fail(Errc::refused, "only this page may use its socket");
  if (knock.origin && *knock.origin != "http://" + std::string(*knock.host))
    return fail(Errc::refused, "a page from elsewhere may not use this one");
  std::string_view path = knock.target.substr(0, knock.target.find('?'));
  const std::string_view without =
      "the address of this page holds a key: open the one that the program printed";
  if (!path.starts_with('/')) return fail(Errc::refused, std::string(without));
  path.remove_prefix(1);
  // How much of a wrong key was right is not to be told by the time that it takes.
  if (path.size() <= key_.size() || path[key_.size()] != '/' ||
      CRYPTO_memcmp(path.data(), key_.data(), key_.size()) != 0)
    return fail(Errc::refused, std::string(without));
  return path.substr(key_.size() + 1);
}

}  // namespace aloft::device
