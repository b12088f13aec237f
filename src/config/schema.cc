#include "config/schema.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>
#include <unistd.h>

namespace aloft::config {
namespace {

namespace fs = std::filesystem;

std::string option_name(std::string_view key) {
  std::string name = "--" + std::string(key);
  std::ranges::replace(name, '.', '-');
  std::ranges::replace(name, '_', '-');
  return name;
}

std::string joined(const std::vector<std::string>& list, std::string_view between) {
  std::string text;
  for (const std::string& each : list) text += (text.empty() ? "" : std::string(between)) + each;
  return text;
}

std::string text_of(const Value& value) {
  struct Show {
    std::string operator()(bool real) const { return real ? "true" : "false"; }
    std::string operator()(std::int64_t real) const { return std::to_string(real); }
    std::string operator()(double real) const { return std::to_string(real); }
    std::string operator()(const std::string& real) const { return real; }
    std::string operator()(const Array& real) const {
      std::vector<std::string> list;
      for (const Value& each : real) list.push_back(text_of(each));
      return joined(list, ",");
    }
    std::string operator()(const Table&) const { return "{}"; }
  };
  return std::visit(Show{}, value.data);
}

}  // namespace

Environment environment() {
  Environment found;
  for (char** each = ::environ; each != nullptr && *each != nullptr; ++each) {
    const std::string_view text = *each;
    if (const auto equals = text.find('='); equals != std::string_view::npos)
      found.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return found;
}

Schema::Schema(std::string program, std::string purpose, std::string environment_prefix)
    : program_(std::move(program)),
      purpose_(std::move(purpose)),
      prefix_(std::move(environment_prefix)) {}

Schema& Schema::add(Key key) {
  keys_.push_back(std::move(key));
  return *this;
}

Schema& Schema::option(std::string key, bool& value, std::string help) {
  return add({.key = std::move(key),
              .type = "true or false",
              .shown = value ? "true" : "false",
              .help = std::move(help),
              .set = [&value](const Value& from, const Source& source) {
                return read(from, source.origin, value);
              }});
}

Schema& Schema::option(std::string key, std::string& value, std::string help, Need need) {
  return add({.key = std::move(key),
              .type = "text",
              .shown = value,
              .help = std::move(help),
              .need = need,
              .set = [&value](const Value& from, const Source& source) {
                return read(from, source.origin, value);
              }});
}

Schema& Schema::option(std::string key, fs::path& value, std::string help, Need need) {
  return add({.key = std::move(key),
              .type = "path",
              .shown = value.string(),
              .help = std::move(help),
              .need = need,
              .set = [&value](const Value& from, const Source& source) {
                fs::path path;
                auto outcome = read(from, source.origin, path);
                if (outcome) value = path.empty() ? path : source.folder / path;
                return outcome;
              }});
}

Schema& Schema::option(std::string key, std::vector<std::string>& value, std::string help,
                       Need need) {
  return add({.key = std::move(key),
              .type = "list of texts",
              .shown = joined(value, ","),
              .help = std::move(help),
              .need = need,
              .set = [&value](const Value& from, const Source& source) {
                return read(from, source.origin, value);
              }});
}

Schema& Schema::option(std::string key, Bytes& value, std::string help) {
  return add({.key = std::move(key),
              .type = "amount",
              .shown = to_text(value),
              .help = std::move(help),
              .set = [&value](const Value& from, const Source& source) {
                return read(from, source.origin, value);
              }});
}

Schema& Schema::option(std::string key, std::chrono::milliseconds& value, std::string help) {
  return add({.key = std::move(key),
              .type = "time",
              .shown = to_text(value),
              .help = std::move(help),
              .set = [&value](const Value& from, const Source& source) {
                return read(from, source.origin, value);
              }});
}

Schema& Schema::option(std::string key, double& value, double min, double max, std::string help) {
  return add({.key = std::move(key),
              .type = "number",
              .shown = CLI::detail::to_string(value),
              .help = std::move(help),
              .set = [&value, min, max](const Value& from, const Source& source) {
                return read(from, source.origin, value, min, max);
              }});
}

Schema& Schema::choice(std::string key, std::string& value, std::vector<std::string> among,
                       std::string help) {
  return add({.key = std::move(key),
              .type = joined(among, " or "),
              .shown = value,
              .help = std::move(help),
              .set = [&value, among = std::move(among)](const Value& from,
                                                        const Source& source) -> Result<void> {
                std::string text;
                if (!read(from, source.origin, text) ||
                    std::ranges::find(among, text) == among.end())
                  return fail(Errc::invalid_argument, "has to be " + joined(among, " or "));
                value = std::move(text);
                return {};
              }});
}

Result<Schema::Outcome> Schema::load(int argc, const char* const* argv,
                                     const Environment& environment) {
  CLI::App app{purpose_, program_};
  std::string config;
  bool show_config = false;
  bool markdown = false;
  app.add_option("--config", config, "file of the configuration (TOML); or " + prefix_ + "_CONFIG");
  app.add_flag("--show-config", show_config, "print what is in force, and from where, and end");
  app.add_flag("--config-reference", markdown, "print all keys as Markdown, and end");
  std::vector<std::vector<std::string>> given(keys_.size());
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const Key& key = keys_[i];
    const std::string help = key.help + (key.shown.empty() ? "" : " [" + key.shown + "]");
    CLI::Option* const option = app.add_option(option_name(key.key), given[i], help);
    // `--name` alone is true.
    option->type_name("")->allow_extra_args(false);
    if (key.type == "true or false") {
      option->expected(0, 1);
    } else if (key.type != "list of texts") {
      option->expected(1);
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0)
      return fail(Errc::invalid_argument, std::string(error.what()) + " (" + program_ + " --help)");
    (void)app.exit(error);
    return Outcome::shown;
  }
  if (markdown) {
    std::fputs(to_markdown().c_str(), stdout);
    return Outcome::shown;
  }

  fs::path file = config;
  if (const auto found = environment.find(prefix_ + "_CONFIG");
      file.empty() && found != environment.end())
    file = found->second;
  if (!file.empty()) {
    if (auto done = read_file_into(file); !done) return std::unexpected(std::move(done).error());
  }
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    Key& key = keys_[i];
    const std::string name = variable(key.key);
    if (const auto found = environment.find(name); found != environment.end()) {
      if (auto done = set(key, {found->second, 0}, {Origin::text, name, {}}); !done)
        return std::unexpected(std::move(done).error());
    }
    const std::string option = option_name(key.key);
    if (app.count(option) == 0) continue;
    const bool alone = given[i].empty() || (given[i].size() == 1 && given[i][0].empty());
    const bool flag = key.type == "true or false" && alone;
    if (auto done =
            set(key, {flag ? "true" : joined(given[i], ","), 0}, {Origin::text, option, {}});
        !done)
      return std::unexpected(std::move(done).error());
  }
  if (show_config) {
    show();
    return Outcome::shown;
  }
  for (const Key& key : keys_) {
    if (key.need == Need::required && key.source == "default") {
      return fail(Errc::invalid_argument, key.key + " is missing: " + key.help + "; give " +
                                              option_name(key.key) + ", " + variable(key.key) +
                                              ", or `" + key.key + "` in the file of --config");
    }
  }
  return Outcome::run;
}

