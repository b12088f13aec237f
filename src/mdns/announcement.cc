#include <memory>
#include <utility>

#include <avahi-client/client.h>
#include <avahi-client/publish.h>
#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/thread-watch.h>

#include "mdns/avahi.h"
#include "mdns/no_daemon.h"

namespace aloft::mdns {
namespace {

struct Freed {
  void operator()(AvahiThreadedPoll* poll) const { avahi_threaded_poll_free(poll); }
  void operator()(AvahiStringList* list) const { avahi_string_list_free(list); }
};

}  // namespace

// Everything but the constructor and the destructor runs on the thread of `poll`.
struct Announcement::Impl {
  Service service;
  std::function<void(const Result<std::string>&)> told;
  std::unique_ptr<AvahiThreadedPoll, Freed> poll{avahi_threaded_poll_new()};
  AvahiClient* client = nullptr;
  AvahiEntryGroup* group = nullptr;  // the client's

  ~Impl() {
    avahi_threaded_poll_stop(poll.get());
    if (client != nullptr) avahi_client_free(client);
  }

  void failed(const char* what, int code) {
    told(fail(Errc::unreachable, std::string(what) + ": " + avahi_strerror(code)));
  }

  // Errors: Avahi's code.
  int connect() {
    int error = 0;
    group = nullptr;
    client = avahi_client_new(avahi_threaded_poll_get(poll.get()), AVAHI_CLIENT_NO_FAIL,
                              &Impl::on_client, this, &error);
    return client != nullptr ? 0 : error;
  }

  static void on_client(AvahiClient* client, AvahiClientState state, void* user) {
    auto& self = *static_cast<Impl*>(user);
    // The first call comes before avahi_client_new() has returned it.
    self.client = client;
    switch (state) {
      case AVAHI_CLIENT_S_RUNNING: return self.add();
      // The machine's name changes: the entries with it, once that is settled.
      case AVAHI_CLIENT_S_COLLISION:
      case AVAHI_CLIENT_S_REGISTERING:
        if (self.group != nullptr) avahi_entry_group_reset(self.group);
        return;
      case AVAHI_CLIENT_FAILURE: {
        const int why = avahi_client_errno(client);
        self.failed("the Avahi daemon", why);
        if (why != AVAHI_ERR_DISCONNECTED) return;
        // It may come back; a client does not find it again by itself.
        avahi_client_free(std::exchange(self.client, nullptr));
        if (const int error = self.connect(); error != 0) self.failed("the Avahi daemon", error);
        return;
      }
      case AVAHI_CLIENT_CONNECTING: return;  // no daemon yet
    }
  }

  static void on_group(AvahiEntryGroup* group, AvahiEntryGroupState state, void* user) {
    auto& self = *static_cast<Impl*>(user);
    self.group = group;
    if (state == AVAHI_ENTRY_GROUP_ESTABLISHED) return self.told(self.service.name);
    if (state == AVAHI_ENTRY_GROUP_COLLISION) return self.rename();
    if (state == AVAHI_ENTRY_GROUP_FAILURE)
      self.failed("announcing", avahi_client_errno(avahi_entry_group_get_client(group)));
  }

  void rename() {
    char* const other = avahi_alternative_service_name(service.name.c_str());
    service.name = other;
    avahi_free(other);
    add();
  }

  void add() {
    if (group == nullptr) group = avahi_entry_group_new(client, &Impl::on_group, this);
    if (group == nullptr) return failed("announcing", avahi_client_errno(client));
    avahi_entry_group_reset(group);
    AvahiStringList* text = nullptr;
    for (const auto& [key, value] : service.text)
      text = avahi_string_list_add_pair(text, key.c_str(), value.c_str());
    const std::unique_ptr<AvahiStringList, Freed> owned(text);
    const int added = avahi_entry_group_add_service_strlst(
        group, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, AvahiPublishFlags{}, service.name.c_str(),
        service.type.c_str(), nullptr, nullptr, service.port, text);
    if (added == AVAHI_ERR_COLLISION) return rename();
    const int error = added < 0 ? added : avahi_entry_group_commit(group);
    if (error < 0) failed("announcing", error);
  }
};

Announcement::Announcement(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Announcement::~Announcement() = default;

Result<std::unique_ptr<Announcement>> Announcement::make(
    Service service, std::function<void(const Result<std::string>&)> told) {
  auto impl = std::make_unique<Impl>(std::move(service), std::move(told));
  if (impl->poll == nullptr) return fail(Errc::internal, "Avahi gives no event loop");
  if (const int error = impl->connect(); error != 0) return no_daemon(error);
  avahi_threaded_poll_start(impl->poll.get());
  return std::unique_ptr<Announcement>(new Announcement(std::move(impl)));
}

}  // namespace aloft::mdns
