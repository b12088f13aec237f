// HTTP as a registry needs it: libcurl, with bounds on all that a server may send, and the rule
// that nothing goes in clear but to the loopback interface. For the sources of this folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "oci/blob.h"
#include "oci/repository.h"
#include <aloft/result.h>

namespace aloft::oci {

enum class Method { get, head, post, patch, put };

struct HttpRequest {
  Method method = Method::get;
  std::string url;
  std::vector<std::string> headers = {};  // "Name: value"
  std::string authorization = {};         // the value; goes to url's own host alone
  // What is sent: this part of it.
  const Blob* body = nullptr;
  std::uint64_t body_offset = 0, body_size = 0;
  // Gets the body of a 200 or 206, after `status` got it; without one it comes in the response.
  BlobSink sink = {};
  std::function<void(int)> status = {};
  Bytes max_body = 1_MiB;                     // of what comes in the response; longer fails
  std::chrono::milliseconds timeout{60'000};  // of all of it
};

struct HttpResponse {
  int status = 0;
  // In the order they came; names in lower case.
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::byte> body;
  std::string url;  // where it came from, after redirections

  // The last one of that name; null: none.
  [[nodiscard]] const std::string* header(std::string_view name) const;
};

struct HttpOptions {
  std::filesystem::path authority, certificate, key;  // as in RegistryOptions
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds stall_timeout{20'000};
};

// Keeps connections open between requests. Thread rule: any thread, several at once.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();  // no request may be under way

  // Redirections of GET and HEAD are followed, five at most. A response of whatever status is a
  // response. Errors: unreachable (no connection, no answer in time, cut off), refused (not a
  // certificate to trust; a URL in clear), protocol (no HTTP; longer than allowed), the sink's.
  [[nodiscard]] Result<HttpResponse> send(const HttpRequest& request);

 private:
  struct Handle;
  [[nodiscard]] std::unique_ptr<Handle> take();
  void give_back(std::unique_ptr<Handle> handle);
  [[nodiscard]] Result<HttpResponse> send_once(Handle& handle, const HttpRequest& request,
                                               const std::string& url, bool with_authorization,
                                               std::chrono::milliseconds timeout,
                                               std::string& redirection);
  const HttpOptions options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_;
};

struct Url {
  std::string scheme, host, port, path;  // the path begins with '/'
  [[nodiscard]] bool same_origin(const Url& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
  }
};
// https, or http to the loopback interface; no user in it. Errors: invalid_argument, refused.
[[nodiscard]] Result<Url> parse_url(std::string_view url);
// `relative` as seen from `base`. Errors: protocol.
[[nodiscard]] Result<std::string> resolve_url(const std::string& base, const std::string& relative);
// For a part of a path or query.
[[nodiscard]] std::string url_encode(std::string_view text);

}  // namespace aloft::oci
