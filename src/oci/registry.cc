#include "oci/registry.h"

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>

#include "oci/http.h"
#include "oci/json.h"
#include "oci/registry_auth.h"

namespace aloft::oci {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMaxTags = 100'000;
constexpr int kMaxPages = 1000;
constexpr Bytes kMaxTagPage = 8_MiB;
constexpr Bytes kMaxChunk = 64_MiB;
constexpr milliseconds kMaxPause{10'000};

bool may_help_to_try_again(int status) {
  return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

// Lower-case words with single separators between them, parts with '/' between them.
bool is_repository_name(std::string_view name) {
  const auto is_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > 255) return false;
  bool word = false;  // the last character was of a word
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (is_word(c)) {
      word = true;
    } else if (c == '/' || c == '.') {
      if (!word) return false;
      word = false;
    } else if (c == '_' || c == '-') {
      // "__" and any number of '-' may stand between words.
      const bool again = i > 0 && name[i - 1] == c && (c == '-' || i < 2 || name[i - 2] != '_');
      if (!word && !again) return false;
      word = false;
    } else {
      return false;
    }
  }
  return word;
}

// The first thing that the registry says was wrong: code and message.
std::pair<std::string, std::string> complaint(const HttpResponse& response) {
  const auto json = parse_json(response.body, "the answer");
  const Json* errors = json ? member(*json, "errors") : nullptr;
  if (errors == nullptr || !errors->is_array() || errors->empty()) return {};
  const std::string* code = text(errors->front(), "code");
  const std::string* message = text(errors->front(), "message");
  return {code == nullptr ? "" : printable(*code), message == nullptr ? "" : printable(*message)};
}

std::unexpected<Error> failed(const HttpResponse& response, const std::string& what) {
  const auto [code, message] = complaint(response);
  std::string said = what + ": the registry answers " + std::to_string(response.status);
  if (!code.empty()) said += " " + code;
  if (!message.empty()) said += ": " + message;
  if (code == "MANIFEST_BLOB_UNKNOWN" || code == "BLOB_UNKNOWN") return fail(Errc::not_found, said);
  if (code == "DIGEST_INVALID") return fail(Errc::corrupt, said);
  switch (response.status) {
    case 401:
    case 403: return fail(Errc::refused, said);
    case 404: return fail(Errc::not_found, said);
    case 413:
    case 507: return fail(Errc::resource_exhausted, said);
    case 429: return fail(Errc::overloaded, said);
    default: return fail(response.status >= 500 ? Errc::unreachable : Errc::protocol, said);
  }
}

}  // namespace

class Registry::Impl {
 public:
  Impl(Url where, std::string root, std::string shown, RegistryOptions chosen)
      : url(std::move(where)),
        base(std::move(root)),
        name(std::move(shown)),
        options(std::move(chosen)),
        http({options.authority, options.certificate, options.key, options.connect_timeout,
              options.stall_timeout}),
        auth(http, url, options.user, options.password, options.answer_timeout) {}

  // With what the registry asks for to let us in.
  [[nodiscard]] Result<HttpResponse> send_once(HttpRequest& request, Access access) {
    request.authorization = auth.authorization(access);
    auto response = http.send(request);
    if (!response || response->status != 401) return response;
    if (auto answered = auth.answer(access, *response, request.authorization); !answered)
      return std::unexpected(answered.error());
    request.authorization = auth.authorization(access);
    response = http.send(request);
    if (response && response->status == 401) {
      return fail(Errc::refused,
                  url.host + " does not accept the user and password, or the token for them");
    }
    return response;
  }

  // Again where that may help. For what does no harm when it is done twice.
  [[nodiscard]] Result<HttpResponse> send(HttpRequest request, Access access) {
    request.timeout = options.answer_timeout;
    for (unsigned attempt = 1;; ++attempt) {
      auto response = send_once(request, access);
      const bool again = response ? may_help_to_try_again(response->status)
                                  : response.error().code == Errc::unreachable;
      if (!again || attempt >= options.attempts) return response;
      pause(attempt, response ? response->header("retry-after") : nullptr);
    }
  }

