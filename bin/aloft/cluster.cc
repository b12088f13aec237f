// aloft cluster: who a cluster is. Works on the folder of its keys alone, and needs no manager.
#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cluster/revocations.h"
#include "commands.h"
#include "identity/certificate.h"
#include "identity/cluster_folder.h"
#include "identity/key_file.h"
#include "identity/ticket_keys.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Options {
  std::string folder;
  std::string name = "default";
  std::string role;
  std::vector<std::string> hosts;
  int days = 365;
  bool replace = false;
  bool allow_unsigned = false;
  std::string certificate, serial, token, tenant, reason;
};

void say(const Context& context, const Json& json, const std::string& text) {
  std::printf("%s\n", context.json ? json.dump(2).c_str() : text.c_str());
}

std::string day(std::chrono::sys_seconds time) {
  const std::time_t seconds = time.time_since_epoch().count();
  std::tm parts{};
  char text[32] = {};
  ::gmtime_r(&seconds, &parts);
  std::strftime(text, sizeof(text), "%Y-%m-%d", &parts);
  return text;
}

void init(Context& context, const Options& options) {
  identity::NewCluster cluster;
  cluster.name = options.name;
  if (!options.hosts.empty()) cluster.manager_hosts = options.hosts;
  if (options.allow_unsigned) cluster.modules = identity::Unsigned::allowed;
  if (auto made = identity::create_cluster_folder(options.folder, cluster); !made)
    return failed(context, made.error());
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(options.folder))
    files.push_back(entry.path().filename().string());
  std::ranges::sort(files);
  std::string text = "The cluster '" + options.name + "' is in " + options.folder + ":\n";
  for (const std::string& file : files) text += "  " + file + "\n";
  text +=
      "ca.key and ticket.key are its secrets: keep them where no device and no host can read "
      "them.\nNext: aloft cluster issue --role host --name h1 --hosts ADDRESS " +
      options.folder;
  say(context, {{"cluster", options.name}, {"folder", options.folder}, {"files", files}}, text);
}

void issue(Context& context, const Options& options) {
  const auto authority = identity::Authority::load(options.folder);
  if (!authority) return failed(context, authority.error());
  identity::CertificateRequest request;
  request.identity.cluster = authority->cluster();
  request.identity.role = identity::parse_role(options.role).value_or(identity::Role::tenant);
  request.identity.name = options.name;
  request.hosts = options.hosts;
  request.valid_for = std::chrono::days{options.days};
  const std::string name = identity::file_name_of(request.identity);
  const fs::path file = fs::path(options.folder) / (name + ".pem");
  if (options.replace && request.hosts.empty()) {
    // As it was: whoever renews does not have to remember where it is reached.
    const auto old = identity::read_key_file(file, identity::Secrecy::open);
    if (!old) return failed(context, old.error());
    const auto views = identity::view_certificates(*old);
    if (!views)
      return failed(context, {views.error().code, file.string() + ": " + views.error().message});
    request.hosts = views->front().hosts;
  }
  const auto issued = authority->issue(request);
  if (!issued) return failed(context, issued.error());
  const auto existing = options.replace ? identity::Existing::replace : identity::Existing::refuse;
  if (auto saved = identity::save(*issued, options.folder, name, existing); !saved) {
    auto error = saved.error();
    if (error.code == Errc::refused) error.message += " (--replace issues it anew)";
    return failed(context, error);
  }
  const fs::path key = fs::path(options.folder) / (name + ".key");
  say(context, {{"certificate", file.string()}, {"key", key.string()}},
      file.string() + "\n" + key.string());
}

void rotate_tickets(Context& context, const Options& options) {
  const auto step = identity::rotate_ticket_keys(options.folder);
  if (!step) return failed(context, step.error());
  switch (*step) {
    case identity::TicketRotation::next_made:
      return say(context, {{"step", "next_made"}},
                 "ticket-next.key is there, and not in use yet. Give ticket* to every manager, "
                 "restart them one by one, wait a minute for the hosts to hear of it, and run this "
                 "again.");
    case identity::TicketRotation::next_in_use:
      return say(context, {{"step", "next_in_use"}},
                 "The next key is in use. Give ticket* to every manager and restart them one by "
                 "one. An hour later no ticket of the old key is left: run this again.");
    case identity::TicketRotation::old_removed:
      return say(context, {{"step", "old_removed"}},
                 "The old key is gone. Remove ticket-old.pub from every manager and restart them "
                 "one by one. The keys of tickets have been replaced.");
  }
}

