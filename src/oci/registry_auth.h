// How a registry lets us in: a user and password as they are (Basic), or a token that another
// server gives for them (Bearer). Which of them, the registry says in its answer 401. For the
// sources of this folder.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "oci/http.h"
#include <aloft/result.h>

namespace aloft::oci {

// What a token is for; a registry gives them apart.
enum class Access { pull, push };

// One challenge of a WWW-Authenticate header: `Bearer realm="https://...",service="..."`.
struct Challenge {
  std::string scheme;  // in lower case
  std::map<std::string, std::string> parameters;
};
// None: it is not laid out as a challenge.
[[nodiscard]] std::optional<Challenge> parse_challenge(std::string_view header);

// Thread rule: any thread.
class RegistryAuth {
 public:
  // `http` is borrowed.
  RegistryAuth(HttpClient& http, Url registry, std::string user, std::string password,
               std::chrono::milliseconds timeout);

  // What to send along, as far as it is known; empty: nothing yet.
  [[nodiscard]] std::string authorization(Access access);
  // Does what the registry's 401 asks for; authorization() is another one then. Errors: refused (it
  // wants a password, and there is none; or does not take what it got), protocol, unreachable.
  [[nodiscard]] Result<void> answer(Access access, const HttpResponse& unauthorized,
                                    const std::string& sent);

 private:
  using Clock = std::chrono::steady_clock;
  struct Held {
    std::string value;
    Clock::time_point until{};
  };
  [[nodiscard]] Result<Held> get_token(const Challenge& challenge) const;
  [[nodiscard]] std::string basic() const;

  HttpClient& http_;
  const Url registry_;
  const std::string user_, password_;
  const std::chrono::milliseconds timeout_;
  std::mutex mutex_;
  std::array<Held, 2> held_;  // by Access
};

}  // namespace aloft::oci
