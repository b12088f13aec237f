#include "host/quarantine.h"

#include <fstream>
#include <iterator>
#include <system_error>

namespace aloft::host {

Result<void> Quarantine::add(const Digest& digest, const std::string& reason) const {
  std::error_code ignored;  // the file says whether it worked
  std::filesystem::create_directories(folder_, ignored);
  const auto file = folder_ / digest.hex();
  std::ofstream out(file, std::ios::trunc);
  out << reason << "\n";
  out.close();
  if (!out) return fail(Errc::internal, "cannot write " + file.string());
  return {};
}

Result<void> Quarantine::check(const Digest& digest, const std::string& what) const {
  const auto file = folder_ / digest.hex();
  std::ifstream in(file);
  if (!in) return {};
  std::string reason;
  std::getline(in, reason);
  return fail(Errc::refused, "the " + what + " sha256:" + digest.hex() +
                                 " is in quarantine: " + reason +
                                 " (the edge's operator can remove " + file.string() + ")");
}

}  // namespace aloft::host
