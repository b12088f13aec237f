#include "identity/cluster_folder.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include <sys/stat.h>

#include "identity/key_file.h"
#include "identity/ticket_keys.h"

namespace aloft::identity {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEndOfCertificate = "-----END CERTIFICATE-----\n";

std::string tenants_file(const NewCluster& cluster) {
  return "# Who may use the cluster, and how much of it. Managers read it again when it changes.\n"
         "# What a tenant is not given here it does not have; docs/tenants.md lists all keys.\n"
         "\n"
         "[tenants.default]\n"
         "max_sessions = 64\n"
         "memory = \"8GiB\"           # of all its sessions together\n"
         "cpu_millicores = 16000\n"
         "gpus = 1\n"
         "opens_per_second = 50\n"
         "open_burst = 100\n"
         "modules = [\"*\"]            # names, \"sha256:...\", or all\n"
         "module_signers = []        # files of public keys: [\"publisher.pub\"]\n"
         "allow_unsigned = " +
         std::string(cluster.modules == Unsigned::allowed ? "true" : "false") +
         "     # true: modules need no signature\n"
         "host_functions = [\"wasi_ephemeral_nn\"]\n";
}

bool there(const fs::path& file) {
  std::error_code error;
  return fs::exists(file, error);
}

Result<void> remove_file(const fs::path& file) {
  std::error_code error;
  fs::remove(file, error);
  if (!error) return {};
  return fail(Errc::internal, "cannot remove " + file.string() + ": " + error.message());
}

Result<void> fill(const fs::path& folder, const NewCluster& cluster) {
  const auto authority = Authority::create(cluster.name);
  if (!authority) return std::unexpected(authority.error());
  if (auto saved = authority->save(folder); !saved) return saved;
  if (auto made = create_ticket_keys(folder); !made) return made;
  const CertificateRequest requests[] = {
      {.identity = {cluster.name, Role::manager, "manager"}, .hosts = cluster.manager_hosts},
      {.identity = {cluster.name, Role::operator_, "operator"}, .hosts = {}},
      {.identity = {cluster.name, Role::tenant, "default"}, .hosts = {}},
  };
  for (const CertificateRequest& request : requests) {
    const auto issued = authority->issue(request);
    if (!issued) return std::unexpected(issued.error());
    if (auto saved = save(*issued, folder, file_name_of(request.identity)); !saved) return saved;
  }
  return write_key_file(folder / "tenants.toml", tenants_file(cluster), Secrecy::open);
}

// The certificates of a bundle, each as its own PEM text.
std::vector<std::string> split(std::string_view bundle) {
  std::vector<std::string> certificates;
  for (;;) {
    const auto begin = bundle.find("-----BEGIN CERTIFICATE-----");
    const auto end = bundle.find(kEndOfCertificate);
    if (begin == std::string_view::npos || end == std::string_view::npos || end < begin)
      return certificates;
    certificates.emplace_back(bundle.substr(begin, end + kEndOfCertificate.size() - begin));
    bundle.remove_prefix(end + kEndOfCertificate.size());
  }
}

Result<void> write_bundle(const fs::path& folder, const std::vector<std::string>& certificates) {
  std::string bundle;
  for (const std::string& each : certificates) bundle += each;
  return write_key_file(folder / "ca.pem", bundle, Secrecy::open, Existing::replace);
}

// The bundle with `first` at its front, whatever place it had.
std::vector<std::string> led_by(const std::string& first, std::vector<std::string> bundle) {
  std::erase(bundle, first);
  bundle.insert(bundle.begin(), first);
  return bundle;
}

Result<AuthorityRotation> put_into_use(const fs::path& folder, std::vector<std::string> bundle) {
  const auto next = Authority::load(folder, "ca-next");
  if (!next) return std::unexpected(next.error());
  if (std::ranges::find(bundle, next->certificate_pem()) == bundle.end()) {
    // The first step was cut off before all could trust the next authority.
    bundle.push_back(next->certificate_pem());
    if (auto written = write_bundle(folder, bundle); !written)
      return std::unexpected(std::move(written).error());
    return AuthorityRotation::next_trusted;
  }
  if (auto written = write_bundle(folder, led_by(next->certificate_pem(), std::move(bundle)));
      !written)
    return std::unexpected(std::move(written).error());
  std::error_code error;
  fs::rename(folder / "ca-next.key", folder / "ca.key", error);
  if (error) {
    return fail(Errc::internal, "cannot put " + (folder / "ca-next.key").string() +
                                    " into use: " + error.message());
  }
  if (auto removed = remove_file(folder / "ca-next.pem"); !removed)
    return std::unexpected(std::move(removed).error());
  return AuthorityRotation::next_in_use;
}

}  // namespace

std::string file_name_of(const Identity& identity) {
  const std::string role(to_string(identity.role));
  const bool only_one = identity.role == Role::manager || identity.role == Role::operator_;
  return only_one && identity.name == role ? role : role + "-" + identity.name;
}

Result<void> create_cluster_folder(const fs::path& folder, const NewCluster& cluster) {
  std::error_code error;
  if (there(folder) && !fs::is_empty(folder, error)) {
    return fail(Errc::refused,
                folder.string() + " is not empty, and nothing is written over; name a new folder");
  }
  // Without a slash at the end, the new folder is beside the one that it becomes.
  const fs::path target = (folder.has_filename() ? folder : folder.parent_path());
  if (target.has_parent_path()) fs::create_directories(target.parent_path(), error);
  std::string making = target.string() + ".XXXXXX";
  if (::mkdtemp(making.data()) == nullptr)
    return fail(Errc::internal, "cannot make " + target.string() + ": " + std::strerror(errno));
  Result<void> made = fill(making, cluster);
  if (made && ::rename(making.c_str(), target.c_str()) != 0)
    made = fail(Errc::internal, "cannot make " + target.string() + ": " + std::strerror(errno));
  if (!made) fs::remove_all(making, error);
  return made;
}

Result<AuthorityRotation> rotate_authority(const fs::path& folder) {
  const auto text = read_key_file(folder / "ca.pem", Secrecy::open);
  if (!text) return std::unexpected(text.error());
  const std::vector<std::string> bundle = split(*text);
  const bool next_key = there(folder / "ca-next.key");
  const bool next_pem = there(folder / "ca-next.pem");
  if (next_key && next_pem) return put_into_use(folder, bundle);
  if (next_pem) {
    // The second step was cut off at its very end.
    if (auto removed = remove_file(folder / "ca-next.pem"); !removed)
      return std::unexpected(std::move(removed).error());
    return AuthorityRotation::next_in_use;
  }
  const auto current = Authority::load(folder);
  if (!current) return std::unexpected(current.error());
  if (bundle.size() > 1) {
    if (auto written = write_bundle(folder, {current->certificate_pem()}); !written)
      return std::unexpected(std::move(written).error());
    return AuthorityRotation::old_distrusted;
  }
  if (next_key) {
    // The first step was cut off between the two files: nobody has seen that key.
    if (auto removed = remove_file(folder / "ca-next.key"); !removed)
      return std::unexpected(std::move(removed).error());
  }
  const auto next = Authority::create(current->cluster());
  if (!next) return std::unexpected(next.error());
  if (auto saved = next->save(folder, "ca-next"); !saved)
    return std::unexpected(std::move(saved).error());
  if (auto written = write_bundle(folder, {current->certificate_pem(), next->certificate_pem()});
      !written)
    return std::unexpected(std::move(written).error());
  return AuthorityRotation::next_trusted;
}

}  // namespace aloft::identity
