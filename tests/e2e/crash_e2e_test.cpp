#include <gtest/gtest.h>
#include <signal.h>

#include <set>
#include <thread>

#include "tests/e2e/deployment.hpp"
#include "tests/e2e/witness.hpp"
#include "tests/support/eventually.hpp"

/// Engines that die, stop, or are refused at COMMIT.
namespace rowcall::e2e {
namespace {

using namespace std::chrono_literals;
using support::eventually;

struct crash_e2e_test : testing::Test {
  support::database database = support::fresh_database();
  deployment d = deployment::shared(database);
  std::unique_ptr<engine::bus> bus = d.connect();
  std::unique_ptr<client::submitter> submitter = make_submitter(d, *bus);
  witness seen{d, *bus};

  void submit_many(std::size_t commands, std::size_t sessions) {
    std::vector<engine::command_request> batch;
    for (std::size_t i = 0; i < sessions; ++i) seen.follow("echo-" + std::to_string(i));
    for (std::size_t i = 0; i < commands; ++i)
      batch.push_back({id("echo-" + std::to_string(i % sessions)), "say", {}, {}});
    for (auto& o : seen.submit(*submitter, std::move(batch))) ASSERT_TRUE(o) << o.error().message;
  }
  /// Whatever has died: each command once, and the checker is satisfied.
  void expect_promise_kept(std::size_t commands) {
    expect_every_command_answered_once(d, commands);
    EXPECT_EQ(seen.breaches(), "");
  }
  bool a_turn_waits_for_a_lock(support::sql_connection& c) {
    return eventually(10s, [&] {
      return c.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation' AND relation = "
                     "'rowcall.update_log'::regclass") != "0";
    });
  }
};

TEST_F(crash_e2e_test, an_engine_killed_in_the_middle_of_a_turn_leaves_nothing_half_done) {
  auto engine = std::make_unique<engine_process>(d);
  engine->wait_ready();
  support::sql_connection blocker(d.database_url), watcher(d.database_url);
  blocker.query("BEGIN; LOCK TABLE rowcall.update_log IN SHARE MODE");
  submit_many(100, 10);
  ASSERT_TRUE(a_turn_waits_for_a_lock(watcher)) << "claimed and decided, about to append";
  engine->process().kill9();
  blocker.query("ROLLBACK");
  // Its session on the server ends by itself; what it had decided is not written.
  engine_process next(d);
  next.wait_ready();
  ASSERT_TRUE(drained(d));
  expect_promise_kept(100);
}

TEST_F(crash_e2e_test, killed_again_and_again_under_load_no_command_is_lost_or_doubled) {
  std::unique_ptr<engine_process> engine;
  for (int round = 0; round < 5; ++round) {
    engine = std::make_unique<engine_process>(d, std::vector<std::string>{"--retry-attempts-max", "100"});
    engine->wait_ready();
    submit_many(2'000, 50);
    engine->process().kill9();
  }
  engine = std::make_unique<engine_process>(d, std::vector<std::string>{"--retry-attempts-max", "100"});
  ASSERT_TRUE(drained(d));
  expect_promise_kept(10'000);
}

TEST_F(crash_e2e_test, a_transaction_refused_at_commit_is_decided_again) {
  engine_process engine(d);
  engine.wait_ready();
  d.sql("CREATE SEQUENCE refusals; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF nextval('refusals') <= 3 THEN RAISE EXCEPTION 'refused at commit' USING ERRCODE = 'serialization_failure'; "
        "END IF; RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER refuse_first AFTER INSERT ON rowcall.update_log DEFERRABLE "
        "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()");
  submit_many(20, 10);
  ASSERT_TRUE(drained(d));
  EXPECT_GT(std::stoi(d.value("SELECT last_value FROM refusals")), 3);
  expect_promise_kept(20);
}

TEST_F(crash_e2e_test, the_sessions_of_a_stopped_engine_are_served_by_another_within_the_transaction_timeout) {
  engine_process stopped(d, {"--transaction-timeout", "1s"});
  stopped.wait_ready();
  support::sql_connection blocker(d.database_url), watcher(d.database_url);
  blocker.query("BEGIN; LOCK TABLE rowcall.update_log IN SHARE MODE");
  submit_many(200, 40);
  ASSERT_TRUE(a_turn_waits_for_a_lock(watcher));
  stopped.process().signal(SIGSTOP);  // it holds its shards, in the middle of a turn
  blocker.query("ROLLBACK");
  engine_process other(d, {"--transaction-timeout", "1s"});
  other.wait_ready();
  EXPECT_TRUE(drained(d, 15s));
  stopped.process().signal(SIGCONT);  // wakes up past its transaction's end: what it decided is void
  submit_many(200, 40);
  ASSERT_TRUE(drained(d));
  expect_promise_kept(400);
}

TEST_F(crash_e2e_test, commands_sent_between_sessions_arrive_once_although_engines_die) {
  auto engine = std::make_unique<engine_process>(d);
  engine->wait_ready();
  for (int round = 0; round < 4; ++round) {
    std::vector<engine::command_request> batch;
    for (int i = 0; i < 200; ++i)
      batch.push_back({id("echo-from" + std::to_string(i % 10)), "send",
                       R"({"to":"echo-to","type":"say","data":{"n":)" + std::to_string(i) + "}}", {}});
    for (auto& o : submitter->submit(std::move(batch))) ASSERT_TRUE(o) << o.error().message;
    engine->process().kill9();
    engine = std::make_unique<engine_process>(d, std::vector<std::string>{"--retry-attempts-max", "100"});
    engine->wait_ready();
  }
  ASSERT_TRUE(drained(d));
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.command_log WHERE session_id = 'echo-to'"), "800");
  EXPECT_EQ(d.value("SELECT count(*) || ' ' || max(seq) FROM rowcall.update_log WHERE session_id = 'echo-to'"), "800 800");
}

/// Engines that end again and again, and are started again each time.
struct deadly_command_e2e_test : crash_e2e_test {
  static constexpr auto misbehaving = engine_process::program::misbehaving;
  std::vector<std::string> arguments{"--retry-attempts-max", "4"};
  std::vector<std::unique_ptr<engine_process>> engines;
  std::set<int> exit_codes;
  std::string log;  ///< of the last one that died

  void submit(const std::string& session, const std::string& type) {
    auto o = submitter->submit(engine::command_request{id(session), type, "{}", {}});
    ASSERT_TRUE(o) << o.error().message;
  }
  /// Starts those again that have ended; how many.
  int start_again() {
    int deaths = 0;
    for (auto& e : engines) {
      if (e->process().running()) continue;
      exit_codes.insert(e->process().wait(1s).value_or(-1));
      log = e->log();
      e = std::make_unique<engine_process>(d, arguments, misbehaving);
      ++deaths;
    }
    return deaths;
  }
  /// `deadly` stands between two harmless commands of its session, and others come in all the while: only it is parked,
  /// after at least as many deaths as attempts are allowed without the one that is counted when it is parked.
  void expect_parked(const std::string& deadly, int engine_count) {
    for (int i = 0; i < engine_count; ++i)
      engines.push_back(std::make_unique<engine_process>(d, arguments, misbehaving));
    for (auto& e : engines) e->wait_ready();
    submit("crashing-a", "ok");
    submit("crashing-a", deadly);
    submit("crashing-a", "ok");
    int deaths = 0, beside = 0;
    ASSERT_TRUE(eventually(60s, [&] {
      if (const int ended = start_again(); ended > 0) {
        deaths += ended;
        submit("echo-" + std::to_string(beside++ % 5), "say");
      }
      return d.value("SELECT count(*) FROM rowcall.dead_letters") != "0";
    })) << log;
    EXPECT_GE(deaths, 3) << "it was tried again";
    EXPECT_LE(deaths, 8 * engine_count) << "and not for ever";
    ASSERT_TRUE(drained(d, 10s));
    for (auto& e : engines) EXPECT_TRUE(e->process().running()) << e->log();
    EXPECT_EQ(d.value("SELECT string_agg(session_id || '/' || command_seq, ' ') FROM rowcall.dead_letters"),
              "crashing-a/2")
        << "and none of those that were served beside it";
    EXPECT_EQ(
        d.value("SELECT string_agg(type, ' ' ORDER BY seq) FROM rowcall.update_log WHERE session_id = 'crashing-a'"),
        "command_done command_failed command_done");
    EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.update_log WHERE session_id LIKE 'echo-%'"),
              std::to_string(beside));
  }
};

TEST_F(deadly_command_e2e_test, a_command_that_kills_the_process_is_parked_in_the_end) { expect_parked("crash", 1); }

TEST_F(deadly_command_e2e_test, a_command_that_never_comes_back_is_parked_in_the_end_on_whichever_engine) {
  arguments.insert(arguments.end(), {"--decide-timeout", "200ms", "--workers", "1", "--backlog-workers", "0"});
  expect_parked("hang", 2);
  EXPECT_EQ(exit_codes, std::set<int>{9});
  EXPECT_NE(log.find("crashing-a/2 of type hang"), std::string::npos) << log;
}

TEST_F(deadly_command_e2e_test, an_engine_that_is_stopped_while_a_module_hangs_does_not_leave_cleanly) {
  engine_process engine(d, {"--decide-timeout", "1s", "--stop-timeout", "100ms"}, misbehaving);
  engine.wait_ready();
  submit("crashing-a", "hang");
  ASSERT_TRUE(eventually(20s, [&] { return engine.log().find("a module does not come back") != std::string::npos; }));
  engine.process().signal(SIGTERM);
  ASSERT_TRUE(eventually(20s, [&] { return !engine.process().running(); }));
  EXPECT_EQ(d.value("SELECT count(*) FROM rowcall.nodes WHERE stopped_at IS NOT NULL"), "0");
}

}  // namespace
}  // namespace rowcall::e2e