  void pause(unsigned attempt, const std::string* retry_after) const {
    milliseconds time = options.first_pause;
    for (unsigned i = 1; i < attempt && time < kMaxPause; ++i) time *= 4;
    if (retry_after != nullptr && !retry_after->empty() && retry_after->size() < 6 &&
        retry_after->find_first_not_of("0123456789") == std::string::npos)
      time = std::max(time, milliseconds(1000 * std::stol(*retry_after)));
    std::this_thread::sleep_for(std::min(time, kMaxPause));
  }

  // Where the registry says that a blob is to be sent, or the next page is: with it, nowhere else.
  [[nodiscard]] Result<std::string> own_url(const std::string& from,
                                            const std::string& location) const {
    auto resolved = resolve_url(from, location);
    if (!resolved) return resolved;
    const auto parsed = parse_url(*resolved);
    if (!parsed || !parsed->same_origin(url)) {
      return fail(Errc::refused, name + ": the registry sends us to '" + printable(*resolved) +
                                     "', which is not the registry");
    }
    return resolved;
  }

  // One attempt at the whole of it.
  [[nodiscard]] Result<void> upload(const Blob& blob) {
    const std::string what = "sending sha256:" + blob.digest().hex() + " to " + name;
    const auto end = Clock::now() + options.blob_timeout;
    HttpRequest start{.method = Method::post, .url = base + "blobs/uploads/"};
    start.timeout = options.answer_timeout;
    auto response = send_once(start, Access::push);
    Bytes chunk = options.chunk;
    for (std::uint64_t offset = 0;;) {
      if (!response) return fail(response.error().code, what + ": " + response.error().message);
      if (response->status != 202) return failed(*response, what);
      const std::string* location = response->header("location");
      if (location == nullptr)
        return fail(Errc::protocol, what + ": the registry does not say where to");
      auto target = own_url(response->url, *location);
      if (!target) return std::unexpected(target.error());
      if (const std::string* least = response->header("oci-chunk-min-length");
          least != nullptr && !least->empty() && least->size() < 12 &&
          least->find_first_not_of("0123456789") == std::string::npos)
        chunk = std::clamp(Bytes{std::stoull(*least)}, chunk, std::max(chunk, kMaxChunk));
      HttpRequest request{.url = *std::move(target),
                          .headers = {"Content-Type: application/octet-stream"},
                          .body = &blob,
                          .body_offset = offset};
      request.timeout = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      const std::uint64_t left = blob.size() - offset;
      const bool in_one = offset == 0 && left <= chunk.count();
      if (in_one || left == 0) {
        request.method = Method::put;
        request.body_size = left;
        request.url += request.url.find('?') == std::string::npos ? '?' : '&';
        request.url += "digest=sha256:" + blob.digest().hex();
        response = send_once(request, Access::push);
        if (!response) return fail(response.error().code, what + ": " + response.error().message);
        if (response->status != 201) return failed(*response, what);
        return {};
      }
      request.method = Method::patch;
      request.body_size = std::min(left, chunk.count());
      request.headers.push_back("Content-Range: " + std::to_string(offset) + "-" +
                                std::to_string(offset + request.body_size - 1));
      offset += request.body_size;
      response = send_once(request, Access::push);
    }
  }

  const Url url;
  const std::string base;  // https://HOST:PORT/v2/NAME/
  const std::string name;
  const RegistryOptions options;
  HttpClient http;
  RegistryAuth auth;
};