void rotate_authority(Context& context, const Options& options) {
  const auto step = identity::rotate_authority(options.folder);
  if (!step) return failed(context, step.error());
  switch (*step) {
    case identity::AuthorityRotation::next_trusted:
      return say(
          context, {{"step", "next_trusted"}},
          "ca.pem has the old and the next authority. Give it to every manager, host and "
          "device (restart applications; managers and hosts notice), wait a minute, and run this "
          "again.");
    case identity::AuthorityRotation::next_in_use:
      return say(context, {{"step", "next_in_use"}},
                 "The next authority is in use. Issue every certificate anew (aloft cluster issue "
                 "--replace ...; aloft cluster show lists them), hand them out, and run this "
                 "again.");
    case identity::AuthorityRotation::old_distrusted:
      return say(context, {{"step", "old_distrusted"}},
                 "ca.pem has the new authority alone. Give it to every manager, host and device. "
                 "The authority has been replaced.");
  }
}

// Whose key it is that a file of a certificate names.
Result<Digest> key_in(const std::string& file, const std::string& cluster_folder) {
  const auto pem = identity::read_key_file(file, identity::Secrecy::open);
  if (!pem) return std::unexpected(pem.error());
  const auto views = identity::view_certificates(*pem);
  if (!views) return fail(views.error().code, file + ": " + views.error().message);
  const auto authority =
      identity::read_key_file(fs::path(cluster_folder) / "ca.pem", identity::Secrecy::open);
  if (!authority) return std::unexpected(authority.error());
  const auto own = identity::mark_of(*authority);
  if (!own) return std::unexpected(own.error());
  if (views->front().mark == *own || !views->front().identity) {
    return fail(Errc::invalid_argument,
                file +
                    " is the certificate of an authority, or of nobody: an authority is "
                    "replaced (aloft cluster rotate authority)");
  }
  return views->front().mark.public_key;
}

void revoke(Context& context, const Options& options) {
  std::error_code error;
  if (!fs::is_directory(options.folder, error))
    return failed(context, {Errc::not_found, "no such folder: " + options.folder});
  cluster::Revocation revocation{.key = {},
                                 .serial = options.serial,
                                 .token = options.token,
                                 .tenant = options.tenant,
                                 .reason = options.reason};
  if (!options.certificate.empty()) {
    const auto key = key_in(options.certificate, options.folder);
    if (!key) return failed(context, key.error());
    revocation.key = *key;
  }
  // As openssl and browsers show it.
  std::erase(revocation.serial, ':');
  std::ranges::transform(revocation.serial, revocation.serial.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto added = cluster::revoke(options.folder, revocation);
  if (!added) return failed(context, added.error());
  const std::string file = (fs::path(options.folder) / cluster::kRevokedFile).string();
  say(context, {{"file", file}, {"added", *added}},
      file + (*added ? " has it now. Put the file beside the tenants file of every manager: they "
                       "read it while they run, refuse what it names, and close its sessions."
                     : " has it already."));
}

void show(Context& context, const Options& options) {
  std::error_code error;
  if (!fs::is_directory(options.folder, error))
    return failed(context, {Errc::not_found, "no such folder: " + options.folder});
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(options.folder, error))
    if (entry.path().extension() == ".pem") files.push_back(entry.path());
  std::ranges::sort(files);
  const auto revoked = cluster::load_revocations(options.folder);
  if (!revoked) return failed(context, revoked.error());
  Json rows = Json::array();
  std::string text =
      "FILE                     IDENTITY                              ENDS        HOSTS";
  for (const fs::path& file : files) {
    const auto pem = identity::read_key_file(file, identity::Secrecy::open);
    if (!pem) return failed(context, pem.error());
    const auto views = identity::view_certificates(*pem);
    if (!views)
      return failed(context, {views.error().code, file.string() + ": " + views.error().message});
    for (const identity::CertificateView& view : *views) {
      const std::string who =
          view.identity ? std::string(to_string(view.identity->role)) + " " + view.identity->name
                        : "authority";
      std::string hosts;
      for (const std::string& host : view.hosts) hosts += (hosts.empty() ? "" : ",") + host;
      const bool is_revoked = revoked->covers(
          {.key = view.mark.public_key, .serial = view.mark.serial, .token = {}, .tenant = {}});
      if (is_revoked) hosts = "REVOKED " + hosts;
      char line[512];
      std::snprintf(line, sizeof(line), "\n%-24s %-37s %-11s %s", file.filename().string().c_str(),
                    who.c_str(), day(view.not_after).c_str(), hosts.c_str());
      text += line;
      rows.push_back({{"file", file.filename().string()},
                      {"identity", who},
                      {"ends", day(view.not_after)},
                      {"revoked", is_revoked},
                      {"hosts", view.hosts}});
    }
  }
  say(context, rows, text);
}

}  // namespace

