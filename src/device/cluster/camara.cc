// CAMARA Simple Edge Discovery: GET {url}/edge-cloud-zones?filter=closest. The answer is a list of
// zones; version 0 of the API wrapped it into an object.
#include <array>
#include <cstdio>
#include <memory>
#include <random>
#include <utility>

#include <curl/curl.h>
#include <nlohmann/json.hpp>

#include <aloft/cluster.h>

namespace aloft {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::size_t kLongestAnswer = 256 * 1024;  // bytes

struct Freed {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::size_t receive(char* data, std::size_t, std::size_t size, void* into) {
  auto& body = *static_cast<std::string*>(into);
  if (body.size() + size > kLongestAnswer) return 0;  // ends the transfer
  body.append(data, size);
  return size;
}

// The operator finds the request by it in its logs.
std::string random_correlator() {
  std::random_device random;
  std::array<char, 37> text{};
  std::snprintf(text.data(), text.size(), "%08x-%04x-4%03x-8%03x-%08x%04x", random(),
                random() & 0xffffU, random() & 0xfffU, random() & 0xfffU, random(),
                random() & 0xffffU);
  return text.data();
}

Result<std::vector<std::string>> zones_of(const std::string& body) {
  const json answer = json::parse(body, nullptr, false);
  const json* list = &answer;
  if (answer.is_object() && answer.contains("edgeCloudZones")) list = &answer["edgeCloudZones"];
  if (answer.is_discarded() || !list->is_array())
    return fail(Errc::protocol, "the answer is no list of edge cloud zones");
  std::vector<std::string> names;
  for (const json& zone : *list) {
    if (!zone.is_object()) continue;
    const auto name = zone.find("edgeCloudZoneName");
    if (name != zone.end() && name->is_string()) names.push_back(name->get<std::string>());
  }
  return names;
}

class Camara final : public ManagerSource {
 public:
  explicit Camara(CamaraOptions options) : options_(std::move(options)) {
    while (options_.url.ends_with('/')) options_.url.pop_back();
  }

  std::string name() const override { return "Simple Edge Discovery at " + options_.url; }

  Result<std::vector<std::string>> find(milliseconds limit) override {
    const auto body = get(limit);
    if (!body) return std::unexpected(body.error());
    const auto names = zones_of(*body);
    if (!names) return std::unexpected(names.error());
    std::vector<std::string> managers;
    std::string unknown;
    for (const std::string& name : *names) {
      for (const auto& [zone, manager] : options_.zones) {
        if (zone == name) managers.push_back(manager);
      }
      unknown.append(unknown.empty() ? "" : ", ").append(name);
    }
    if (managers.empty() && !names->empty()) {
      return fail(Errc::not_found,
                  "the closest zone is " + unknown + ", of which no manager is known");
    }
    return managers;
  }

 private:
  [[nodiscard]] Result<std::string> get(milliseconds limit) const {
    static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    const std::unique_ptr<CURL, Freed> handle(ready ? curl_easy_init() : nullptr);
    if (handle == nullptr) return fail(Errc::internal, "libcurl cannot be used");
    std::unique_ptr<curl_slist, Freed> headers;
    const auto add = [&](const std::string& line) {
      if (curl_slist* const longer = curl_slist_append(headers.get(), line.c_str())) {
        (void)headers.release();
        headers.reset(longer);
      }
    };
    add("Accept: application/json");
    add("x-correlator: " + random_correlator());
    if (!options_.token.empty()) add("Authorization: Bearer " + options_.token);
    if (!options_.phone_number.empty()) add("Phone-Number: " + options_.phone_number);
    std::string body;
    std::array<char, CURL_ERROR_SIZE> why{};
    const std::string url = options_.url + "/edge-cloud-zones?filter=closest";
    CURL* const curl = handle.get();
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    // A token is shown: to nobody but who was named, and to nobody in clear.
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why.data());
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    if (!options_.authority.empty()) {
      curl_blob authority{.data = const_cast<char*>(options_.authority.data()),
                          .len = options_.authority.size(),
                          .flags = CURL_BLOB_NOCOPY};
      curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &authority);
    }
    if (const CURLcode code = curl_easy_perform(curl); code != CURLE_OK) {
      return fail(Errc::unreachable,
                  why[0] != '\0' ? std::string(why.data()) : curl_easy_strerror(code));
    }
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200) return body;
    // CAMARA's errors are {status, code, message}.
    const json said = json::parse(body, nullptr, false);
    std::string message = "HTTP " + std::to_string(status);
    if (said.is_object() && said.contains("message") && said["message"].is_string())
      message += ": " + said["message"].get<std::string>();
    return fail(status == 401 || status == 403 ? Errc::refused : Errc::unreachable, message);
  }

  CamaraOptions options_;
};

}  // namespace

std::shared_ptr<ManagerSource> camara_source(CamaraOptions options) {
  return std::make_shared<Camara>(std::move(options));
}

}  // namespace aloft
