// Certificates, judged by OpenSSL's own verifier; and the folder of a cluster with its rotations.
#include "identity/certificate.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "identity/cluster_folder.h"
#include "identity/testing/bytes.h"
#include "identity/ticket.h"
#include "identity/ticket_keys.h"

namespace aloft::identity {
namespace {

namespace fs = std::filesystem;
using aloft::testing::TempDir;
using testing::openssl;
using testing::text_file;
using testing::try_openssl;

Authority authority_of(std::string_view cluster) { return Authority::create(cluster).value(); }

CertificateRequest host_request() {
  return {.identity = {"prod", Role::host, "h1"}, .hosts = {"10.0.0.7", "h1.example.com", "::1"}};
}

// Whether OpenSSL's verifier takes NAME.pem of the folder for this purpose.
bool verifies(const fs::path& authority, const fs::path& certificate, const std::string& purpose,
              std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"verify", "-x509_strict", "-CAfile", authority, "-purpose", purpose});
  more.push_back(certificate);
  return try_openssl(std::move(more)).status == 0;
}

TEST(Certificate, is_what_openssl_takes_for_its_role_and_its_hosts) {
  const TempDir folder;
  const Authority authority = authority_of("prod");
  ASSERT_TRUE(authority.save(folder.path()));
  const auto host = authority.issue(host_request());
  ASSERT_TRUE(host) << host.error().message;
  ASSERT_TRUE(save(*host, folder.path(), "h1"));
  const auto tenant = authority.issue({.identity = {"prod", Role::tenant, "acme"}, .hosts = {}});
  ASSERT_TRUE(tenant) << tenant.error().message;
  ASSERT_TRUE(save(*tenant, folder.path(), "acme"));

  const fs::path ca = folder / "ca.pem";
  EXPECT_TRUE(verifies(ca, folder / "h1.pem", "sslserver"));
  EXPECT_TRUE(verifies(ca, folder / "h1.pem", "sslclient"));
  EXPECT_TRUE(verifies(ca, folder / "acme.pem", "sslclient"));
  EXPECT_FALSE(verifies(ca, folder / "acme.pem", "sslserver")) << "a tenant is no server";
  EXPECT_TRUE(verifies(ca, folder / "h1.pem", "sslserver", {"-verify_ip", "10.0.0.7"}));
  EXPECT_TRUE(verifies(ca, folder / "h1.pem", "sslserver", {"-verify_ip", "::1"}));
  EXPECT_TRUE(verifies(ca, folder / "h1.pem", "sslserver", {"-verify_hostname", "h1.example.com"}));
  EXPECT_FALSE(verifies(ca, folder / "h1.pem", "sslserver", {"-verify_ip", "10.0.0.8"}));
  EXPECT_FALSE(verifies(ca, folder / "h1.pem", "sslserver", {"-verify_hostname", "example.com"}));

  const TempDir elsewhere;
  ASSERT_TRUE(authority_of("prod").save(elsewhere.path()));
  EXPECT_FALSE(verifies(elsewhere / "ca.pem", folder / "h1.pem", "sslserver"))
      << "another authority of the same name";
  // What is issued cannot issue.
  const auto text = try_openssl({"x509", "-in", folder / "h1.pem", "-noout", "-text"}).output;
  EXPECT_NE(text.find("CA:FALSE"), std::string::npos) << text;
  EXPECT_NE(text.find("URI:aloft://prod/host/h1"), std::string::npos) << text;
}

TEST(Certificate, says_who_it_is) {
  const Authority authority = authority_of("prod");
  for (const Role role : {Role::manager, Role::host, Role::tenant, Role::operator_}) {
    const Identity identity{"prod", role, "n-1"};
    const auto issued = authority.issue({.identity = identity, .hosts = {"localhost"}});
    ASSERT_TRUE(issued) << issued.error().message;
    EXPECT_EQ(identity_of(issued->certificate_pem), identity);
  }
  EXPECT_EQ(identity_of(authority.certificate_pem()).error().code, Errc::refused)
      << "the authority itself is nobody";
  EXPECT_EQ(identity_of("hello").error().code, Errc::corrupt);
  EXPECT_EQ(identity_of("").error().code, Errc::corrupt);
}

