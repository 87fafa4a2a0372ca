#include <gmock/gmock.h>
#include <signal.h>

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
  engine::json::object report() {
    const auto o = parser.parse_object(text_of(directory + "/report.json"));
    EXPECT_TRUE(o.has_value()) << text_of(directory + "/output");
    return o ? *o : engine::json::object{};
  }
  static std::int64_t number(const engine::json::object& o, std::string_view key) {
    return engine::json::int_at(o, key).value_or(-1);
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
