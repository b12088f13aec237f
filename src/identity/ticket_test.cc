#include "identity/ticket.h"

#include <cstring>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "identity/testing/bytes.h"
#include "support/golden.h"
#include "test_paths.h"

namespace aloft::identity {
namespace {

using namespace std::chrono_literals;
using testing::bytes_of;

constexpr ClusterTime kIssued = 1h;

Ticket a_ticket() {
  Ticket ticket;
  ticket.tenant = "acme";
  ticket.session = "3f2a9c";
  ticket.generation = 7;
  ticket.modules = {sha256(bytes_of("detect")), sha256(bytes_of("track"))};
  ticket.client_key = sha256(bytes_of("device"));
  ticket.host = "h1";
  ticket.handler_boot = "00112233445566778899aabbccddeeff";
  ticket.issued = kIssued;
  ticket.expires = kIssued + 60s;
  ticket.limits = {.memory_bytes = 256U << 20U, .cpu_millicores = 500, .gpus = 1};
  return ticket;
}

// A handler that a_ticket() is for, at a moment at which it is good.
struct Handler {
  std::vector<VerifyingKey> keys;
  TicketCheck check;

  explicit Handler(const SigningKey& key) : keys{key.verifying()} {
    check = {.keys = keys,
             .host = "h1",
             .handler_boot = "00112233445566778899aabbccddeeff",
             .tenant = "acme",
             .client_key = sha256(bytes_of("device")),
             .now = kIssued + 1s};
  }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
};

void expect_refused(const Result<Ticket>& outcome, std::string_view because,
                    Errc code = Errc::refused) {
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, code) << outcome.error().message;
  EXPECT_NE(outcome.error().message.find(because), std::string::npos) << outcome.error().message;
}

TEST(Ticket, opens_as_it_was_sealed) {
  const SigningKey key = SigningKey::generate();
  const Handler handler(key);
  const auto sealed = seal(a_ticket(), key);
  ASSERT_TRUE(sealed) << sealed.error().message;
  const auto opened = open(*sealed, handler.check);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(*opened, a_ticket());
}

TEST(Ticket, of_the_largest_kind_fits_into_a_hello) {
  Ticket ticket = a_ticket();
  ticket.modules.resize(kMaxTicketModules);
  for (std::string* const text :
       {&ticket.tenant, &ticket.session, &ticket.host, &ticket.handler_boot})
    text->assign(kMaxTicketName, 'x');
  const SigningKey key = SigningKey::generate();
  const auto sealed = seal(ticket, key);
  ASSERT_TRUE(sealed) << sealed.error().message;
  EXPECT_LE(sealed->size(), kMaxTicketBytes);
  Handler handler(key);
  handler.check.tenant = ticket.tenant;
  handler.check.host = ticket.host;
  handler.check.handler_boot = ticket.handler_boot;
  const auto opened = open(*sealed, handler.check);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(*opened, ticket);
}

TEST(Ticket, that_cannot_be_is_not_sealed) {
  const SigningKey key = SigningKey::generate();
  const auto refused = [&](auto&& change) {
    Ticket ticket = a_ticket();
    change(ticket);
    const auto sealed = seal(ticket, key);
    return !sealed && sealed.error().code == Errc::invalid_argument;
  };
  EXPECT_TRUE(refused([](Ticket& t) { t.tenant.clear(); }));
  EXPECT_TRUE(refused([](Ticket& t) { t.session.assign(kMaxTicketName + 1, 'x'); }));
  EXPECT_TRUE(refused([](Ticket& t) { t.session = "a b"; }));
  EXPECT_TRUE(refused([](Ticket& t) { t.host = "h\n1"; }));
  EXPECT_TRUE(refused([](Ticket& t) { t.host = std::string("h\0001", 3); }));
  EXPECT_TRUE(refused([](Ticket& t) { t.handler_boot = "\xc3\xbc"; }));
  EXPECT_TRUE(refused([](Ticket& t) { t.modules.resize(kMaxTicketModules + 1); }));
  EXPECT_TRUE(refused([](Ticket& t) { t.expires = t.issued; }));
  EXPECT_TRUE(refused([](Ticket& t) { t.expires = t.issued + kMaxTicketLifetime + 1ms; }));
  EXPECT_TRUE(refused([](Ticket& t) { t.issued = -1ms; }));
}

TEST(Ticket, of_an_unknown_key_is_refused) {
  const SigningKey key = SigningKey::generate();
  const Handler handler(key);
  expect_refused(open(seal(a_ticket(), SigningKey::generate()).value(), handler.check),
                 "none of this cluster's keys");
  TicketCheck none = handler.check;
  none.keys = {};
  expect_refused(open(seal(a_ticket(), key).value(), none), "none of this cluster's keys");
}

// Forged with a key of one's own, under the name of the manager's.
TEST(Ticket, that_only_names_a_known_key_is_refused) {
  const SigningKey key = SigningKey::generate();
  const Handler handler(key);
  auto forged = seal(a_ticket(), SigningKey::generate()).value();
  const auto real = seal(a_ticket(), key).value();
  std::copy_n(real.begin(), 12, forged.begin());
  expect_refused(open(forged, handler.check), "signature is not good");
}

TEST(Ticket, signed_without_its_context_is_refused) {
  const SigningKey key = SigningKey::generate();
  const Handler handler(key);
  auto sealed = seal(a_ticket(), key).value();
  const auto body = std::span(sealed).first(sealed.size() - 64);
  const Signature signature = key.sign(body);
  std::ranges::copy(signature, sealed.end() - 64);
  expect_refused(open(sealed, handler.check), "signature is not good");
}

TEST(Ticket, of_any_manager_is_good) {
  const SigningKey one = SigningKey::generate();
  const SigningKey other = SigningKey::generate();
  Handler handler(one);
  handler.keys.push_back(other.verifying());
  handler.check.keys = handler.keys;
  EXPECT_TRUE(open(seal(a_ticket(), one).value(), handler.check));
  EXPECT_TRUE(open(seal(a_ticket(), other).value(), handler.check));
}

TEST(Ticket, is_good_until_it_expires_and_not_before_it_was_issued) {
  const SigningKey key = SigningKey::generate();
  Handler handler(key);
  const auto sealed = seal(a_ticket(), key).value();
  handler.check.now = kIssued + 60s - 1ms;
  EXPECT_TRUE(open(sealed, handler.check));
  handler.check.now = kIssued + 60s;
  expect_refused(open(sealed, handler.check), "expired");
  handler.check.now = kIssued + 24h;
  expect_refused(open(sealed, handler.check), "expired");
  handler.check.now = kIssued - kTicketTolerance;
  EXPECT_TRUE(open(sealed, handler.check));
  handler.check.now = kIssued - kTicketTolerance - 1ms;
  expect_refused(open(sealed, handler.check), "ahead");
  handler.check.now = {};
  expect_refused(open(sealed, handler.check), "ahead");
}

TEST(Ticket, is_good_at_one_process_of_one_host_for_one_tenant_and_one_key) {
  const SigningKey key = SigningKey::generate();
  const Handler handler(key);
  const auto sealed = seal(a_ticket(), key).value();
  TicketCheck other = handler.check;
  other.host = "h2";
  expect_refused(open(sealed, other), "another host");
  other = handler.check;
  other.handler_boot = "ffeeddccbbaa99887766554433221100";
  expect_refused(open(sealed, other), "another process");
  other = handler.check;
  other.tenant = "evil";
  expect_refused(open(sealed, other), "another tenant");
  other = handler.check;
  other.client_key = sha256(bytes_of("thief"));
  expect_refused(open(sealed, other), "another key");
  // One that begins like it is another one.
  other = handler.check;
  other.tenant = "acm";
  expect_refused(open(sealed, other), "another tenant");
}

TEST(Ticket, cut_off_anywhere_is_refused) {
  const SigningKey key = SigningKey::generate();
  const Handler handler(key);
  const auto sealed = seal(a_ticket(), key).value();
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    // A heap block of its own size, so that a sanitizer sees a read past its end.
    const std::vector<std::byte> cut(sealed.begin(),
                                     sealed.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(open(cut, handler.check)) << size;
  }
}

TEST(Ticket, with_any_bit_flipped_or_a_byte_more_is_refused) {
  const SigningKey key = SigningKey::generate();
  const Handler handler(key);
  auto sealed = seal(a_ticket(), key).value();
  for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
    sealed[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(open(sealed, handler.check)) << bit;
    sealed[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  ASSERT_TRUE(open(sealed, handler.check));
  sealed.push_back(std::byte{0});
  EXPECT_FALSE(open(sealed, handler.check));
  sealed.resize(kMaxTicketBytes + 1);
  expect_refused(open(sealed, handler.check), "no ticket", Errc::corrupt);
  sealed.assign(1'000'000, std::byte{'A'});
  expect_refused(open(sealed, handler.check), "no ticket", Errc::corrupt);
}

// What a manager with a defect might sign: the lengths lie, and the signature is good.
TEST(Ticket, whose_content_lies_is_refused_even_if_it_is_signed) {
  const SigningKey key = SigningKey::generate();
  const Handler handler(key);
  const auto good = seal(a_ticket(), key).value();
  const auto signed_again = [&](std::vector<std::byte> body) {
    auto message = bytes_of("aloft ticket 1\n");
    message.insert(message.end(), body.begin(), body.end());
    const Signature signature = key.sign(message);
    body.insert(body.end(), signature.begin(), signature.end());
    return body;
  };
  const std::vector<std::byte> body(good.begin(), good.end() - 64);
  ASSERT_TRUE(open(signed_again(body), handler.check));
  std::mt19937 random(1);  // a fixed seed: each run tries the same
  for (std::size_t at = 12; at < body.size(); ++at) {
    auto changed = body;
    changed[at] = static_cast<std::byte>(random());
    (void)open(signed_again(changed), handler.check);  // whatever it says, it reads nothing else
  }
  for (std::size_t size = 12; size < body.size(); ++size) {
    const auto outcome =
        open(signed_again({body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size)}),
             handler.check);
    expect_refused(outcome, "no ticket", Errc::corrupt);
  }
  auto longer = body;
  longer.push_back(std::byte{0});
  expect_refused(open(signed_again(longer), handler.check), "no ticket", Errc::corrupt);
  auto endless = body;  // expires
  std::fill_n(endless.begin() + 20, 8, std::byte{0x7f});
  expect_refused(open(signed_again(endless), handler.check), "at most an hour", Errc::corrupt);
}

TEST(Ticket, is_as_the_worked_example_of_the_wire_document) {
  const auto all =
      aloft::testing::read_golden_vectors(aloft::testing::source_dir() / "docs" / "wire.md");
  int found = 0;
  for (const auto& vector : all) {
    if (vector.text("kind") != "ticket") continue;
    ++found;
    const auto key = SigningKey::from_raw(testing::from_hex(vector.text("signing_key")));
    ASSERT_TRUE(key);
    Ticket ticket;
    ticket.issued = ClusterTime{static_cast<std::int64_t>(vector.number("issued"))};
    ticket.expires = ClusterTime{static_cast<std::int64_t>(vector.number("expires"))};
    ticket.generation = vector.number("generation");
    ticket.limits.memory_bytes = vector.number("memory_bytes");
    ticket.limits.cpu_millicores = static_cast<std::uint32_t>(vector.number("cpu_millicores"));
    ticket.limits.gpus = static_cast<std::uint32_t>(vector.number("gpus"));
    ticket.client_key = Digest::parse(vector.text("client_key")).value();
    ticket.tenant = vector.text("tenant");
    ticket.session = vector.text("session");
    ticket.host = vector.text("host");
    ticket.handler_boot = vector.text("handler_boot");
    const std::string modules = vector.text("modules");
    for (std::size_t at = 0; at < modules.size(); at += 65)
      ticket.modules.push_back(Digest::parse(modules.substr(at, 64)).value());
    const auto sealed = seal(ticket, *key);
    ASSERT_TRUE(sealed);
    EXPECT_EQ(aloft::testing::hex(*sealed), aloft::testing::hex(vector.bytes));
    const std::vector<VerifyingKey> keys{key->verifying()};
    const auto opened = open(vector.bytes, {.keys = keys,
                                            .host = ticket.host,
                                            .handler_boot = ticket.handler_boot,
                                            .tenant = ticket.tenant,
                                            .client_key = ticket.client_key,
                                            .now = ticket.issued});
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(*opened, ticket);
  }
  EXPECT_EQ(found, 1);
}

}  // namespace
}  // namespace aloft::identity