// Certificates that the cluster's authority would not make, but another program might.
TEST(Certificate, with_no_or_several_or_odd_identities_is_nobody) {
  const TempDir folder;
  const auto made = [&](const std::string& names) {
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "2", "-subj", "/CN=x", "-addext", "subjectAltName=" + names, "-keyout",
             folder / "k", "-out", folder / "c"});
    return identity_of(text_file(folder / "c"));
  };
  ASSERT_TRUE(made("URI:aloft://prod/tenant/acme,URI:spiffe://x/y,DNS:example.com"));
  for (const std::string names :
       {"DNS:example.com", "URI:aloft://prod/tenant/acme,URI:aloft://prod/operator/root",
        "URI:aloft://prod/tenant/", "URI:aloft://prod/tenant/a/b", "URI:aloft://prod/root/acme",
        "URI:aloft://prod/tenant/Acme", "URI:aloft:///tenant/acme", "URI:aloft://prod/tenant",
        "URI:aloft://prod", "URI:aloft://", "URI:ALOFT://prod/tenant/acme",
        "DNS:aloft://prod/tenant/acme", "URI:aloft://prod/tenant/acme?x",
        "URI:aloft://prod/tenant/-acme", "URI:aloft://prod/tenant/.."}) {
    const auto identity = made(names);
    ASSERT_FALSE(identity) << names;
    EXPECT_EQ(identity.error().code, Errc::refused);
  }
}

TEST(Certificate, has_the_key_digest_that_openssl_computes) {
  const TempDir folder;
  const auto issued = authority_of("prod").issue(host_request());
  ASSERT_TRUE(save(*issued, folder.path(), "h1"));
  openssl({"pkey", "-in", folder / "h1.key", "-pubout", "-outform", "DER", "-out", folder / "der"});
  EXPECT_EQ(public_key_digest(issued->certificate_pem),
            sha256(aloft::testing::read_file(folder / "der")));
  EXPECT_EQ(public_key_digest("-----BEGIN CERTIFICATE-----").error().code, Errc::corrupt);
}