void add_cluster_commands(CLI::App& app, Context& context) {
  auto* const cluster = app.add_subcommand("cluster", "who a cluster is: authority, keys, tenants");
  cluster->require_subcommand(1);
  const auto options = std::make_shared<Options>();
  const auto folder = [&](CLI::App* command) {
    command->add_option("DIR", options->folder, "the cluster's folder")->required();
    return command;
  };
  const auto days = CLI::Range(1, 3650);

  auto* const first =
      folder(cluster->add_subcommand("init", "makes a cluster's authority and keys"));
  first->add_option("--name", options->name, "the cluster's name")->capture_default_str();
  first
      ->add_option("--hosts", options->hosts,
                   "DNS names and IP addresses of the manager [localhost,127.0.0.1,::1]")
      ->delimiter(',')
      ->allow_extra_args(false);
  first->add_flag("--allow-unsigned", options->allow_unsigned,
                  "let the tenant `default` run modules that nobody has signed");
  first->callback([&context, options] { init(context, *options); });

  auto* const second = folder(cluster->add_subcommand("issue", "makes a certificate and its key"));
  second->add_option("--role", options->role, "manager, host, tenant or operator")
      ->required()
      ->check(CLI::IsMember({"manager", "host", "tenant", "operator"}));
  second->add_option("--name", options->name, "its name")->required();
  second->add_option("--hosts", options->hosts, "DNS names and IP addresses at which it is reached")
      ->delimiter(',')
      ->allow_extra_args(false);
  second->add_option("--days", options->days, "how long it is valid")
      ->check(days)
      ->capture_default_str();
  second->add_flag("--replace", options->replace, "in place of the one that is there");
  second->callback([&context, options] { issue(context, *options); });

  auto* const rotate = cluster->add_subcommand("rotate", "replaces keys, a step each time");
  rotate->require_subcommand(1);
  folder(rotate->add_subcommand("tickets", "the key that tickets are signed with"))
      ->callback([&context, options] { rotate_tickets(context, *options); });
  folder(rotate->add_subcommand("authority", "the authority of all certificates"))
      ->callback([&context, options] { rotate_authority(context, *options); });

  auto* const third = folder(cluster->add_subcommand(
      "revoke", "refuses a certificate, a token or a tenant from now on, and closes its sessions"));
  auto* const what = third->add_option_group("what");
  what->add_option("--certificate", options->certificate,
                   "file of a certificate: it, and any other of its key");
  what->add_option("--serial", options->serial, "serial number of a certificate, hex");
  what->add_option("--token", options->token, "id (`jti`) of a token");
  what->add_option("--tenant", options->tenant, "a tenant: all that it has");
  what->require_option(1);
  third->add_option("--reason", options->reason, "for whoever reads the file");
  third->callback([&context, options] { revoke(context, *options); });

  folder(cluster->add_subcommand("show", "the certificates of a folder, and when they end"))
      ->callback([&context, options] { show(context, *options); });
}

}  // namespace aloft::cli
