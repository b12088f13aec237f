// DNS-SD over unicast DNS (RFC 6763): PTR _aloft._tcp.DOMAIN names the instances, SRV of each says
// where it is. Asked of the resolver that the system is set up with, by its own library.
#include "device/cluster/dns_sd.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>

namespace aloft::device {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view kService = "_aloft._tcp";
constexpr std::size_t kMostInstances = 32;
constexpr std::size_t kMostDomains = 6;

struct Srv {
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::string manager;  // HOST:PORT
};

class Resolver {
 public:
  Resolver(const std::optional<sockaddr_in>& server, steady_clock::time_point deadline)
      : deadline_(deadline) {
    is_ready_ = ::res_ninit(&state_) == 0;
    if (!is_ready_) return;
    state_.retry = 2;
    state_.options |= RES_USE_EDNS0;
    if (!server) return;
    state_.nsaddr_list[0] = *server;
    state_.nscount = 1;
  }
  ~Resolver() {
    if (is_ready_) ::res_nclose(&state_);
  }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  [[nodiscard]] std::vector<std::string> search_domains() const {
    std::vector<std::string> domains;
    for (const char* const* name = state_.dnsrch; is_ready_ && *name != nullptr; ++name)
      domains.emplace_back(*name);
    return domains;
  }

  // Calls take(record, message) for each record of this type in the answer. False: the question was
  // not answered (that there is nothing is an answer).
  template <class Take>
  [[nodiscard]] bool ask(const std::string& name, int type, Take take) {
    const auto left = deadline_ - steady_clock::now();
    if (!is_ready_ || left <= left.zero()) return false;
    // Two tries fit into what is left; the library counts in whole seconds.
    state_.retrans = std::max(
        1, static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(left).count() / 2));
    std::array<unsigned char, 65535> answer;
    const int size = ::res_nquery(&state_, name.c_str(), ns_c_in, type, answer.data(),
                                  static_cast<int>(answer.size()));
    if (size < 0) return state_.res_h_errno == HOST_NOT_FOUND || state_.res_h_errno == NO_DATA;
    ns_msg message;
    if (::ns_initparse(answer.data(), std::min<int>(size, answer.size()), &message) != 0)
      return false;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
      ns_rr record;
      if (::ns_parserr(&message, ns_s_an, i, &record) == 0 && ns_rr_type(record) == type)
        take(record, message);
    }
    return true;
  }

 private:
  struct __res_state state_{};
  bool is_ready_ = false;
  const steady_clock::time_point deadline_;
};

// A name within a record's data, `offset` bytes into it; empty: it is none.
std::string name_in(const ns_rr& record, const ns_msg& message, std::size_t offset) {
  if (ns_rr_rdlen(record) <= offset) return {};
  std::array<char, NS_MAXDNAME> text;
  const int size = ::ns_name_uncompress(ns_msg_base(message), ns_msg_end(message),
                                        ns_rr_rdata(record) + offset, text.data(), text.size());
  return size < 0 ? std::string() : std::string(text.data());
}

class DnsSd final : public ManagerSource {
 public:
  DnsSd(std::string domain, std::optional<sockaddr_in> server)
      : domain_(std::move(domain)), server_(server) {}

  std::string name() const override { return domain_.empty() ? "DNS-SD" : "DNS-SD in " + domain_; }

  Result<std::vector<std::string>> find(milliseconds limit) override {
    Resolver resolver(server_, steady_clock::now() + limit);
    const auto domains =
        domain_.empty() ? resolver.search_domains() : std::vector<std::string>{domain_};
    if (domains.empty())
      return fail(Errc::not_found, "the system searches no domain, and none was named");
    bool answered = false;
    std::vector<Srv> found;
    for (std::size_t i = 0; i < std::min(domains.size(), kMostDomains); ++i)
      answered = look(resolver, domains[i], found) || answered;
    if (!answered) return fail(Errc::unreachable, "no name server answered in time");
    std::ranges::sort(found, [](const Srv& a, const Srv& b) {
      return std::tuple(a.priority, -int{a.weight}, a.manager) <
             std::tuple(b.priority, -int{b.weight}, b.manager);
    });
    std::vector<std::string> managers;
    for (Srv& srv : found) {
      if (std::ranges::find(managers, srv.manager) == managers.end())
        managers.push_back(std::move(srv.manager));
    }
    return managers;
  }

 private:
  static bool look(Resolver& resolver, const std::string& domain, std::vector<Srv>& found) {
    const std::string service = std::string(kService) + "." + domain;
    std::vector<std::string> instances;
    const bool answered =
        resolver.ask(service, ns_t_ptr, [&](const ns_rr& record, const ns_msg& message) {
          if (auto instance = name_in(record, message, 0);
              !instance.empty() && instances.size() < kMostInstances)
            instances.push_back(std::move(instance));
        });
    // A zone without PTR records may still say where the service is.
    if (instances.empty()) instances.push_back(service);
    for (const std::string& instance : instances) {
      (void)resolver.ask(instance, ns_t_srv, [&](const ns_rr& record, const ns_msg& message) {
        constexpr std::size_t kNumbers = 6;
        const std::string target = name_in(record, message, kNumbers);
        const unsigned char* const data = ns_rr_rdata(record);
        // "." means that there is no such service.
        if (target.empty() || target == "." || found.size() >= kMostInstances) return;
        found.push_back({.priority = static_cast<std::uint16_t>(ns_get16(data)),
                         .weight = static_cast<std::uint16_t>(ns_get16(data + 2)),
                         .manager = target + ":" + std::to_string(ns_get16(data + 4))});
      });
    }
    return answered;
  }

  const std::string domain_;
  const std::optional<sockaddr_in> server_;
};

}  // namespace

std::shared_ptr<ManagerSource> dns_sd_source_at(std::string domain,
                                                std::optional<sockaddr_in> server) {
  return std::make_shared<DnsSd>(std::move(domain), server);
}

}  // namespace aloft::device

namespace aloft {

std::shared_ptr<ManagerSource> dns_sd_source(std::string domain) {
  return device::dns_sd_source_at(std::move(domain), std::nullopt);
}

}  // namespace aloft