TEST(Certificate, has_a_mark_of_its_key_and_the_serial_number_that_openssl_shows) {
  const TempDir folder;
  const auto issued = authority_of("prod").issue(host_request());
  ASSERT_TRUE(save(*issued, folder.path(), "h1"));
  std::string serial = try_openssl({"x509", "-in", folder / "h1.pem", "-noout", "-serial"}).output;
  serial = serial.substr(serial.find('=') + 1, 32);
  std::ranges::transform(serial, serial.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto mark = mark_of(issued->certificate_pem);
  ASSERT_TRUE(mark);
  EXPECT_EQ(mark->serial, serial);
  EXPECT_EQ(mark->public_key, *public_key_digest(issued->certificate_pem));
  EXPECT_EQ(view_certificates(issued->certificate_pem)->front().mark, *mark);
  EXPECT_FALSE(mark_of("nothing"));
}

TEST(Certificate, that_cannot_be_is_not_issued) {
  const Authority authority = authority_of("prod");
  const auto refused = [&](auto&& change) {
    CertificateRequest request = host_request();
    change(request);
    const auto issued = authority.issue(request);
    return !issued && issued.error().code == Errc::invalid_argument;
  };
  EXPECT_TRUE(refused([](auto& r) { r.identity.cluster = "other"; }));
  EXPECT_TRUE(refused([](auto& r) { r.identity.name = ""; }));
  EXPECT_TRUE(refused([](auto& r) { r.identity.name = "a/b"; }));
  EXPECT_TRUE(refused([](auto& r) { r.identity.name = std::string(64, 'a'); }));
  EXPECT_TRUE(refused([](auto& r) { r.hosts.clear(); }));
  EXPECT_TRUE(refused([](auto& r) { r.hosts = {"*.example.com"}; }));
  EXPECT_TRUE(refused([](auto& r) { r.hosts = {"a,DNS:evil"}; }));
  EXPECT_TRUE(refused([](auto& r) { r.hosts = {"10.0.0.300"}; }));
  EXPECT_TRUE(refused([](auto& r) { r.hosts = {""}; }));
  EXPECT_TRUE(refused([](auto& r) { r.valid_for = std::chrono::days{0}; }));
  EXPECT_TRUE(refused([](auto& r) { r.valid_for = std::chrono::days{4000}; }));
  EXPECT_FALSE(refused([](auto& r) {
    r.identity.name = std::string(63, 'a');
    r.hosts = {std::string(63, 'b') + "." + std::string(63, 'c')};
  }));
  EXPECT_EQ(Authority::create("Prod").error().code, Errc::invalid_argument);
  EXPECT_TRUE(Authority::create(std::string(63, 'p')));
}

TEST(Certificate, is_shown_as_it_was_asked_for) {
  const auto issued = authority_of("prod").issue(host_request());
  const auto views = view_certificates(issued->certificate_pem + issued->certificate_pem);
  ASSERT_TRUE(views);
  ASSERT_EQ(views->size(), 2U);
  EXPECT_EQ(views->front().identity, host_request().identity);
  // DNS names first.
  EXPECT_EQ(views->front().hosts, (std::vector<std::string>{"h1.example.com", "10.0.0.7", "::1"}));
  EXPECT_EQ(views->front().not_after - views->front().not_before, std::chrono::days{366});
  EXPECT_FALSE(view_certificates(""));
  EXPECT_FALSE(view_certificates(issued->certificate_pem + "-----BEGIN CERTIFICATE-----\nx"));
}

TEST(Authority, is_the_same_when_it_is_loaded) {
  const TempDir folder;
  const Authority authority = authority_of("prod");
  ASSERT_TRUE(authority.save(folder / "new"));
  struct stat status{};
  ASSERT_EQ(::stat((folder / "new").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U);
  ASSERT_EQ(::stat((folder / "new/ca.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  EXPECT_EQ(authority.save(folder / "new").error().code, Errc::refused);

  const auto loaded = Authority::load(folder / "new");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->cluster(), "prod");
  const auto issued = loaded->issue(host_request());
  ASSERT_TRUE(issued);
  ASSERT_TRUE(save(*issued, folder / "new", "h1"));
  EXPECT_TRUE(verifies(folder / "new/ca.pem", folder / "new/h1.pem", "sslserver"));

  ASSERT_EQ(::chmod((folder / "new/ca.key").c_str(), 0644), 0);
  EXPECT_EQ(Authority::load(folder / "new").error().code, Errc::refused);
  EXPECT_EQ(Authority::load(folder / "none").error().code, Errc::not_found);
  const TempDir mixed;
  ASSERT_TRUE(authority_of("prod").save(mixed.path()));
  fs::copy_file(folder / "new/ca.pem", mixed / "ca.pem", fs::copy_options::overwrite_existing);
  EXPECT_EQ(Authority::load(mixed.path()).error().code, Errc::corrupt) << "another one's key";
}

TEST(ClusterFolder, has_all_that_a_cluster_needs_and_nothing_for_others) {
  const TempDir folder;
  const fs::path dir = folder / "cluster";
  ASSERT_TRUE(create_cluster_folder(dir, {.name = "prod"}));
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir)) {
    const std::string name = entry.path().filename();
    names.insert(name);
    struct stat status{};
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, name.ends_with(".key") ? 0600U : 0644U) << name;
  }
  EXPECT_EQ(names,
            (std::set<std::string>{"ca.key", "ca.pem", "manager.key", "manager.pem", "operator.key",
                                   "operator.pem", "tenant-default.key", "tenant-default.pem",
                                   "tenants.toml", "ticket.key", "ticket.pub"}));
  EXPECT_TRUE(verifies(dir / "ca.pem", dir / "manager.pem", "sslserver",
                       {"-verify_hostname", "localhost"}));
  EXPECT_TRUE(verifies(dir / "ca.pem", dir / "tenant-default.pem", "sslclient"));
  EXPECT_EQ(identity_of(text_file(dir / "operator.pem"))->role, Role::operator_);

  EXPECT_EQ(create_cluster_folder(dir, {}).error().code, Errc::refused);
  fs::create_directory(folder / "empty");
  EXPECT_TRUE(create_cluster_folder(folder / "empty/", {}));
  EXPECT_FALSE(create_cluster_folder(folder / "bad", {.manager_hosts = {"*"}}));
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder.path()))
    left.push_back(entry.path().filename());
  EXPECT_EQ(left.size(), 2U) << "nothing is left of what failed";
}