Result<void> Schema::set(Key& key, const Value& value, const Source& source) {
  if (auto outcome = key.set(value, source); !outcome)
    return fail(Errc::invalid_argument, source.name + " " + outcome.error().message);
  key.source = source.origin == Origin::file ? file_.string() + ":" + std::to_string(value.line)
                                             : source.name;
  key.given = text_of(value);
  return {};
}

Result<void> Schema::read_file_into(const fs::path& file) {
  const auto text = read_file(file);
  if (!text) return std::unexpected(text.error());
  const auto table = parse_toml(*text, file.string());
  if (!table) return std::unexpected(table.error());
  file_ = file;
  return read_table(*table, "");
}

Result<void> Schema::read_table(const Table& table, const std::string& prefix) {
  for (const auto& [name, value] : table) {
    const std::string key = prefix + name;
    const std::string place = file_.string() + ":" + std::to_string(value.line) + ": " + key;
    if (Key* const known = find(key); known != nullptr) {
      if (auto done = set(*known, value, {Origin::file, place, file_.parent_path()}); !done)
        return done;
      continue;
    }
    const auto* const inner = std::get_if<Table>(&value.data);
    const bool leads_on = std::ranges::any_of(
        keys_, [&](const Key& each) { return each.key.starts_with(key + "."); });
    if (inner == nullptr || !leads_on)
      return fail(Errc::invalid_argument, place + " is not known (" + program_ + " --help)");
    if (auto done = read_table(*inner, key + "."); !done) return done;
  }
  return {};
}

Schema::Key* Schema::find(std::string_view key) {
  const auto found = std::ranges::find(keys_, key, &Key::key);
  return found == keys_.end() ? nullptr : &*found;
}

std::string Schema::variable(std::string_view key) const {
  std::string name = prefix_ + "_" + std::string(key);
  for (char& c : name) {
    if (c == '.') c = '_';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return name;
}

std::string Schema::source_of(std::string_view key) const {
  const auto found = std::ranges::find(keys_, key, &Key::key);
  return found == keys_.end() ? "" : found->source;
}

void Schema::show() const {
  for (const Key& key : keys_) {
    const std::string& value = key.source == "default" ? key.shown : key.given;
    std::printf("%-28s %-32s # %s\n", key.key.c_str(), value.c_str(), key.source.c_str());
  }
}

std::string Schema::to_markdown() const {
  std::string text = "| key | type | default | what it is |\n|---|---|---|---|\n";
  for (const Key& key : keys_) {
    const std::string otherwise = key.need == Need::required ? "required"
                                  : key.shown.empty()        ? "none"
                                                             : "`" + key.shown + "`";
    text += "| `" + key.key + "` | " + key.type + " | " + otherwise + " | " + key.help + " |\n";
  }
  return text;
}

}  // namespace aloft::config
