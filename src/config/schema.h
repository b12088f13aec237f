// The configuration of a program: one list of keys, each with its type, its default and what it is
// for. A value comes from the first of these that has it:
//   an option     --store-endpoints=a,b     (`store.endpoints` with '-' for '.' and '_')
//   the environment   ALOFT_MANAGER_STORE_ENDPOINTS=a,b
//   the file      [store] endpoints = ["a", "b"]     (--config FILE, or PREFIX_CONFIG)
//   the default
// Whatever is wrong says where it came from and which key it is. A key of the file and an option
// that nobody knows are errors as well; a variable is not, since Kubernetes adds some of its own
// under the names of services (ALOFT_MANAGER_PORT). Relative paths of a file are beside that file,
// others where the program runs.
//
//   config::Schema schema("aloft-host", "Runs ...", "ALOFT_HOST");
//   schema.option("listen", options.listen, "HOST:PORT of ...");
//   schema.number("sessions.max", options.max_sessions, 1, 4096, "sessions at a time");
//   auto outcome = schema.load(argc, argv, config::environment());
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "config/value.h"
#include <aloft/result.h>

namespace aloft::config {

using Environment = std::map<std::string, std::string, std::less<>>;
// That of this process.
[[nodiscard]] Environment environment();

enum class Need : std::uint8_t { optional, required };

// Thread rule: one thread; the values have to live until load() has returned.
class Schema {
 public:
  Schema(std::string program, std::string purpose, std::string environment_prefix);

  // A key is words of a-z, 0-9 and '_' with '.' between them; `value` has the default. An option
  // that is an empty text, path or list by default has none; with Need::required it must be given.
  Schema& option(std::string key, bool& value, std::string help);
  Schema& option(std::string key, std::string& value, std::string help, Need need = Need::optional);
  Schema& option(std::string key, std::filesystem::path& value, std::string help,
                 Need need = Need::optional);
  Schema& option(std::string key, std::vector<std::string>& value, std::string help,
                 Need need = Need::optional);
  Schema& option(std::string key, Bytes& value, std::string help);
  Schema& option(std::string key, std::chrono::milliseconds& value, std::string help);
  Schema& option(std::string key, double& value, double min, double max, std::string help);
  // One of these texts.
  Schema& choice(std::string key, std::string& value, std::vector<std::string> among,
                 std::string help);
  template <class T>
  Schema& number(std::string key, T& value, std::uint64_t min, std::uint64_t max,
                 std::string help) {
    return add({.key = std::move(key),
                .type = "number",
                .shown = std::to_string(value),
                .help = std::move(help),
                .set = [&value, min, max](const Value& from, const Source& source) {
                  std::uint64_t read_value = 0;
                  auto outcome = read(from, source.origin, read_value, min, max);
                  if (outcome) value = static_cast<T>(read_value);
                  return outcome;
                }});
  }

  // `shown`: help, or what is in force (--show-config), has been printed; the program ends.
  enum class Outcome : std::uint8_t { run, shown };
  // Errors: invalid_argument, not_found (the file); they name option, variable, or file and key.
  [[nodiscard]] Result<Outcome> load(int argc, const char* const* argv,
                                     const Environment& environment);

  // Where the value in force came from: "default", "manager.toml:7", "ALOFT_...", "--listen".
  [[nodiscard]] std::string source_of(std::string_view key) const;
  // The file that was read; empty: none.
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  // All keys as a table in Markdown, for docs/.
  [[nodiscard]] std::string to_markdown() const;

 private:
  struct Source {
    Origin origin = Origin::text;
    std::string name;              // "--listen", "ALOFT_MANAGER_LISTEN", "manager.toml:7: listen"
    std::filesystem::path folder;  // that relative paths are in
  };
  struct Key {
    std::string key;
    std::string type;
    std::string shown;  // the default
    std::string help;
    Need need = Need::optional;
    std::function<Result<void>(const Value&, const Source&)> set;
    std::string source = "default";
    std::string given{};  // as it was given, for --show-config
  };

  Schema& add(Key key);
  [[nodiscard]] Result<void> set(Key& key, const Value& value, const Source& source);
  [[nodiscard]] Result<void> read_file_into(const std::filesystem::path& file);
  [[nodiscard]] Result<void> read_table(const Table& table, const std::string& prefix);
  [[nodiscard]] Key* find(std::string_view key);
  [[nodiscard]] std::string variable(std::string_view key) const;
  void show() const;

  std::string program_, purpose_, prefix_;
  std::vector<Key> keys_;
  std::filesystem::path file_;
};

}  // namespace aloft::config
