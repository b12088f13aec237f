#include <algorithm>
#include <chrono>
#include <memory>
#include <tuple>
#include <utility>

#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-common/address.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/simple-watch.h>
#include <netinet/in.h>

#include "mdns/avahi.h"
#include "mdns/no_daemon.h"

namespace aloft::mdns {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostServices = 64;
constexpr std::size_t kMostText = 32;

struct Freed {
  void operator()(AvahiSimplePoll* poll) const { avahi_simple_poll_free(poll); }
  void operator()(AvahiClient* client) const { avahi_client_free(client); }
};

// One look around, on the thread of the caller.
struct Look {
  AvahiClient* client = nullptr;
  std::vector<Found> found;
  std::size_t asked = 0;     // services whose place was asked for
  std::size_t answered = 0;  // and is known, or cannot be
  bool told_all = false;     // of the daemon
  int error = 0;

  [[nodiscard]] bool over() const { return error != 0 || (told_all && answered == asked); }

  static void on_client(AvahiClient* client, AvahiClientState state, void* user) {
    if (state == AVAHI_CLIENT_FAILURE) static_cast<Look*>(user)->error = avahi_client_errno(client);
  }

  static void on_service(AvahiServiceBrowser*, AvahiIfIndex interface, AvahiProtocol protocol,
                         AvahiBrowserEvent event, const char* name, const char* type,
                         const char* domain, AvahiLookupResultFlags, void* user) {
    auto& self = *static_cast<Look*>(user);
    switch (event) {
      case AVAHI_BROWSER_NEW:
        if (self.asked >= kMostServices) return;
        // Each answers once, then it is freed.
        if (avahi_service_resolver_new(self.client, interface, protocol, name, type, domain,
                                       AVAHI_PROTO_UNSPEC, AvahiLookupFlags{}, &Look::on_place,
                                       user) != nullptr)
          ++self.asked;
        return;
      case AVAHI_BROWSER_ALL_FOR_NOW: self.told_all = true; return;
      case AVAHI_BROWSER_FAILURE: self.error = avahi_client_errno(self.client); return;
      case AVAHI_BROWSER_REMOVE:
      case AVAHI_BROWSER_CACHE_EXHAUSTED: return;
    }
  }

  static void on_place(AvahiServiceResolver* resolver, AvahiIfIndex, AvahiProtocol,
                       AvahiResolverEvent event, const char* name, const char*, const char*,
                       const char*, const AvahiAddress* address, std::uint16_t port,
                       AvahiStringList* text, AvahiLookupResultFlags, void* user) {
    auto& self = *static_cast<Look*>(user);
    ++self.answered;
    if (event == AVAHI_RESOLVER_FOUND && address != nullptr) self.add(name, *address, port, text);
    avahi_service_resolver_free(resolver);
  }

  void add(const char* name, const AvahiAddress& address, std::uint16_t port,
           AvahiStringList* text) {
    // One of the link alone is of use only together with an interface.
    if (address.proto == AVAHI_PROTO_INET6 && address.data.ipv6.address[0] == 0xfe &&
        (address.data.ipv6.address[1] & 0xc0U) == 0x80)
      return;
    char shown[AVAHI_ADDRESS_STR_MAX];
    Found one{.name = name,
              .address = avahi_address_snprint(shown, sizeof shown, &address),
              .port = port,
              .text = {}};
    for (std::size_t i = 0; text != nullptr && i < kMostText;
         text = avahi_string_list_get_next(text), ++i) {
      char* key = nullptr;
      char* value = nullptr;
      if (avahi_string_list_get_pair(text, &key, &value, nullptr) != 0) continue;
      one.text.emplace(key, value != nullptr ? value : "");
      avahi_free(key);
      avahi_free(value);
    }
    const bool known = std::ranges::any_of(found, [&](const Found& other) {
      return other.address == one.address && other.port == one.port;
    });
    if (!known) found.push_back(std::move(one));
  }
};

}  // namespace

Result<std::vector<Found>> browse(const std::string& type, milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  const std::unique_ptr<AvahiSimplePoll, Freed> poll(avahi_simple_poll_new());
  if (poll == nullptr) return fail(Errc::internal, "Avahi gives no event loop");
  Look look;
  int error = 0;
  // It frees browsers and resolvers with it.
  const std::unique_ptr<AvahiClient, Freed> client(avahi_client_new(
      avahi_simple_poll_get(poll.get()), AvahiClientFlags{}, &Look::on_client, &look, &error));
  if (client == nullptr) return no_daemon(error);
  look.client = client.get();
  if (avahi_service_browser_new(client.get(), AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, type.c_str(),
                                nullptr, AvahiLookupFlags{}, &Look::on_service, &look) == nullptr)
    return no_daemon(avahi_client_errno(client.get()));
  while (!look.over()) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left <= milliseconds{0}) break;
    if (avahi_simple_poll_iterate(poll.get(), static_cast<int>(left.count())) != 0) break;
  }
  if (look.error != 0 && look.found.empty()) return no_daemon(look.error);
  std::ranges::sort(look.found, [](const Found& a, const Found& b) {
    return std::tie(a.name, a.address, a.port) < std::tie(b.name, b.address, b.port);
  });
  return std::move(look.found);
}

}  // namespace aloft::mdns
