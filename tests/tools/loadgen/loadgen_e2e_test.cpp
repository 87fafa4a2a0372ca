#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/json.hpp"
#include "tests/e2e/deployment.hpp"
#include "tests/support/eventually.hpp"

/// The program against real engines on the real servers.
namespace rowcall::e2e {
namespace {

using namespace std::chrono_literals;

std::string text_of(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct loadgen_e2e_test : testing::Test {
  support::database database = support::fresh_database();
  deployment d = deployment::shared(database);
  std::string directory = support::make_directory();
  engine::json::parser parser;

  std::string file(const std::string& name) const { return directory + "/" + name; }
  support::process start(std::vector<std::string> arguments) {
    std::vector<std::string> argv{ROWCALL_LOADGEN_PROGRAM, "--database",   d.database_url, "--nats",
                                  d.nats_url,              "--subject-prefix", d.prefix,   "--json", directory + "/report.json"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    support::process::options how;
    how.output = directory + "/output";
    return support::process(argv, how);
  }
  int run(std::vector<std::string> arguments) {
    auto p = start(std::move(arguments));
    const auto code = p.wait(60s);
    EXPECT_TRUE(code.has_value()) << text_of(directory + "/output");
    return code.value_or(-1);
  }
  engine::json::object report(const std::string& name = "report.json") {
    const auto o = parser.parse_object(text_of(file(name)));
    EXPECT_TRUE(o.has_value()) << text_of(directory + "/output");
    return o ? *o : engine::json::object{};
  }
  static std::int64_t number(const engine::json::object& o, std::string_view key) {
    return engine::json::int_at(o, key).value_or(-1);
  }
  static std::string config(const engine::json::object& o, std::string_view key) {
    std::string_view value;
    return o["config"][key].get_string().get(value) == simdjson::SUCCESS ? std::string(value) : "(none)";
  }
  /// A second of an echo-like load, 100 commands unless the arguments say something else, all of which must be
  /// followed.
  engine::json::object run_briefly(std::vector<std::string> arguments, std::int64_t commands = 100) {
    std::vector<std::string> all{"--rate", "100", "--duration", "1s", "--warm-up", "0s", "--sessions", "20"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    EXPECT_EQ(run(all), 0) << text_of(file("output"));
    const auto o = report();
    EXPECT_EQ(number(o, "followed"), commands);
    EXPECT_EQ(number(o, "errors"), 0);
    expect_clean(o);
    return o;
  }
  void expect_clean(const engine::json::object& o) {
    for (const char* key : {"lost", "duplicated", "reordered", "gaps"})
      EXPECT_EQ(number(o, key), 0) << key << '\n' << text_of(directory + "/output");
  }
};

TEST_F(loadgen_e2e_test, a_run_is_answered_and_agrees_with_the_database) {
  engine_process engine(d);
  engine.wait_ready();
  EXPECT_EQ(run({"--rate", "200", "--duration", "2s", "--warm-up", "0s", "--sessions", "20"}), 0);
  const auto o = report();
  EXPECT_EQ(number(o, "followed"), 400);
  expect_clean(o);
  expect_every_command_answered_once(d, 400);
  for (const char* who : {"engine", "postgresql", "nats", "generator"})
    EXPECT_TRUE(o["cpu"][who].is_number()) << who << ": its CPU is not in the report";
}

TEST_F(loadgen_e2e_test, a_chat_is_followed_by_all_its_members) {
  engine_process engine(d);
  engine.wait_ready();
  EXPECT_EQ(run({"--scenario", "chat", "--chat-users", "10", "--room-users", "5", "--rate", "100", "--duration", "2s", "--warm-up",
                 "0s", "--fail-if", "rejected>0"}),
            0)
      << text_of(directory + "/output");
  expect_clean(report());
}

TEST_F(loadgen_e2e_test, bursts_come_at_one_instant_and_are_answered) {
  engine_process engine(d);
  engine.wait_ready();
  const auto o = run_briefly({"--scenario", "burst", "--burst", "50"});
  EXPECT_EQ(config(o, "arrival"), "burst");
  EXPECT_EQ(config(o, "burst"), "50");
  expect_every_command_answered_once(d, 100);
}

TEST_F(loadgen_e2e_test, churning_sessions_are_replaced_after_their_commands) {
  engine_process engine(d);
  engine.wait_ready();
  const auto o = run_briefly({"--scenario", "churn", "--session-commands", "4", "--keys", "sequential"});
  EXPECT_EQ(config(o, "session_commands"), "4");
  expect_every_command_answered_once(d, 100);
  EXPECT_GE(std::stoi(d.value("SELECT count(DISTINCT session_id) FROM rowcall.command_log")), 25);
}

TEST_F(loadgen_e2e_test, a_reconnect_storm_loses_nothing) {
  engine_process engine(d);
  engine.wait_ready();
  const auto o = run_briefly({"--scenario", "reconnect-storm", "--reconnect-every", "300ms", "--followers", "2"});
  EXPECT_EQ(config(o, "reconnect_every_ms"), "300");
  expect_every_command_answered_once(d, 100);
}

TEST_F(loadgen_e2e_test, a_scenario_file_is_a_mix_of_ones_own_and_stands_in_the_report) {
  engine_process engine(d);
  engine.wait_ready();
  const std::string mix =
      R"({"sessions": 5, "keys": "hot:0.5", "setup": [{"type": "say", "data": {"hello": "${session}"}}],
    "commands": [{"type": "say", "weight": 3, "size": "5..50", "data": {"text": "${text}"}},
                 {"type": "shout", "data": "{\"n\":${n}}"}]})";
  std::ofstream(file("mix.json")) << mix;
  const auto o = run_briefly({"--scenario-file", file("mix.json")});
  EXPECT_EQ(config(o, "scenario"), file("mix.json"));
  EXPECT_EQ(config(o, "scenario_file"), mix);
  expect_every_command_answered_once(d, 105);
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.command_log WHERE data->>'hello' IS NOT NULL"), "5");
  EXPECT_NE(d.value("SELECT count(*) FROM rowcall.command_log WHERE type = 'shout'"), "0");
}

TEST_F(loadgen_e2e_test, a_closed_loop_of_users_who_think_is_answered) {
  engine_process engine(d);
  engine.wait_ready();
  EXPECT_EQ(run({"--closed", "5", "--think", "20ms", "--think-random", "--duration", "1s", "--warm-up", "0s",
                 "--sessions", "20"}),
            0);
  const auto o = report();
  EXPECT_GE(number(o, "followed"), 5) << "each user at least once";
  EXPECT_EQ(number(o, "followed"), number(o, "submitted"));
  expect_clean(o);
  EXPECT_EQ(config(o, "loop"), "closed");
  EXPECT_EQ(config(o, "think_random"), "yes");
}

TEST_F(loadgen_e2e_test, stages_are_told_apart_and_written_as_csv_and_html) {
  engine_process engine(d);
  engine.wait_ready();
  const auto o = run_briefly({"--stages", "400ms@50,600ms@50..150", "--arrival", "fixed", "--csv", file("seconds.csv"),
                              "--html", file("run.html")},
                             80);
  simdjson::dom::array stages;
  ASSERT_EQ(o["stages"].get_array().get(stages), simdjson::SUCCESS);
  std::vector<std::int64_t> followed;
  for (const engine::json::value v : stages) followed.push_back(number(v.get_object().value(), "followed"));
  EXPECT_EQ(followed, (std::vector<std::int64_t>{20, 60}));
  const std::string csv = text_of(file("seconds.csv"));
  EXPECT_EQ(csv.rfind("second,", 0), 0u) << csv;
  EXPECT_GE(std::count(csv.begin(), csv.end(), '\n'), 2) << csv;
  EXPECT_THAT(text_of(file("run.html")),
              testing::AllOf(testing::HasSubstr("<svg"), testing::HasSubstr("50..150"), testing::HasSubstr("</html>")));
}

TEST_F(loadgen_e2e_test, the_same_seed_sends_the_same_commands_and_a_run_name_goes_on_with_its_sessions) {
  engine_process engine(d);
  engine.wait_ready();
  const std::vector<std::string> again{"--run",        "again", "--seed", "7", "--count", "60", "--idempotency-keys",
                                       "--submitters", "3"};
  std::vector<std::string> digests;
  for (int i = 0; i < 2; ++i) {
    const auto o = run_briefly(again, 60);
    digests.emplace_back(engine::json::string_at(o, "commands_digest").value_or(""));
    for (const auto& [key, value] : {std::pair{"run", "again"},
                                     {"seed", "7"},
                                     {"count", "60"},
                                     {"submitters", "3"},
                                     {"idempotency_keys", "yes"},
                                     {"drain", "30s"},
                                     {"subject_prefix", d.prefix.c_str()}})
      EXPECT_EQ(config(o, key), value) << key;
  }
  EXPECT_EQ(digests[0], digests[1]);
  expect_every_command_answered_once(d, 120);
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.command_log WHERE session_id LIKE 'echo-again-%' AND idempotency_key "
                    "IS NOT NULL"),
            "120");
  // Each session has the same commands twice, the second run's after the first one's.
  EXPECT_EQ(d.value("SELECT count(*) FROM (SELECT session_id, count(*) AS n, count(DISTINCT data::text) AS different "
                    "FROM rowcall.command_log "
                    "GROUP BY 1) s WHERE n <> 2 * different"),
            "0");
}

TEST_F(loadgen_e2e_test, reports_of_several_processes_are_merged_and_judged_together) {
  engine_process engine(d);
  engine.wait_ready();
  for (const char* name : {"a.json", "b.json"}) {
    run_briefly({"--count", "40"}, 40);
    std::filesystem::rename(file("report.json"), file(name));
  }
  EXPECT_EQ(run({"merge", file("a.json"), file("b.json"), "--json", file("both.json"), "--html", file("both.html")}),
            0);
  const auto o = report("both.json");
  EXPECT_EQ(number(o, "processes"), 2);
  EXPECT_EQ(number(o, "followed"), 80);
  expect_clean(o);
  EXPECT_THAT(text_of(file("both.html")), testing::HasSubstr("<svg"));
  EXPECT_EQ(run({"merge", file("a.json"), file("b.json"), "--fail-if", "followed>79"}), 7);
}

TEST_F(loadgen_e2e_test, find_max_names_a_rate_that_holds) {
  engine_process engine(d);
  engine.wait_ready();
  // One command at a time on its way: so the search ends at some hundred a second and not at the machine's limit.
  EXPECT_EQ(
      run({"--find-max", "--rate", "20", "--step", "500ms", "--p99", "5s", "--in-flight-max", "1", "--sessions", "5"}),
      0)
      << text_of(file("output"));
  const auto o = report();
  EXPECT_TRUE(o["max_rate_per_s"].is_number()) << text_of(file("output"));
  EXPECT_GT(o["search"].get_array().value().size(), 1u);
  expect_clean(o);
}

TEST_F(loadgen_e2e_test, find_max_fails_when_no_rate_holds) {
  engine_process engine(d);
  engine.wait_ready();
  EXPECT_EQ(run({"--find-max", "--rate", "10", "--step", "500ms", "--p99", "1us", "--sessions", "5"}), 7)
      << text_of(file("output"));
  const auto o = report();
  EXPECT_TRUE(o["max_rate_per_s"].is_null());
  expect_clean(o);
}

TEST_F(loadgen_e2e_test, an_engine_killed_and_started_again_under_load_loses_nothing) {
  auto engine = std::make_unique<engine_process>(d);
  engine->wait_ready();
  auto load = start({"--rate", "300", "--duration", "4s", "--warm-up", "0s", "--sessions", "20"});
  ASSERT_TRUE(support::eventually(30s, [&] { return d.value("SELECT count(*) > 200 FROM rowcall.update_log") == "t"; }));
  engine->process().kill9();
  engine = std::make_unique<engine_process>(d);
  engine->wait_ready();
  const auto code = load.wait(90s);
  ASSERT_TRUE(code.has_value());
  EXPECT_EQ(*code, 0) << text_of(directory + "/output");
  const auto o = report();
  EXPECT_EQ(number(o, "followed"), 1200);
  expect_clean(o);
}

TEST_F(loadgen_e2e_test, an_interrupt_ends_the_load_and_still_reports) {
  engine_process engine(d);
  engine.wait_ready();
  auto load = start({"--rate", "100", "--duration", "10m", "--warm-up", "0s", "--sessions", "5"});
  ASSERT_TRUE(support::eventually(30s, [&] { return d.value("SELECT count(*) > 50 FROM rowcall.update_log") == "t"; }));
  load.signal(SIGINT);
  const auto code = load.wait(30s);
  ASSERT_TRUE(code.has_value());
  EXPECT_EQ(*code, 0) << text_of(directory + "/output");
  const auto o = report();
  EXPECT_GT(number(o, "followed"), 50);
  EXPECT_EQ(number(o, "followed"), number(o, "submitted"));
  expect_clean(o);
}

TEST_F(loadgen_e2e_test, bad_input_is_refused_before_anything_is_sent) {
  EXPECT_EQ(run({"--rate", "x"}), 2);
  EXPECT_EQ(run({"--fail-if", "p98>1ms"}), 2);
  EXPECT_EQ(run({"--scenario", "nope"}), 2);
  EXPECT_EQ(run({"--no-such-option"}), 2);
  EXPECT_EQ(run({"merge", directory + "/nothing.json"}), 2);
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.command_log"), "0");
}

TEST_F(loadgen_e2e_test, the_deployment_is_read_from_the_same_variables_as_by_the_engine) {
  EXPECT_EQ(run({"--help"}), 0);
  // With another prefix than the engine's nothing is lost, but every latency is that of the sweep and of polling.
  EXPECT_THAT(text_of(directory + "/output"),
              testing::AllOf(testing::HasSubstr("Env:ROWCALL_DATABASE_URL"), testing::HasSubstr("Env:ROWCALL_NATS_URL"),
                             testing::HasSubstr("Env:ROWCALL_SUBJECT_PREFIX")));
}

}  // namespace
}  // namespace rowcall::e2e
