// Certificates for tests, made on the spot: authorities, and what they vouch for.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "channel/tls.h"

namespace aloft::channel::testing {

// An authority whose files are in `folder`, which must exist.
class Authority {
 public:
  explicit Authority(std::filesystem::path folder, const std::string& name = "authority")
      : folder_(std::move(folder)), name_(name) {
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=" + name +
        " -keyout " + file(name_ + ".key") + " -out " + file(name_ + ".pem"));
  }

  // A certificate for `host` (a number), with its key.
  [[nodiscard]] TlsFiles issue(const std::string& host, const std::string& who) const {
    run("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + who +
        " -keyout " + file(who + ".key") + " -out " + file(who + ".csr"));
    run("x509 -req -days 2 -in " + file(who + ".csr") + " -CA " + file(name_ + ".pem") +
        " -CAkey " + file(name_ + ".key") + " -CAcreateserial -out " + file(who + ".pem") +
        " -extfile /dev/stdin <<< subjectAltName=IP:" + host);
    return {.certificate = folder_ / (who + ".pem"),
            .key = folder_ / (who + ".key"),
            .authority = certificate()};
  }
  [[nodiscard]] std::filesystem::path certificate() const { return folder_ / (name_ + ".pem"); }

 private:
  [[nodiscard]] std::string file(const std::string& name) const {
    return "'" + (folder_ / name).string() + "'";
  }
  static void run(const std::string& arguments) {
    const std::string command = "bash -c \"openssl " + arguments + "\" 2> /dev/null > /dev/null";
    if (std::system(command.c_str()) != 0) std::abort();
  }

  std::filesystem::path folder_;
  std::string name_;
};

}  // namespace aloft::channel::testing
