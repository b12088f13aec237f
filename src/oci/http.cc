#include "oci/http.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ranges>
#include <utility>

#include <curl/curl.h>

#include "oci/json.h"

namespace aloft::oci {
namespace {

constexpr std::size_t kMaxHeaders = 256 * 1024;
constexpr std::size_t kMaxIdle = 8;
constexpr int kMaxRedirections = 5;

void init_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(char* text) const { curl_free(text); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using UrlHandle = std::unique_ptr<CURLU, FreeUrl>;

// The part, or nothing where the URL has none.
std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, FreeUrl> owned(text);
  return text;
}

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "[::1]") return true;
  // As curl writes an IPv4 address: four numbers.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
}

bool may_be_sent(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

// What curl's callbacks need to know of one request.
struct Transfer {
  CURL* curl;
  const HttpRequest& request;
  HttpResponse response = {};
  std::size_t header_bytes = 0;
  std::uint64_t sent = 0;
  bool told_status = false;
  std::optional<Error> error = {};  // ours, which ended it

  [[nodiscard]] int status() const {
    long code = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    return static_cast<int>(code);
  }
};

std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  std::string_view line(data, size);
  transfer.header_bytes += size;
  if (transfer.header_bytes > kMaxHeaders) {
    transfer.error = Error{Errc::protocol, "the server sends headers without end"};
    return 0;
  }
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {
    transfer.response.headers.clear();  // those so far were of an interim response
    return size;
  }
  const auto colon = line.find(':');
  if (colon == line.npos) return size;
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  line.remove_prefix(colon + 1);
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
  transfer.response.headers.emplace_back(std::move(name), line);
  return size;
}

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const auto bytes = std::as_bytes(std::span(data, size));
  const int status = transfer.status();
  if (transfer.request.sink && (status == 200 || status == 206)) {
    if (!std::exchange(transfer.told_status, true) && transfer.request.status)
      transfer.request.status(status);
    if (auto taken = transfer.request.sink(bytes); !taken) {
      transfer.error = std::move(taken.error());
      return 0;
    }
    return size;
  }
  auto& body = transfer.response.body;
  if (body.size() + size > transfer.request.max_body.count()) {
    transfer.error =
        Error{Errc::protocol, "the answer is longer than " +
                                  std::to_string(transfer.request.max_body.count()) + " bytes"};
    return 0;
  }
  body.insert(body.end(), bytes.begin(), bytes.end());
  return size;
}

std::size_t on_read(char* into, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const HttpRequest& request = transfer.request;
  size = static_cast<std::size_t>(std::min<std::uint64_t>(size, request.body_size - transfer.sent));
  if (size == 0) return 0;
  const auto count = request.body->read(request.body_offset + transfer.sent,
                                        std::as_writable_bytes(std::span(into, size)));
  if (!count || *count == 0) {
    transfer.error =
        count ? Error{Errc::corrupt, "the file was cut while it was sent"} : count.error();
    return CURL_READFUNC_ABORT;
  }
  transfer.sent += *count;
  return *count;
}

int on_seek(void* user, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  transfer.sent = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

Error error_of(CURLcode code, const std::string& host, std::string_view detail) {
  const std::string why =
      detail.empty() ? std::string(curl_easy_strerror(code)) : printable(detail);
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
      return {Errc::refused, "the certificate of " + host + " is not to be trusted: " + why +
                                 " (the option for the registry's authority names who may vouch "
                                 "for it)"};
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return {Errc::invalid_argument, "a certificate or key for " + host + " is unusable: " + why};
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2: return {Errc::protocol, host + " does not speak HTTP: " + why};
    default: return {Errc::unreachable, "no answer from " + host + ": " + why};
  }
}

const char* name_of(Method method) {
  switch (method) {
    case Method::get: return "GET";
    case Method::head: return "HEAD";
    case Method::post: return "POST";
    case Method::patch: return "PATCH";
    case Method::put: return "PUT";
  }
  return "GET";
}

}  // namespace

struct HttpClient::Handle {
  CURL* curl = curl_easy_init();
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { curl_easy_cleanup(curl); }
};

const std::string* HttpResponse::header(std::string_view name) const {
  for (const auto& [key, value] : std::views::reverse(headers))
    if (key == name) return &value;
  return nullptr;
}

HttpClient::HttpClient(HttpOptions options) : options_(std::move(options)) { init_curl(); }
HttpClient::~HttpClient() = default;

std::unique_ptr<HttpClient::Handle> HttpClient::take() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<Handle>();
  auto handle = std::move(idle_.back());
  idle_.pop_back();
  return handle;
}

void HttpClient::give_back(std::unique_ptr<Handle> handle) {
  curl_easy_reset(handle->curl);
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(handle));
}

