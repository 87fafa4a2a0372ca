#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "tests/support/process.hpp"
#include "tests/tools/rowcall/run_rowcall.hpp"

/// The command line where no server is needed.
namespace rowcall::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string write_file(const std::string& text) {
  const auto path = support::make_directory() + "/rowcall.conf";
  std::ofstream{path} << text;
  return path;
}

class every_subcommand : public ::testing::TestWithParam<std::vector<std::string>> {};

TEST_P(every_subcommand, has_a_help_that_states_the_exit_codes_and_each_option_s_variable) {
  auto arguments = GetParam();
  arguments.push_back("--help");
  const auto run = run_rowcall(arguments);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("Exit codes: 0 done;"));
  EXPECT_THAT(run.out, HasSubstr("Usage:"));
  std::size_t options = 0;
  for (const auto& line : run.lines()) {
    if (line.rfind("  -", 0) != 0) continue;
    ++options;
    if (line.rfind("  -h,--help ", 0) != 0 && line.rfind("  --version ", 0) != 0) {
      EXPECT_THAT(line, HasSubstr("(Env:ROWCALL_"));
    }
  }
  EXPECT_GE(options, 1u) << "at least --help: " << run.out;
}

INSTANTIATE_TEST_SUITE_P(
    help, every_subcommand,
    ::testing::Values(std::vector<std::string>{}, std::vector<std::string>{"serve"},
                      std::vector<std::string>{"migrate"}, std::vector<std::string>{"migrate", "up"},
                      std::vector<std::string>{"migrate", "down"}, std::vector<std::string>{"migrate", "status"},
                      std::vector<std::string>{"submit"}, std::vector<std::string>{"follow"},
                      std::vector<std::string>{"status"}, std::vector<std::string>{"top"},
                      std::vector<std::string>{"cleanup"}, std::vector<std::string>{"dead"},
                      std::vector<std::string>{"dead", "list"}, std::vector<std::string>{"dead", "show"},
                      std::vector<std::string>{"dead", "redrive"}, std::vector<std::string>{"dead", "drop"},
                      std::vector<std::string>{"dead", "park"},
                      std::vector<std::string>{"doctor"}, std::vector<std::string>{"restored"},
                      std::vector<std::string>{"chat"}, std::vector<std::string>{"gateway"},
                      std::vector<std::string>{"token"}, std::vector<std::string>{"token", "issue"},
                      std::vector<std::string>{"token", "inspect"}, std::vector<std::string>{"demo"}));

TEST(command_line, names_the_environment_variable_of_every_option) {
  EXPECT_THAT(run_rowcall({"--help"}).out,
              AllOf(HasSubstr("ROWCALL_DATABASE_URL"), HasSubstr("ROWCALL_NATS_URL"), HasSubstr("ROWCALL_LOG_LEVEL"),
                    HasSubstr("ROWCALL_JSON"), HasSubstr("ROWCALL_CONFIG")));
  EXPECT_THAT(run_rowcall({"serve", "--help"}).out,
              AllOf(HasSubstr("ROWCALL_SERVE_WORKERS"), HasSubstr("ROWCALL_SERVE_SWEEP_INTERVAL")));
  EXPECT_THAT(run_rowcall({"migrate", "down", "--help"}).out, HasSubstr("ROWCALL_MIGRATE_DOWN_TO"));
}

