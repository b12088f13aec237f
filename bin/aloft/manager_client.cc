#include "manager_client.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <google/protobuf/util/json_util.h>
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "identity/key_file.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kConnectLimit{3};

}  // namespace

void add_manager_options(CLI::App& command, ManagerOptions& options) {
  command.add_option("--manager", options.managers, "HOST:PORT of a manager; several: any of them")
      ->envname("ALOFT_MANAGER")
      ->delimiter(',');
  command
      .add_option("--credentials", options.credentials,
                  "folder with ca.pem, operator.pem and operator.key (aloft cluster init)")
      ->envname("ALOFT_CREDENTIALS");
  command.add_option("--as", options.role, "the certificate's name there, e.g. tenant-default")
      ->capture_default_str();
}

Result<std::unique_ptr<v1::OffloadManager::Stub>> connect(const ManagerOptions& options) {
  using identity::Secrecy;
  if (options.managers.empty()) {
    return fail(Errc::invalid_argument,
                "which cluster? Pass --manager HOST:PORT, or set ALOFT_MANAGER");
  }
  if (options.credentials.empty()) {
    return fail(
        Errc::invalid_argument,
        "who are you? Pass --credentials DIR with ca.pem, operator.pem and operator.key, or "
        "set ALOFT_CREDENTIALS");
  }
  const fs::path folder = options.credentials;
  const auto authority = identity::read_key_file(folder / "ca.pem", Secrecy::open);
  if (!authority) return std::unexpected(authority.error());
  const auto certificate = identity::read_key_file(folder / (options.role + ".pem"), Secrecy::open);
  if (!certificate) return std::unexpected(certificate.error());
  const auto key = identity::read_key_file(folder / (options.role + ".key"), Secrecy::secret);
  if (!key) return std::unexpected(key.error());
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = *authority;
  tls.pem_cert_chain = *certificate;
  tls.pem_private_key = *key;
  const auto credentials = grpc::SslCredentials(tls);
  for (const std::string& manager : options.managers) {
    auto channel = grpc::CreateChannel(manager, credentials);
    if (channel->WaitForConnected(std::chrono::system_clock::now() + kConnectLimit)) {
      return v1::OffloadManager::NewStub(channel);
    }
  }
  std::string all;
  for (const std::string& manager : options.managers) all += (all.empty() ? "" : ", ") + manager;
  return fail(Errc::unreachable, "no manager can be reached at " + all +
                                     ", or its certificate is not of the authority in " +
                                     (folder / "ca.pem").string());
}

std::string fraction(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

void print_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  std::printf("%s", text.c_str());
}

void TextTable::print() const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    std::printf("%s\n", line.c_str());
  }
}

}  // namespace aloft::cli