Result<HttpResponse> HttpClient::send(const HttpRequest& request) {
  const auto end = std::chrono::steady_clock::now() + request.timeout;
  auto origin = parse_url(request.url);
  if (!origin) return std::unexpected(origin.error());
  auto handle = take();
  if (handle->curl == nullptr) return fail(Errc::internal, "libcurl cannot be set up");
  std::string url = request.url;
  for (int redirections = 0;; ++redirections) {
    const auto here = parse_url(url);
    if (!here) {
      return fail(here.error().code, origin->host + " sends us elsewhere: " + here.error().message);
    }
    // Not even to this machine's own ports: what began encrypted stays so.
    if (origin->scheme == "https" && here->scheme != "https")
      return fail(Errc::refused, origin->host + " sends us from https:// to http://");
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0)
      return fail(Errc::unreachable, "no answer from " + here->host + " in time");
    std::string redirection;
    auto response = send_once(*handle, request, url, here->same_origin(*origin), left, redirection);
    if (!response || redirection.empty() ||
        (request.method != Method::get && request.method != Method::head)) {
      give_back(std::move(handle));
      return response;
    }
    if (redirections == kMaxRedirections)
      return fail(Errc::protocol, origin->host + " sends us from place to place");
    url = std::move(redirection);
  }
}

Result<HttpResponse> HttpClient::send_once(Handle& handle, const HttpRequest& request,
                                           const std::string& url, bool with_authorization,
                                           std::chrono::milliseconds timeout,
                                           std::string& redirection) {
  CURL* const curl = handle.curl;
  curl_easy_reset(curl);
  const auto parsed = parse_url(url);
  if (!parsed) return std::unexpected(parsed.error());
  Transfer transfer{.curl = curl, .request = request};
  std::array<char, CURL_ERROR_SIZE> detail{};
  std::unique_ptr<curl_slist, FreeUrl> headers;
  bool sendable = true;
  const auto add = [&](const std::string& line) {
    sendable = sendable && may_be_sent(line);
    headers.reset(curl_slist_append(headers.release(), line.c_str()));
  };
  for (const std::string& line : request.headers) add(line);
  if (with_authorization && !request.authorization.empty())
    add("Authorization: " + request.authorization);
  add("Expect:");
  if (!sendable || !may_be_sent(url))
    return fail(Errc::protocol, parsed->host + " wants us to send what no header may hold");

  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, parsed->scheme.c_str());
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail.data());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "aloft");
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options_.authority.empty())
    curl_easy_setopt(curl, CURLOPT_CAINFO, options_.authority.c_str());
  if (!options_.certificate.empty() && with_authorization) {
    curl_easy_setopt(curl, CURLOPT_SSLCERT, options_.certificate.c_str());
    curl_easy_setopt(curl, CURLOPT_SSLKEY, options_.key.c_str());
  }
  if (is_loopback(parsed->host)) curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options_.connect_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                   std::max(1L, static_cast<long>(options_.stall_timeout.count() / 1000)));
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);

  if (request.method == Method::head) {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (request.method == Method::post) {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
  } else if (request.method != Method::get) {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, name_of(request.method));
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body_size));
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(curl, CURLOPT_READDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, &transfer);
  }

  const CURLcode code = curl_easy_perform(curl);
  if (transfer.error) return std::unexpected(*std::move(transfer.error));
  if (code != CURLE_OK) return std::unexpected(error_of(code, parsed->host, detail.data()));
  transfer.response.status = transfer.status();
  transfer.response.url = url;
  char* target = nullptr;
  curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &target);
  if (target != nullptr) redirection = target;
  return std::move(transfer.response);
}

Result<Url> parse_url(std::string_view url) {
  const UrlHandle handle(curl_url());
  const std::string text(url);
  if (handle == nullptr || text.size() > 8192 ||
      curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), CURLU_PATH_AS_IS) != CURLUE_OK)
    return fail(Errc::invalid_argument, "no URL: '" + printable(text) + "'");
  Url parsed{part_of(handle.get(), CURLUPART_SCHEME), part_of(handle.get(), CURLUPART_HOST),
             part_of(handle.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT),
             part_of(handle.get(), CURLUPART_PATH)};
  if (!part_of(handle.get(), CURLUPART_USER).empty() ||
      !part_of(handle.get(), CURLUPART_PASSWORD).empty()) {
    return fail(Errc::invalid_argument,
                "the URL of " + printable(parsed.host) +
                    " has a user or password in it; give them as the options for that");
  }
  if (parsed.scheme != "https" && parsed.scheme != "http")
    return fail(Errc::refused,
                "'" + printable(parsed.scheme) + "://' is not spoken here, https is");
  if (parsed.scheme == "http" && !is_loopback(parsed.host)) {
    return fail(Errc::refused, "http:// in clear goes to the loopback interface alone, not to " +
                                   printable(parsed.host) + ": use https://");
  }
  return parsed;
}

Result<std::string> resolve_url(const std::string& base, const std::string& relative) {
  const UrlHandle handle(curl_url());
  if (handle == nullptr || relative.size() > 8192 ||
      curl_url_set(handle.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl_url_set(handle.get(), CURLUPART_URL, relative.c_str(), 0) != CURLUE_OK)
    return fail(Errc::protocol, "no URL: '" + printable(relative) + "'");
  return part_of(handle.get(), CURLUPART_URL);
}

std::string url_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_' ||
        c == '~') {
      encoded.push_back(c);
    } else {
      const auto value = static_cast<unsigned char>(c);
      encoded += {'%', kDigits[value >> 4], kDigits[value & 15U]};
    }
  }
  return encoded;
}

}  // namespace aloft::oci
