#include "config/schema.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace aloft::config {
namespace {

using namespace std::chrono_literals;
using aloft::testing::TempDir;

// A program with an option of each type.
struct Program {
  std::string listen = "127.0.0.1:7410";
  std::filesystem::path state;
  std::vector<std::string> endpoints;
  std::string kind = "embedded";
  std::uint32_t max_sessions = 100;
  Bytes memory = 1_GiB;
  std::chrono::milliseconds lease = 10s;
  double spread = 0.5;
  bool metrics = false;
  Schema schema{"aloft-test", "A test.", "ALOFT_TEST"};

  Program() {
    schema.option("listen", listen, "HOST:PORT to listen on")
        .option("state", state, "folder of what is kept", Need::required)
        .option("store.endpoints", endpoints, "of etcd")
        .choice("store.kind", kind, {"embedded", "etcd"}, "where the state is")
        .number("max_sessions", max_sessions, 1, 1000, "at a time")
        .option("memory", memory, "of all")
        .option("lease", lease, "of a host")
        .option("score.spread", spread, 0, 1, "weight")
        .option("metrics", metrics, "whether there are any");
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Result<Schema::Outcome> load(std::vector<std::string> arguments, const Environment& env = {}) {
    arguments.insert(arguments.begin(), "aloft-test");
    std::vector<const char*> argv;
    for (const std::string& each : arguments) argv.push_back(each.c_str());
    return schema.load(static_cast<int>(argv.size()), argv.data(), env);
  }
};

std::string write(const TempDir& folder, std::string_view text) {
  aloft::testing::write_file(folder / "test.toml", std::as_bytes(std::span(text)));
  return folder / "test.toml";
}

TEST(Schema, has_its_defaults) {
  Program program;
  const auto outcome = program.load({"--state", "s"});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(*outcome, Schema::Outcome::run);
  EXPECT_EQ(program.listen, "127.0.0.1:7410");
  EXPECT_EQ(program.lease, 10s);
  EXPECT_EQ(program.schema.source_of("listen"), "default");
  EXPECT_EQ(program.schema.source_of("state"), "--state");
}

TEST(Schema, takes_every_type_from_a_file_the_environment_and_options) {
  const TempDir folder;
  const std::string file = write(folder,
                                 "listen = \"0.0.0.0:1\"\nstate = \"kept\"\nmax_sessions = 7\n"
                                 "memory = \"2GiB\"\nlease = \"5s\"\nmetrics = true\n"
                                 "[store]\nendpoints = [\"a\", \"b\"]\nkind = \"etcd\"\n"
                                 "[score]\nspread = 1\n");
  Program from_file;
  auto outcome = from_file.load({"--config", file});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(from_file.state, folder / "kept") << "beside the file";

  Program from_environment;
  outcome = from_environment.load({}, {{"ALOFT_TEST_LISTEN", "0.0.0.0:1"},
                                       {"ALOFT_TEST_STATE", "kept"},
                                       {"ALOFT_TEST_MAX_SESSIONS", "7"},
                                       {"ALOFT_TEST_MEMORY", "2GiB"},
                                       {"ALOFT_TEST_LEASE", "5s"},
                                       {"ALOFT_TEST_METRICS", "true"},
                                       {"ALOFT_TEST_STORE_ENDPOINTS", "a,b"},
                                       {"ALOFT_TEST_STORE_KIND", "etcd"},
                                       {"ALOFT_TEST_SCORE_SPREAD", "1"},
                                       {"ALOFT_TEST_SERVICE_HOST", "10.0.0.1"}});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(from_environment.state, "kept");

  Program from_options;
  outcome =
      from_options.load({"--listen=0.0.0.0:1", "--state", "kept", "--max-sessions", "7", "--memory",
                         "2GiB", "--lease", "5s", "--metrics", "--store-endpoints", "a",
                         "--store-endpoints=b", "--store-kind", "etcd", "--score-spread", "1"});
  ASSERT_TRUE(outcome) << outcome.error().message;
  for (const Program* const program : {&from_file, &from_environment, &from_options}) {
    EXPECT_EQ(program->listen, "0.0.0.0:1");
    EXPECT_EQ(program->max_sessions, 7U);
    EXPECT_EQ(program->memory, 2_GiB);
    EXPECT_EQ(program->lease, 5s);
    EXPECT_TRUE(program->metrics);
    EXPECT_EQ(program->endpoints, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(program->kind, "etcd");
    EXPECT_EQ(program->spread, 1);
  }
}

TEST(Schema, prefers_an_option_to_the_environment_to_the_file) {
  const TempDir folder;
  const std::string file =
      write(folder, "state = \"s\"\nmax_sessions = 1\nlease = \"1s\"\nmemory = \"1B\"\n");
  Program program;
  const auto outcome =
      program.load({"--memory", "3B", "--metrics=false"}, {{"ALOFT_TEST_CONFIG", file},
                                                           {"ALOFT_TEST_LEASE", "2s"},
                                                           {"ALOFT_TEST_MEMORY", "2B"},
                                                           {"ALOFT_TEST_METRICS", "true"}});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(program.max_sessions, 1U);
  EXPECT_EQ(program.lease, 2s);
  EXPECT_EQ(program.memory, 3_B);
  EXPECT_FALSE(program.metrics);
  EXPECT_EQ(program.schema.source_of("max_sessions"), file + ":2");
  EXPECT_EQ(program.schema.source_of("lease"), "ALOFT_TEST_LEASE");
  EXPECT_EQ(program.schema.source_of("memory"), "--memory");
}

TEST(Schema, says_where_what_is_wrong_came_from) {
  const TempDir folder;
  const auto error = [&](std::string_view text, std::vector<std::string> arguments = {},
                         const Environment& env = {}) {
    if (!text.empty()) {
      arguments.emplace_back("--config");
      arguments.push_back(write(folder, text));
    }
    Program program;
    const auto outcome = program.load(std::move(arguments), env);
    return outcome ? std::string("none") : outcome.error().message;
  };
  const std::string file = folder / "test.toml";
  EXPECT_EQ(error("state = \"s\"\nmax_sessions = 2000\n"),
            file + ":2: max_sessions has to be a whole number from 1 to 1000");
  EXPECT_EQ(error("state = \"s\"\n[store]\nkind = \"mongo\"\n"),
            file + ":3: store.kind has to be embedded or etcd");
  EXPECT_EQ(error("state = \"s\"\n[store]\nendpoint = []\n"),
            file + ":3: store.endpoint is not known (aloft-test --help)");
  EXPECT_EQ(error("state = \"s\"\nstore = 1\n"),
            file + ":2: store is not known (aloft-test --help)");
  EXPECT_EQ(error("[state]\nx = 1\n"), file + ":1: state has to be a text, in quotation marks");
  EXPECT_EQ(error("", {"--state=s", "--memory=2"}).substr(0, 36),
            "--memory has to be an amount with it");
  EXPECT_EQ(error("", {"--state=s"}, {{"ALOFT_TEST_LEASE", "ever"}}).substr(0, 34),
            "ALOFT_TEST_LEASE has to be a time ");
  EXPECT_NE(error("", {"--nonsense"}).find("--nonsense"), std::string::npos);
  EXPECT_NE(error("", {"--max-sessions", "1", "--max-sessions", "2"}), "none");
  const std::string missing = error("listen = \"a\"\n");
  EXPECT_NE(missing.find("state is missing"), std::string::npos) << missing;
  EXPECT_NE(missing.find("ALOFT_TEST_STATE"), std::string::npos) << missing;
  EXPECT_NE(error("", {"--config", "/nowhere/x.toml"}).find("/nowhere/x.toml"), std::string::npos);
}

TEST(Schema, shows_all_of_itself) {
  Program program;
  EXPECT_EQ(program.load({"--help"}), Schema::Outcome::shown);
  const std::string table = program.schema.to_markdown();
  EXPECT_NE(table.find("| `store.kind` | embedded or etcd | `embedded` | where the state is |"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("| `lease` | time | `10s` | of a host |"), std::string::npos) << table;
  EXPECT_NE(table.find("| `state` | path | required |"), std::string::npos) << table;
}

}  // namespace
}  // namespace aloft::config