Ticket a_ticket() {
  Ticket ticket;
  ticket.tenant = ticket.session = ticket.host = ticket.handler_boot = "x";
  ticket.expires = std::chrono::seconds{60};
  return ticket;
}

bool opens(const std::vector<std::byte>& sealed, const std::vector<VerifyingKey>& keys) {
  return open(sealed, {.keys = keys,
                       .host = "x",
                       .handler_boot = "x",
                       .tenant = "x",
                       .client_key = {},
                       .now = {}})
      .has_value();
}

// At each step some managers and hosts still have what the folder held a step ago.
TEST(ClusterFolder, replaces_the_key_of_tickets_and_no_good_ticket_is_refused) {
  const TempDir folder;
  ASSERT_TRUE(create_ticket_keys(folder.path()));
  auto before = load_ticket_keys(folder.path()).value();
  const VerifyingKey first = before.signing.verifying();
  for (const TicketRotation expected :
       {TicketRotation::next_made, TicketRotation::next_in_use, TicketRotation::old_removed}) {
    const auto step = rotate_ticket_keys(folder.path());
    ASSERT_TRUE(step) << step.error().message;
    EXPECT_EQ(*step, expected);
    const auto after = load_ticket_keys(folder.path());
    ASSERT_TRUE(after) << after.error().message;
    EXPECT_TRUE(opens(seal(a_ticket(), after->signing).value(), before.accepted));
    if (expected != TicketRotation::old_removed) {
      EXPECT_TRUE(opens(seal(a_ticket(), before.signing).value(), after->accepted));
    }
    before = *after;
  }
  EXPECT_NE(before.signing.verifying(), first);
  EXPECT_EQ(before.accepted.size(), 1U) << "the first key is good no more";
  EXPECT_EQ(before.accepted.front(), VerifyingKey::load(folder / "ticket.pub").value());
  EXPECT_EQ(*rotate_ticket_keys(folder.path()), TicketRotation::next_made) << "and again";
}

TEST(ClusterFolder, goes_on_with_a_rotation_of_tickets_that_was_cut_off) {
  const TempDir folder;
  ASSERT_TRUE(create_ticket_keys(folder.path()));
  ASSERT_TRUE(rotate_ticket_keys(folder.path()));
  fs::remove(folder / "ticket-next.pub");
  EXPECT_EQ(*rotate_ticket_keys(folder.path()), TicketRotation::next_made);
  const auto next = SigningKey::load(folder / "ticket-next.key").value();
  // The second step up to the first of its renames.
  fs::copy_file(folder / "ticket.pub", folder / "ticket-old.pub");
  fs::rename(folder / "ticket-next.key", folder / "ticket.key");
  const auto middle = load_ticket_keys(folder.path());
  ASSERT_TRUE(middle);
  EXPECT_EQ(middle->accepted.size(), 2U);
  EXPECT_EQ(*rotate_ticket_keys(folder.path()), TicketRotation::next_in_use);
  EXPECT_EQ(VerifyingKey::load(folder / "ticket.pub").value(), next.verifying());
  EXPECT_EQ(*rotate_ticket_keys(folder.path()), TicketRotation::old_removed);
}