Registry::Registry(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Registry::~Registry() = default;
const std::string& Registry::name() const { return impl_->name; }

Result<std::unique_ptr<Registry>> Registry::open(std::string_view url, RegistryOptions options) {
  auto parsed = parse_url(url);
  if (!parsed) return std::unexpected(parsed.error());
  std::string_view name = parsed->path;
  if (name.starts_with('/')) name.remove_prefix(1);
  if (url.find_first_of("?#") != url.npos || !is_repository_name(name)) {
    return fail(Errc::invalid_argument,
                "no repository: '" + printable(url) +
                    "' (https://HOST[:PORT]/NAME, where NAME is of lower-case letters, digits, and "
                    "single '.', '_', '-' and '/' between them)");
  }
  std::error_code error;
  for (const auto& file : {options.authority, options.certificate, options.key}) {
    if (!file.empty() && !std::filesystem::is_regular_file(file, error))
      return fail(Errc::not_found, "no such file: " + file.string());
  }
  if (options.certificate.empty() != options.key.empty())
    return fail(Errc::invalid_argument, "a certificate and its key are given both or not at all");
  options.attempts = std::max(options.attempts, 1U);
  options.chunk = std::max(options.chunk, 1_KiB);
  const std::string host = parsed->host + ":" + parsed->port;
  const bool usual = parsed->port == (parsed->scheme == "https" ? "443" : "80");
  std::string shown = (usual ? parsed->host : host) + "/" + std::string(name);
  std::string base = parsed->scheme + "://" + host + "/v2/" + std::string(name) + "/";
  return std::unique_ptr<Registry>(new Registry(std::make_unique<Impl>(
      *std::move(parsed), std::move(base), std::move(shown), std::move(options))));
}

Result<Manifest> Registry::resolve(const Reference& reference) {
  const std::string what = reference.text() + " in " + impl_->name;
  HttpRequest request{.url = impl_->base + "manifests/" + reference.text(),
                      .headers = {"Accept: " + std::string(kManifestType) +
                                  ", application/vnd.oci.image.index.v1+json"}};
  request.max_body = kMaxManifest;
  const auto response = impl_->send(std::move(request), Access::pull);
  if (!response) return fail(response.error().code, what + ": " + response.error().message);
  if (response->status == 404) return fail(Errc::not_found, "no " + what);
  if (response->status != 200) return failed(*response, what);
  auto manifest = parse_manifest(response->body);
  if (!manifest) return fail(manifest.error().code, what + ": " + manifest.error().message);
  if (reference.digest() != nullptr && manifest->digest != *reference.digest()) {
    return fail(Errc::corrupt, what + ": the registry gives another manifest than that digest's");
  }
  return manifest;
}

Result<std::vector<std::string>> Registry::tags() {
  std::vector<std::string> tags;
  std::string url = impl_->base + "tags/list?n=1000";
  const std::string what = "the tags of " + impl_->name;
  for (int page = 0; page < kMaxPages; ++page) {
    HttpRequest request{.url = url};
    request.max_body = kMaxTagPage;
    const auto response = impl_->send(std::move(request), Access::pull);
    if (!response) return fail(response.error().code, what + ": " + response.error().message);
    if (response->status == 404)
      return fail(Errc::not_found, "the registry has no repository " + impl_->name);
    if (response->status != 200) return failed(*response, what);
    const auto json = parse_json(response->body, what);
    if (!json) return std::unexpected(json.error());
    const Json* list = member(*json, "tags");
    if (list == nullptr || !(list->is_array() || list->is_null()))
      return fail(Errc::protocol, what + ": the registry answers something else");
    for (const Json& tag : list->is_array() ? *list : Json::array()) {
      const auto* name = tag.get_ptr<const std::string*>();
      if (name == nullptr || !Reference::of_tag(*name))
        return fail(Errc::protocol, what + ": the registry answers what is no tag");
      if (tags.size() == kMaxTags)
        return fail(Errc::resource_exhausted, impl_->name + " has more than 100,000 tags");
      tags.push_back(*name);
    }
    const std::string* link = response->header("link");
    if (link == nullptr || link->find("rel=\"next\"") == link->npos) {
      std::ranges::sort(tags);
      const auto repeated = std::ranges::unique(tags);
      tags.erase(repeated.begin(), repeated.end());
      return tags;
    }
    const auto begin = link->find('<');
    const auto end = link->find('>');
    if (begin == link->npos || end == link->npos || end < begin)
      return fail(Errc::protocol, what + ": the registry does not say where the next page is");
    auto next = impl_->own_url(response->url, link->substr(begin + 1, end - begin - 1));
    if (!next) return std::unexpected(next.error());
    url = *std::move(next);
  }
  return fail(Errc::protocol, what + ": the registry gives pages without end");
}

Result<void> Registry::push_blob(const Blob& blob) {
  const std::string path = "blobs/sha256:" + blob.digest().hex();
  const auto there = impl_->send({.method = Method::head, .url = impl_->base + path}, Access::push);
  if (!there) return fail(there.error().code, impl_->name + ": " + there.error().message);
  if (there->status == 200) return {};
  if (there->status != 404) return failed(*there, "looking for " + path + " in " + impl_->name);
  for (unsigned attempt = 1;; ++attempt) {
    auto uploaded = impl_->upload(blob);
    const bool again = !uploaded && (uploaded.error().code == Errc::unreachable ||
                                     uploaded.error().code == Errc::overloaded);
    if (!again || attempt >= impl_->options.attempts) return uploaded;
    impl_->pause(attempt, nullptr);
  }
}

Result<void> Registry::push_manifest(const Manifest& manifest, std::span<const Reference> tags) {
  const Blob body = Blob::of(manifest.bytes);
  std::vector<Reference> all(tags.begin(), tags.end());
  if (all.empty()) all.push_back(Reference::of_digest(manifest.digest));
  for (const Reference& reference : all) {
    const std::string what = "storing " + reference.text() + " in " + impl_->name;
    const HttpRequest request{.method = Method::put,
                              .url = impl_->base + "manifests/" + reference.text(),
                              .headers = {"Content-Type: " + std::string(kManifestType)},
                              .body = &body,
                              .body_size = body.size()};
    for (unsigned attempt = 1;; ++attempt) {
      const auto response = impl_->send(request, Access::push);
      if (!response) return fail(response.error().code, what + ": " + response.error().message);
      if (response->status == 201) break;
      // docker-registry says so when another client stores the same manifest at this moment: it
      // reads back a file that the other one is writing.
      if (complaint(*response).first != "DIGEST_INVALID" || attempt >= impl_->options.attempts)
        return failed(*response, what);
      impl_->pause(attempt, nullptr);
    }
  }
  return {};
}

Result<void> Registry::stream_blob(const Digest& digest, Bytes max, const BlobSink& sink) {
  const std::string what = "sha256:" + digest.hex() + " in " + impl_->name;
  const auto end = Clock::now() + impl_->options.blob_timeout;
  std::uint64_t received = 0;
  for (unsigned attempt = 1;; ++attempt) {
    HttpRequest request{.url = impl_->base + "blobs/sha256:" + digest.hex()};
    request.timeout =
        std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(end - Clock::now()));
    // After an interruption it goes on where it was; a registry that cannot do that begins anew,
    // and what we have is left out.
    if (received > 0) request.headers = {"Range: bytes=" + std::to_string(received) + "-"};
    std::uint64_t left_out = 0;
    bool sink_failed = false;
    request.status = [&](int status) { left_out = status == 200 ? received : 0; };
    request.sink = [&](std::span<const std::byte> piece) -> Result<void> {
      const auto old = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), left_out));
      left_out -= old;
      piece = piece.subspan(old);
      received += piece.size();
      if (piece.empty()) return {};
      auto taken = sink(piece);
      sink_failed = !taken || received > max.count();
      return taken;
    };
    const auto response = impl_->send_once(request, Access::pull);
    if (sink_failed && !response) return std::unexpected(response.error());
    if (response && (response->status == 200 || response->status == 206)) return {};
    // It was whole already when it was cut off; its digest tells.
    if (response && response->status == 416 && received > 0) return {};
    if (response && response->status == 404) return fail(Errc::not_found, "no blob " + what);
    const bool again = response ? may_help_to_try_again(response->status)
                                : response.error().code == Errc::unreachable;
    if (!again || attempt >= impl_->options.attempts || Clock::now() >= end) {
      if (response) return failed(*response, what);
      return fail(response.error().code, what + ": " + response.error().message);
    }
    impl_->pause(attempt, response ? response->header("retry-after") : nullptr);
  }
}

}  // namespace aloft::oci
