// What a runtime is made with. What is wrong is remembered, and said when the runtime is made: a
// caller has one place to look for errors.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "device/c_api/handles.h"

using aloft::Errc;
using aloft::Error;
using aloft::LogLevel;

namespace {

// `body` sets something; what keeps it from doing so is the options' defect.
template <class Body>
void set(aloft_options* options, const Body& body) noexcept {
  if (options == nullptr) return;
  try {
    body();
  } catch (...) {
    options->defect = Error{Errc::resource_exhausted, {}};
  }
}

void is_wrong(aloft_options* options, std::string what) {
  if (!options->defect) options->defect = Error{Errc::invalid_argument, std::move(what)};
}

}  // namespace

aloft_options* aloft_options_new(void) {
  try {
    return new aloft_options;
  } catch (...) {
    return nullptr;
  }
}
void aloft_options_free(aloft_options* options) { delete options; }

void aloft_options_add_module(aloft_options* options, const aloft_module* module) {
  set(options, [&] {
    if (module == nullptr) return is_wrong(options, "a module that was added is NULL");
    if (std::ranges::find(options->modules, module->module) == options->modules.end())
      options->modules.push_back(module->module);
  });
}

void aloft_options_add_edge(aloft_options* options, const char* host_and_port) {
  set(options, [&] {
    if (host_and_port == nullptr) return is_wrong(options, "an edge that was added is NULL");
    options->runtime.edges.emplace_back(host_and_port);
  });
}

void aloft_options_add_model(aloft_options* options, const char* graph, const char* file) {
  set(options, [&] {
    if (graph == nullptr || file == nullptr)
      return is_wrong(options, "a model's name or file is NULL");
    options->runtime.models[graph] = file;
  });
}

void aloft_options_set_tls(aloft_options* options, const char* authority, const char* certificate,
                           const char* key) {
  set(options, [&] {
    const auto path = [](const char* text) { return text == nullptr ? "" : text; };
    options->runtime.tls_authority = path(authority);
    options->runtime.tls_certificate = path(certificate);
    options->runtime.tls_key = path(key);
  });
}

void aloft_options_set_policy(aloft_options* options, const char* policy) {
  set(options, [&] {
    if (policy == nullptr) return is_wrong(options, "the policy is NULL");
    auto made = aloft::policy_by_name(policy);
    if (!made) return is_wrong(options, std::move(made.error().message));
    options->runtime.policy = *std::move(made);
  });
}

void aloft_options_set_call_timeout(aloft_options* options, uint32_t milliseconds) {
  set(options, [&] { options->runtime.call_timeout = std::chrono::milliseconds(milliseconds); });
}

void aloft_options_set_log(aloft_options* options, aloft_log log, void* context, int lowest) {
  set(options, [&] {
    if (log == nullptr) return is_wrong(options, "the log's function is NULL");
    options->runtime.log_level = static_cast<LogLevel>(std::clamp(lowest, 0, 3));
    options->runtime.log = [log, context](LogLevel level, std::string_view line) {
      log(context, static_cast<int>(level), std::string(line).c_str());
    };
  });
}