TEST(ClusterFolder, replaces_the_authority_and_all_can_talk_at_each_step) {
  const TempDir folder;
  const fs::path dir = folder / "c";
  ASSERT_TRUE(create_cluster_folder(dir, {.name = "prod"}));
  fs::copy(dir, folder / "0");
  const auto renew = [&] {
    const auto issued = Authority::load(dir)->issue(
        {.identity = {"prod", Role::manager, "manager"}, .hosts = {"localhost"}});
    ASSERT_TRUE(save(*issued, dir, "manager", Existing::replace));
  };
  const auto both_ways = [&](const fs::path& a, const fs::path& b) {
    return verifies(a / "ca.pem", b / "manager.pem", "sslserver") &&
           verifies(b / "ca.pem", a / "manager.pem", "sslserver");
  };
  ASSERT_EQ(rotate_authority(dir), AuthorityRotation::next_trusted);
  fs::copy(dir, folder / "1");
  EXPECT_TRUE(both_ways(folder / "0", folder / "1"));
  ASSERT_EQ(rotate_authority(dir), AuthorityRotation::next_in_use);
  fs::copy(dir, folder / "2");
  EXPECT_TRUE(both_ways(folder / "1", folder / "2"));
  renew();
  fs::copy(dir, folder / "2-renewed");
  EXPECT_TRUE(both_ways(folder / "1", folder / "2-renewed"));
  EXPECT_TRUE(both_ways(folder / "2", folder / "2-renewed"));
  EXPECT_FALSE(both_ways(folder / "0", folder / "2-renewed"));
  ASSERT_EQ(rotate_authority(dir), AuthorityRotation::old_distrusted);
  EXPECT_TRUE(both_ways(folder / "2-renewed", dir));
  EXPECT_FALSE(verifies(dir / "ca.pem", folder / "0/manager.pem", "sslserver"));
  EXPECT_FALSE(fs::exists(dir / "ca-next.key"));
  EXPECT_FALSE(fs::exists(dir / "ca-next.pem"));
  EXPECT_EQ(Authority::load(dir)->cluster(), "prod");
  EXPECT_EQ(view_certificates(text_file(dir / "ca.pem"))->size(), 1U);
}

TEST(ClusterFolder, goes_on_with_a_rotation_of_the_authority_that_was_cut_off) {
  const TempDir folder;
  const fs::path dir = folder / "c";
  ASSERT_TRUE(create_cluster_folder(dir, {.name = "prod"}));
  const std::string first = text_file(dir / "ca.pem");
  // The key of the next authority alone: nobody has seen it.
  ASSERT_TRUE(write_key_file(dir / "ca-next.key", "half", Secrecy::secret));
  ASSERT_EQ(rotate_authority(dir), AuthorityRotation::next_trusted);
  // Before the bundle was written.
  ASSERT_TRUE(write_key_file(dir / "ca.pem", first, Secrecy::open, Existing::replace));
  ASSERT_EQ(rotate_authority(dir), AuthorityRotation::next_trusted);
  EXPECT_EQ(view_certificates(text_file(dir / "ca.pem"))->size(), 2U);
  // The bundle turned round, and the key not yet in place.
  const std::string next = text_file(dir / "ca-next.pem");
  ASSERT_TRUE(write_key_file(dir / "ca.pem", next + first, Secrecy::open, Existing::replace));
  ASSERT_EQ(rotate_authority(dir), AuthorityRotation::next_in_use);
  EXPECT_TRUE(Authority::load(dir));
  // The last file of that step still there.
  ASSERT_TRUE(write_key_file(dir / "ca-next.pem", next, Secrecy::open));
  ASSERT_EQ(rotate_authority(dir), AuthorityRotation::next_in_use);
  EXPECT_EQ(view_certificates(text_file(dir / "ca.pem"))->size(), 2U);
  ASSERT_EQ(rotate_authority(dir), AuthorityRotation::old_distrusted);
  EXPECT_EQ(text_file(dir / "ca.pem"), next);
}

}  // namespace
}  // namespace aloft::identity