TEST(command_line, tells_its_version) {
  const auto run = run_rowcall({"--version"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.out, ::testing::MatchesRegex("rowcall [0-9.]+\n"));
}

TEST(command_line, refuses_nonsense_with_exit_code_2) {
  for (const auto& arguments : {std::vector<std::string>{},
                                {"nonsense"},
                                {"status", "--nonsense"},
                                {"submit", "echo-1"},
                                {"follow", "echo-1", "--after", "x"},
                                {"follow", "echo-1", "--after", "-1"},
                                {"follow", "echo-1", "--after", "9223372036854775808", "--once"},
                                {"follow", "echo-1", "--after", "0x10"},
                                {"follow", "echo-1", "--count", "0"},
                                {"follow", "echo-1", "--count", "18446744073709551616"},
                                {"migrate", "down", "--to", "-1"},
                                {"migrate", "down", "--to", "2147483648"},
                                {"status", "--watch", "--interval", "0s"},
                                {"top", "--interval", "99ms"},
                                {"cleanup"},
                                {"cleanup", "--older-than", "soon"},
                                {"cleanup", "--older-than", "900ms"},
                                {"cleanup", "--older-than", "1500ms"},
                                {"serve", "--retention", "500ms"},
                                {"dead", "show", "echo-1", "0"},
                                {"dead", "show", "echo-1", "9223372036854775808"},
                                {"dead"},
                                {"dead", "park"},
                                {"dead", "park", "--kind", "no-kind"},
                                {"serve", "--workers", "0"},
                                {"--log-level", "loud", "status"},
                                {"--log-format", "xml", "status"},
                                {"serve", "--database", "postgresql://127.0.0.1:1/x", "--metrics-listen", "9464x"},
                                {"chat"}}) {
    const auto run = run_rowcall(arguments);
    EXPECT_EQ(run.exit_code, 2) << ::testing::PrintToString(arguments) << run.err;
    EXPECT_THAT(run.err, HasSubstr("rowcall: ")) << ::testing::PrintToString(arguments);
    EXPECT_LT(run.err.size(), 300u) << "for people: " << run.err;
  }
}

TEST(command_line, takes_numbers_to_the_end_of_their_range) {
  for (const auto& arguments : {std::vector<std::string>{"follow", "echo-1", "--after", "9223372036854775807"},
                                {"follow", "echo-1", "--after", "010", "--count", "18446744073709551615"},
                                {"dead", "show", "echo-1", "9223372036854775807"},
                                {"migrate", "down", "--to", "2147483647"},
                                {"status", "--watch", "--interval", "100ms"},
                                {"cleanup", "--older-than", "1s"}}) {
    auto all = arguments;
    all.insert(all.end(), {"--database", "postgresql://127.0.0.1:1/x", "--connect-timeout", "1s"});
    EXPECT_EQ(run_rowcall(all).exit_code, 1)
        << ::testing::PrintToString(arguments) << "read; there is just no database";
  }
}

TEST(command_line, fails_when_its_output_could_not_be_written) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  auto run = run_rowcall_into(full, {"token", "issue", "--development", "--user", "ann"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(run.err, "rowcall: the output could not be written: No space left on device\n");
  run = run_rowcall_into(full, {"--version"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("the output could not be written"));
  close(full);
}

TEST(command_line, is_quiet_about_a_reader_who_has_gone) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  close(ends[0]);
  const auto run = run_rowcall_into(ends[1], {"token", "issue", "--development", "--user", "ann"});
  close(ends[1]);
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.err, "");
}

TEST(command_line, names_a_command_that_does_not_exist) {
  EXPECT_THAT(run_rowcall({"nonsense"}).err, HasSubstr("there is no command 'nonsense'"));
}

TEST(command_line, says_what_to_do_when_no_database_is_configured) {
  const auto run = run_rowcall({"status"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, AllOf(HasSubstr("ROWCALL_DATABASE_URL"), HasSubstr("./run services")));
}

TEST(command_line, names_an_unreachable_database_without_its_password) {
  const auto run = run_rowcall({"status", "--database", "postgresql://ann:sesame@127.0.0.1:1/rowcall"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, AllOf(HasSubstr("127.0.0.1:1/rowcall"), HasSubstr("./run services"), Not(HasSubstr("sesame"))));
}

TEST(command_line, takes_options_from_the_environment) {
  const auto run = run_rowcall({"status"}, {"ROWCALL_DATABASE_URL=postgresql://ann@127.0.0.1:1/from_environment"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("from_environment"));
  EXPECT_EQ(run_rowcall({"serve"}, {"ROWCALL_SERVE_WORKERS=0"}).exit_code, 2);
}

TEST(command_line, takes_options_from_a_file_that_the_environment_overrides_and_flags_override_both) {
  const auto file = write_file("database = \"postgresql://ann@127.0.0.1:1/from_file\"\n");
  EXPECT_THAT(run_rowcall({"--config", file, "status"}).err, HasSubstr("from_file"));
  EXPECT_THAT(run_rowcall({"status"}, {"ROWCALL_CONFIG=" + file}).err, HasSubstr("from_file"));
  const std::string environment = "ROWCALL_DATABASE_URL=postgresql://ann@127.0.0.1:1/from_environment";
  EXPECT_THAT(run_rowcall({"--config", file, "status"}, {environment}).err, HasSubstr("from_environment"));
  EXPECT_THAT(
      run_rowcall({"--config", file, "status", "--database", "postgresql://ann@127.0.0.1:1/from_flag"}, {environment})
          .err,
      HasSubstr("from_flag"));
}

TEST(command_line, refuses_a_file_that_is_missing_or_has_an_unknown_key) {
  EXPECT_EQ(run_rowcall({"--config", "/nonexistent", "status"}).exit_code, 2);
  EXPECT_EQ(run_rowcall({"status"}, {"ROWCALL_CONFIG=/nonexistent"}).exit_code, 2);
  const auto run = run_rowcall({"--config", write_file("databse = \"x\"\n"), "status"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("databse"));
  EXPECT_EQ(run_rowcall({"--config", write_file("[serve]\nworkerz = 2\n"), "status"}).exit_code, 2);
}

TEST(command_line, says_what_is_wrong_in_which_file) {
  const auto file = write_file("[serve]\nworker = 2\n");
  const auto run = run_rowcall({"--config", file, "status"});
  EXPECT_EQ(run.err, "rowcall: " + file + ": unknown key serve.worker\nSee `rowcall serve --help`.\n");
  const auto section = write_file("[engine]\nworkers = 2\n");
  EXPECT_EQ(run_rowcall({"status"}, {"ROWCALL_CONFIG=" + section}).err,
            "rowcall: " + section + ": unknown section [engine]\nSee `rowcall --help`.\n");
  const auto value = write_file("[serve]\nworkers = many\n");
  EXPECT_THAT(run_rowcall({"--config", value, "status"}).err,
              AllOf(HasSubstr("(from serve.workers in " + value + ")"), HasSubstr("See `rowcall serve --help`.")));
}

TEST(command_line, says_which_variable_is_wrong) {
  const auto run = run_rowcall({"status"}, {"ROWCALL_SERVE_WORKERS=abc", "ROWCALL_TOP_INTERVAL=1s"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, AllOf(HasSubstr("abc"), HasSubstr("(from the variable ROWCALL_SERVE_WORKERS)"),
                             HasSubstr("See `rowcall serve --help`.")));
  const auto same_name = run_rowcall({"status"}, {"ROWCALL_STATUS_INTERVAL=1s", "ROWCALL_TOP_INTERVAL=often"});
  EXPECT_THAT(same_name.err, HasSubstr("(from the variable ROWCALL_TOP_INTERVAL)"));
  const auto given = run_rowcall({"serve", "--workers", "abc"}, {"ROWCALL_SERVE_WORKERS=2"});
  EXPECT_THAT(given.err, AllOf(HasSubstr("abc"), Not(HasSubstr("variable"))));
}

TEST(command_line, points_to_the_help_of_the_subcommand_that_was_meant) {
  EXPECT_THAT(run_rowcall({"dead", "show", "echo-1", "x"}).err, HasSubstr("See `rowcall dead show --help`."));
  EXPECT_THAT(run_rowcall({"migrate", "down", "--to", "x"}).err, HasSubstr("See `rowcall migrate down --help`."));
  EXPECT_THAT(run_rowcall({"token", "issue", "--lifetime", "x"}).err, HasSubstr("See `rowcall token issue --help`."));
}

/// An idempotency key that stays would make every later command a duplicate of the first.
TEST(command_line, does_not_take_what_belongs_to_one_call_from_a_file) {
  const auto file = write_file("[submit]\nkey = \"k\"\n");
  const auto run = run_rowcall({"--config", file, "status"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr(file + ": submit.key can not be given in a file"));
}

TEST(command_line, does_not_take_a_directory_for_a_file_of_data) {
  const auto run = run_rowcall({"submit", "--database", "postgresql://127.0.0.1:1/x", "echo-1", "say", "@/tmp"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("/tmp is a directory"));
}

TEST(command_line, does_not_take_a_bare_number_for_a_duration) {
  const auto run = run_rowcall({"cleanup", "--older-than", "7", "--database", "postgresql://127.0.0.1:1/x"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("7 is not a duration: write a number and a unit"));
}

TEST(command_line, reads_the_example_configuration) {
  const auto run = run_rowcall({"--config", ROWCALL_SOURCE_DIR "/rowcall.example.conf", "--database",
                                "postgresql://ann@127.0.0.1:1/x", "status"});
  EXPECT_EQ(run.exit_code, 1) << run.err;  // read; there is just no database
  EXPECT_THAT(run.err, HasSubstr("cannot reach the database"));
}

/// Option -> default, as `--help` prints them; "" without one.
std::map<std::string, std::string> options_of(const std::string& subcommand) {
  const auto run = run_rowcall(subcommand.empty() ? std::vector<std::string>{"--help"}
                                                  : std::vector<std::string>{subcommand, "--help"});
  const std::regex option{"  (?:-[a-z],)?--([a-z-]+)[^=(]*(=(.*))? \\(Env:[A-Z_]+\\).*"};
  std::map<std::string, std::string> found;
  for (const auto& line : run.lines())
    if (std::smatch m; std::regex_match(line, m, option)) found[m[1]] = m[3];
  return found;
}

struct example {
  std::map<std::string, std::map<std::string, std::string>> values;  ///< by section ("": of all programs) and key
  std::map<std::string, std::set<std::string>> without_default;      ///< what is commented out
};

example read_example() {
  std::ifstream file{ROWCALL_SOURCE_DIR "/rowcall.example.conf"};
  const std::regex assignment{R"re((# )?([a-z-]+) = (?:"([^"]*)"|(\S+)))re"}, heading{R"(\[([a-z]+)\])"};
  example e;
  std::string section;
  for (std::string line; std::getline(file, line);) {
    std::smatch m;
    if (std::regex_match(line, m, heading))
      section = m[1];
    else if (!std::regex_match(line, m, assignment))
      EXPECT_TRUE(line.empty() || line.starts_with('#')) << line;
    else if (m[1].matched)
      e.without_default[section].insert(m[2]);
    else
      e.values[section][m[2]] = m[3].matched ? m[3] : m[4];
  }
  return e;
}

TEST(command_line, has_the_defaults_that_the_example_configuration_shows) {
  auto shown = read_example();
  EXPECT_EQ(shown.values[""].erase("database"), 1U);  // there is none
  for (const auto& [section, values] : shown.values) {
    const auto options = options_of(section);
    for (const auto& [key, value] : values) {
      ASSERT_TRUE(options.contains(key)) << section << ' ' << key;
      EXPECT_EQ(options.at(key), value == "false" ? "" : value) << section << ' ' << key;
    }
    for (const auto& key : shown.without_default[section]) {
      ASSERT_TRUE(options.contains(key)) << section << ' ' << key;
      EXPECT_EQ(options.at(key), "") << section << ' ' << key << " has a default";
    }
  }
}

TEST(command_line, has_no_option_of_a_program_that_stays_up_that_the_example_configuration_does_not_show) {
  auto shown = read_example();
  for (const std::string section : {"", "serve", "gateway"}) {
    auto options = options_of(section);
    EXPECT_GT(options.size(), 8U) << section;
    for (const auto* of_one_call : {"config", "json"}) options.erase(of_one_call);
    for (const auto& [key, value] : options)
      EXPECT_TRUE(shown.values[section].contains(key) || shown.without_default[section].contains(key))
          << section << ' ' << key;
  }
}

TEST(command_line, refuses_an_invalid_user_name) {
  EXPECT_EQ(run_rowcall({"chat", "--user", "ann lee", "--database", "postgresql://127.0.0.1:1/x"}).exit_code, 2);
}

/// Refused before anything is sent: the database that is named does not exist, and nobody notices.
struct bad_input {
  const char* name;
  std::string session, type, data, message;
};

class bad_submit : public ::testing::TestWithParam<bad_input> {};

TEST_P(bad_submit, is_refused_with_exit_code_2_and_a_reason) {
  const auto& p = GetParam();
  const auto run =
      run_rowcall({"submit", "--database", "postgresql://127.0.0.1:1/x", "--", p.session, p.type, "-"}, {}, p.data);
  EXPECT_EQ(run.exit_code, 2) << run.err;
  EXPECT_THAT(run.err, HasSubstr(p.message));
  EXPECT_EQ(run.out, "");
}

INSTANTIATE_TEST_SUITE_P(
    submit, bad_submit,
    ::testing::Values(bad_input{"session_too_short", "e-", "t", "{}", "3 to 64"},
                      bad_input{"session_without_kind", "echo", "t", "{}", "<kind>-<name>"},
                      bad_input{"session_with_nats_wildcard", "echo-*", "t", "{}", "characters"},
                      bad_input{"session_with_dot", "echo-a.b", "t", "{}", "characters"},
                      bad_input{"session_too_long", "echo-" + std::string(70, 'x'), "t", "{}", "3 to 64"},
                      bad_input{"type_with_blank", "echo-1", "a b", "{}", "type"},
                      bad_input{"malformed_json", "echo-1", "t", "{\"a\":", "JSON"},
                      bad_input{"no_object", "echo-1", "t", "[1]", "object"},
                      bad_input{"empty", "echo-1", "t", " ", "JSON"},
                      bad_input{"nested_too_deep", "echo-1", "t",
                                "{\"a\":" + std::string(10'000, '[') + std::string(10'000, ']') + "}", "nested"},
                      bad_input{"invalid_utf8", "echo-1", "t", "{\"a\":\"\xff\"}", "UTF-8"},
                      bad_input{"integer_past_64_bits", "echo-1", "t", "{\"n\":123456789012345678901234567890}",
                                "number"},
                      bad_input{"nul", "echo-1", "t", "{\"a\":\"\\u0000\"}", "NUL"},
                      bad_input{"too_large", "echo-1", "t", "{\"a\":\"" + std::string(70'000, 'x') + "\"}", "limit"}),
    [](const auto& info) { return std::string{info.param.name}; });

}  // namespace
}  // namespace rowcall::test
