#include "oci/registry_auth.h"

#include <algorithm>
#include <cctype>
#include <span>
#include <utility>

#include "identity/base64.h"
#include "oci/json.h"

namespace aloft::oci {
namespace {

constexpr std::size_t kMaxToken = 16 * 1024;

bool is_token_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

void skip(std::string_view& text, std::string_view what) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(what)));
}

std::string_view take_word(std::string_view& text) {
  const auto end = std::ranges::find_if_not(text, is_token_char);
  const auto word = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(word.size());
  return word;
}

}  // namespace

std::optional<Challenge> parse_challenge(std::string_view header) {
  Challenge challenge;
  skip(header, " ");
  challenge.scheme = lower(take_word(header));
  if (challenge.scheme.empty()) return std::nullopt;
  for (;;) {
    skip(header, " ,");
    if (header.empty()) return challenge;
    const std::string name = lower(take_word(header));
    skip(header, " ");
    // Another scheme after this one's parameters: the first one is what we take.
    if (name.empty() || !header.starts_with('=')) {
      if (challenge.parameters.empty()) return std::nullopt;
      return challenge;
    }
    header.remove_prefix(1);
    skip(header, " ");
    std::string value;
    if (header.starts_with('"')) {
      header.remove_prefix(1);
      while (!header.empty() && header.front() != '"') {
        if (header.front() == '\\' && header.size() > 1) header.remove_prefix(1);
        value.push_back(header.front());
        header.remove_prefix(1);
      }
      if (header.empty()) return std::nullopt;
      header.remove_prefix(1);
    } else {
      const auto end = std::min(header.size(), header.find_first_of(", "));
      value = header.substr(0, end);
      header.remove_prefix(end);
    }
    challenge.parameters.emplace(name, std::move(value));
  }
}

RegistryAuth::RegistryAuth(HttpClient& http, Url registry, std::string user, std::string password,
                           std::chrono::milliseconds timeout)
    : http_(http),
      registry_(std::move(registry)),
      user_(std::move(user)),
      password_(std::move(password)),
      timeout_(timeout) {}

std::string RegistryAuth::basic() const {
  if (user_.empty() && password_.empty()) return {};
  const std::string both = user_ + ":" + password_;
  return "Basic " + identity::to_base64(std::as_bytes(std::span(both)));
}

std::string RegistryAuth::authorization(Access access) {
  const std::lock_guard lock(mutex_);
  const Held& held = held_[static_cast<std::size_t>(access)];
  return Clock::now() < held.until ? held.value : std::string();
}

Result<void> RegistryAuth::answer(Access access, const HttpResponse& unauthorized,
                                  const std::string& sent) {
  std::optional<Challenge> basic_challenge, bearer;
  for (const auto& [name, value] : unauthorized.headers) {
    if (name != "www-authenticate") continue;
    auto challenge = parse_challenge(value);
    if (challenge && challenge->scheme == "bearer" && !bearer) bearer = std::move(challenge);
    if (challenge && challenge->scheme == "basic" && !basic_challenge)
      basic_challenge = std::move(challenge);
  }
  const std::string password = basic();
  Held held;
  if (bearer) {
    auto token = get_token(*bearer);
    if (!token) return std::unexpected(token.error());
    held = *std::move(token);
  } else if (basic_challenge && password.empty()) {
    return fail(Errc::refused,
                registry_.host + " asks for a user and password, and none are given");
  } else if (basic_challenge) {
    if (sent == password)
      return fail(Errc::refused, registry_.host + " does not accept the user or password");
    held = {password, Clock::time_point::max()};
  } else {
    return fail(Errc::refused, registry_.host +
                                   " does not let us in, and does not say how (neither Basic nor "
                                   "Bearer)");
  }
  const std::lock_guard lock(mutex_);
  held_[static_cast<std::size_t>(access)] = std::move(held);
  return {};
}

Result<RegistryAuth::Held> RegistryAuth::get_token(const Challenge& challenge) const {
  const auto parameter = [&](const char* name) {
    const auto found = challenge.parameters.find(name);
    return found == challenge.parameters.end() ? std::string() : found->second;
  };
  std::string url = parameter("realm");
  const auto realm = parse_url(url);
  const std::string from = registry_.host + " sends us to '" + printable(url) + "' for a token";
  if (!realm) return fail(Errc::refused, from + ": " + realm.error().message);
  if (registry_.scheme == "https" && realm->scheme != "https")
    return fail(Errc::refused, from + ", which is not encrypted");
  char separator = url.find('?') == std::string::npos ? '?' : '&';
  for (const char* name : {"service", "scope"}) {
    if (const std::string value = parameter(name); !value.empty()) {
      url += std::exchange(separator, '&') + std::string(name) + "=" + url_encode(value);
    }
  }
  HttpRequest request{.url = std::move(url), .authorization = basic(), .timeout = timeout_};
  request.max_body = 64_KiB;
  const auto response = http_.send(request);
  if (!response) return fail(response.error().code, from + ": " + response.error().message);
  if (response->status == 401 || response->status == 403)
    return fail(Errc::refused, from + ", and it is refused there: check user and password");
  if (response->status == 429) return fail(Errc::overloaded, from + ", which is overloaded");
  if (response->status >= 500) return fail(Errc::unreachable, from + ", which does not work now");
  const auto json = parse_json(response->body, "the answer");
  if (response->status != 200 || !json) return fail(Errc::protocol, from + ", which gives none");
  const std::string* token = text(*json, "token");
  if (token == nullptr) token = text(*json, "access_token");
  const bool ok = token != nullptr && !token->empty() && token->size() <= kMaxToken &&
                  std::ranges::all_of(*token, [](char c) { return c > ' ' && c <= '~'; });
  if (!ok) return fail(Errc::protocol, from + ", which gives none");
  // Some say nothing; then it is a minute. A little less than said, so that it does not expire on
  // its way.
  const auto seconds =
      std::clamp<std::uint64_t>(number(*json, "expires_in").value_or(60), 1, 86400);
  return Held{"Bearer " + *token,
              Clock::now() + std::chrono::milliseconds(seconds * 1000 - seconds * 100)};
}

}  // namespace aloft::oci
