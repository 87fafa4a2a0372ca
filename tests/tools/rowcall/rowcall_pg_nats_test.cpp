#include <gmock/gmock.h>

#include "engine/json.hpp"
#include "tests/support/database.hpp"
#include "tests/support/eventually.hpp"
#include "tests/tools/rowcall/running_engine.hpp"

/// The built binary against a real PostgreSQL and a real NATS.
namespace rowcall::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;

/// A member of a JSON object's text, as text; "?" when the text is no object or has no such member.
std::string member(const std::string& text, const std::string& key) {
  engine::json::parser parser;
  auto object = parser.parse_object(text);
  engine::json::value value;
  if (!object || object->at_key(key).get(value) != simdjson::SUCCESS) return "?";
  return engine::json::to_text(value);
}

/// Three sessions of ten commands with an update each: two are two days old, one of them with snapshots after 4 and 8;
/// the third is young, with a snapshot after 10.
void fill_logs(const std::string& url) {
  support::query(url, R"(
      INSERT INTO rowcall.kinds VALUES (default, 'echo');
      INSERT INTO rowcall.sessions (session_id) VALUES ('echo-bare'), ('echo-old'), ('echo-young');
      INSERT INTO rowcall.command_log (session_id, seq, type, data, created_at)
        SELECT s.session_id, n, 'say', '{}', now() - CASE s.session_id WHEN 'echo-young' THEN interval '1 h' ELSE interval '2 d' END
        FROM rowcall.sessions s, generate_series(1, 10) n;
      INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data, created_at)
        SELECT session_id, seq, seq, 'echo', '{}', created_at FROM rowcall.command_log;
      INSERT INTO rowcall.snapshots (session_id, seq, command_seq, state, created_at)
        SELECT s.session_id, s.seq, s.seq, s.state::jsonb, u.created_at
        FROM (VALUES ('echo-old', 4, '{}'), ('echo-old', 8, '{"at":8}'), ('echo-young', 10, '{}')) s (session_id, seq, state)
        JOIN rowcall.update_log u USING (session_id, seq);)");
}

TEST(migrate, goes_up_down_and_up_again) {
  rowcall_world world{support::schema::empty};
  auto run = world.run({"migrate", "up"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("applied"));
  EXPECT_THAT(world.run({"migrate"}).out, HasSubstr("nothing to do"));
  run = world.run({"migrate", "status", "--json"});
  ASSERT_FALSE(run.lines().empty());
  for (const auto& line : run.lines()) EXPECT_EQ(member(line, "applied"), "true") << line;
  EXPECT_EQ(world.run({"migrate", "down", "--to", "0"}).exit_code, 0);
  for (const auto& line : world.run({"migrate", "status", "--json"}).lines())
    EXPECT_EQ(member(line, "applied"), "false") << line;
  EXPECT_EQ(world.run({"migrate", "up"}).exit_code, 0);
}

TEST(every_client, says_how_to_migrate_a_database_without_a_schema) {
  rowcall_world world{support::schema::empty};
  for (const auto& arguments : {std::vector<std::string>{"status"},
                                {"follow", "echo-1"},
                                {"submit", "echo-1", "ping", "{}"},
                                {"dead", "list"},
                                {"dead", "park", "--kind", "mail"},
                                {"cleanup", "--older-than", "1d"},
                                {"restored"},
                                {"serve"},
                                {"demo"},
                                {"chat", "--user", "ann"}}) {
    const auto run = world.run(arguments);
    EXPECT_EQ(run.exit_code, 1) << ::testing::PrintToString(arguments) << run.err;
    EXPECT_THAT(run.err, HasSubstr("rowcall migrate up")) << ::testing::PrintToString(arguments);
  }
}

TEST(submit, of_a_kind_that_nobody_ever_served_is_refused) {
  rowcall_world world;
  const auto run = world.run({"submit", "nonsense-1", "ping", "{}"});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.err, HasSubstr("no engine has ever served sessions of the kind 'nonsense'"));
}

TEST(submit, while_too_much_is_pending_says_when_to_try_again_and_ends_with_exit_code_8) {
  rowcall_world world;
  support::query(world.database().url(), "INSERT INTO rowcall.kinds (kind) VALUES ('echo'); SELECT rowcall.set_overload(1500)");
  const auto run = world.run({"submit", "echo-1", "ping", "{}"});
  EXPECT_EQ(run.exit_code, 8);
  EXPECT_THAT(run.err, HasSubstr("busy: too many commands are pending; try again in 1.5 s."));
  support::query(world.database().url(), "SELECT rowcall.set_overload(0)");
  EXPECT_EQ(world.run({"submit", "echo-1", "ping", "{}"}).exit_code, 0);
}

TEST(submit, waits_for_the_receipt_and_prints_its_updates) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine()) << world.engine().output();
  const auto run = world.run({"submit", "echo-1", "ping", R"({"n":1})", "--wait", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  ASSERT_THAT(run.lines(), SizeIs(2));
  EXPECT_EQ(member(run.lines()[0], "outcome"), R"("stored")");
  EXPECT_EQ(member(run.lines()[1], "type"), R"("echo")");
  EXPECT_EQ(member(run.lines()[1], "data"), R"({"n":1})");
}

TEST(submit, of_a_rejected_command_ends_with_exit_code_3) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine()) << world.engine().output();
  const auto run = world.run({"submit", "echo-1", "reject", "{}", "--wait=20s"});
  EXPECT_EQ(run.exit_code, 3) << run.err;
  EXPECT_THAT(run.out, HasSubstr("command_rejected"));
}

TEST(submit, with_the_same_key_stores_one_command) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  const auto first = world.run({"submit", "echo-1", "ping", "{}", "--key", "k1", "--json"});
  const auto second = world.run({"submit", "echo-1", "ping", "{}", "--key", "k1", "--json"});
  EXPECT_EQ(member(first.lines().at(0), "outcome"), R"("stored")");
  EXPECT_EQ(member(second.lines().at(0), "outcome"), R"("duplicate")");
  EXPECT_EQ(member(first.lines().at(0), "command_seq"), member(second.lines().at(0), "command_seq"));
}

TEST(submit, that_waits_without_an_engine_times_out_and_the_command_stays_valid) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  EXPECT_EQ(world.stop_engine(), 0);
  const auto run = world.run({"submit", "echo-1", "ping", "{}", "--wait=300ms"});
  EXPECT_EQ(run.exit_code, 4) << run.err;
  EXPECT_THAT(run.err, HasSubstr("stays valid"));
  EXPECT_EQ(member(world.run({"status", "--json"}).out, "pending_commands"), "1");
  ASSERT_TRUE(world.start_engine());
  EXPECT_EQ(world.run({"follow", "echo-1", "--count", "1", "--json"}).exit_code, 0);
}

TEST(submit, that_waits_for_its_receipt_says_why_there_is_none) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  // It fails again and again: the engine is there, and holds the session.
  auto run = world.run({"submit", "echo-1", "fail", "{}", "--wait=300ms"});
  EXPECT_EQ(run.exit_code, 4) << run.err;
  ASSERT_TRUE(support::eventually(std::chrono::seconds{20}, [&] {
    return member(world.run({"status", "--json"}).out, "retrying") == "1";
  }));
  run = world.run({"submit", "echo-1", "ping", "{}", "--wait=300ms"});
  EXPECT_EQ(run.exit_code, 4) << run.err;
  EXPECT_THAT(run.err, AllOf(HasSubstr("it waits for command 1, which has failed"), HasSubstr("told to fail")));
  EXPECT_EQ(world.stop_engine(), 0);
  EXPECT_THAT(world.run({"submit", "echo-2", "ping", "{}", "--wait=100ms"}).err, HasSubstr("no engine is running"));
}

TEST(submit, that_is_interrupted_while_it_waits_says_that_the_command_is_stored) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  EXPECT_EQ(world.stop_engine(), 0);
  running_rowcall submit{{"submit", "echo-1", "ping", "{}", "--wait"}, world.environment()};
  ASSERT_TRUE(submit.wait_for("echo-1 command 1")) << submit.output();
  submit.signal(2);
  EXPECT_EQ(submit.wait(), 130);
  EXPECT_THAT(submit.output(), HasSubstr("interrupted; echo-1 command 1 is stored"));
}

/// Texts that mean something to SQL, COPY, JSON or NATS come back as JSON means them.
TEST(submit, keeps_awkward_texts_as_they_are) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  const std::vector<std::string> texts = {
      R"({"t":"a\tb\nc\\.\\N"})",   R"({"t":"$$ '; DROP TABLE x; --"})", R"({"t":"rowcall.wake.* > . ' \" ,{}"})",
      R"({"t":"\u001b[2J\u007f"})", R"({"n":9007199254740993})",         R"({"t":"🐟 漢字"})"};
  for (const auto& text : texts) EXPECT_EQ(world.run({"submit", "echo-1", "ping", "-"}, text).exit_code, 0) << text;
  const auto followed = world.run({"follow", "echo-1", "--json", "--count", std::to_string(texts.size())});
  const auto lines = followed.lines();
  ASSERT_THAT(lines, SizeIs(texts.size())) << followed.err;
  // PostgreSQL is asked, as a third party, whether what came back means the same.
  support::sql_connection sql{world.database().url()};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto& line = lines[i];
    const auto begin = line.find("\"data\":") + 7, end = line.rfind(",\"at\":");
    const auto data = line.substr(begin, end - begin);
    EXPECT_EQ(sql.value("SELECT $j$" + texts[i] + "$j$::jsonb = $j$" + data + "$j$::jsonb"), "t") << data;
  }
}

TEST(follow, resumes_after_any_update) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  ASSERT_EQ(world.run({"submit", "echo-1", "many", R"({"count":5})", "--wait"}).exit_code, 0);
  const auto run = world.run({"follow", "echo-1", "--after", "3", "--count", "2", "--json"});
  ASSERT_THAT(run.lines(), SizeIs(2));
  EXPECT_EQ(member(run.lines()[0], "seq"), "4");
  EXPECT_EQ(member(run.lines()[1], "seq"), "5");
  EXPECT_THAT(world.run({"follow", "echo-1", "--once"}).lines(), SizeIs(5));
  EXPECT_EQ(world.run({"follow", "echo-1", "--after", "5", "--once"}).exit_code, 0);
}

TEST(follow, says_that_a_position_lies_beyond_the_end) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  ASSERT_EQ(world.run({"submit", "echo-1", "many", R"({"count":5})", "--wait"}).exit_code, 0);
  for (const auto& more : {std::vector<std::string>{}, std::vector<std::string>{"--once"}}) {
    std::vector<std::string> arguments{"follow", "echo-1", "--after", "9"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto run = world.run(arguments);
    EXPECT_EQ(run.exit_code, 5) << run.err;
    EXPECT_THAT(run.err, HasSubstr("beyond the end of echo-1, which is at update 5"));
  }
}

TEST(follow, ends_in_the_middle_of_what_is_there) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  ASSERT_EQ(world.run({"submit", "echo-1", "many", R"({"count":5})", "--wait"}).exit_code, 0);
  const auto run = world.run({"follow", "echo-1", "--after", "1", "--count", "2", "--json"});
  EXPECT_EQ(run.exit_code, 0);
  ASSERT_THAT(run.lines(), SizeIs(2));
  EXPECT_EQ(member(run.lines()[1], "seq"), "3");
}

TEST(follow, tells_what_retention_removed_and_goes_on_from_the_snapshot) {
  rowcall_world world;
  fill_logs(world.database().url());
  ASSERT_EQ(world.run({"cleanup", "--older-than", "1d"}).exit_code, 0);
  for (const auto& more : {std::vector<std::string>{"--once"}, std::vector<std::string>{"--count", "2"}}) {
    std::vector<std::string> arguments{"follow", "echo-old", "--after", "3"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto text = world.run(arguments);
    EXPECT_EQ(text.exit_code, 0) << text.err;
    ASSERT_THAT(text.lines(), SizeIs(4)) << text.out;
    EXPECT_THAT(text.lines()[0],
                HasSubstr("is gone (retention, or a restored database); the state after update 8 is:"));
    EXPECT_THAT(text.lines()[1], EndsWith(R"({"at": 8})"));
    EXPECT_THAT(text.lines()[2], HasSubstr("9"));
    EXPECT_THAT(text.lines()[3], HasSubstr("10"));
    arguments.push_back("--json");
    const auto json = world.run(arguments);
    EXPECT_EQ(json.exit_code, 0) << json.err;
    ASSERT_THAT(json.lines(), SizeIs(3)) << json.out;
    EXPECT_EQ(json.lines()[0], R"({"session":"echo-old","gone":true,"snapshot_seq":8,"state":{"at": 8}})");
    EXPECT_EQ(member(json.lines()[1], "seq"), "9");
    EXPECT_EQ(member(json.lines()[2], "seq"), "10");
  }
}

TEST(follow, tells_what_is_gone_without_a_snapshot) {
  rowcall_world world;
  fill_logs(world.database().url());
  // No retention does that: somebody deleted by hand.
  support::query(world.database().url(), "DELETE FROM rowcall.update_log WHERE session_id = 'echo-bare' AND seq < 9");
  const auto once = world.run({"follow", "echo-bare", "--after", "3", "--once", "--json"});
  EXPECT_EQ(once.exit_code, 5) << once.err;
  EXPECT_EQ(once.out, "{\"session\":\"echo-bare\",\"gone\":true,\"snapshot_seq\":0,\"state\":{}}\n");
  const auto live = world.run({"follow", "echo-bare", "--after", "3", "--count", "1", "--json"});
  EXPECT_EQ(live.exit_code, 0) << live.err;
  ASSERT_THAT(live.lines(), SizeIs(2)) << live.out;
  EXPECT_EQ(live.lines()[0] + "\n", once.out);
  EXPECT_EQ(member(live.lines()[1], "seq"), "10");
}

TEST(follow, shows_what_comes_while_it_runs_and_ends_on_a_signal) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  running_rowcall follow{{"follow", "echo-1"}, world.environment()};
  ASSERT_EQ(world.run({"submit", "echo-1", "ping", R"({"n":42})"}).exit_code, 0);
  EXPECT_TRUE(follow.wait_for("42")) << follow.output();
  follow.signal(15);
  EXPECT_EQ(follow.wait(), 0);
}

TEST(follow, says_why_it_reconnects) {
  rowcall_world world;
  const auto& database = world.database();
  running_rowcall follow{{"follow", "echo-1"}, world.environment()};
  ASSERT_TRUE(follow.wait_for("no updates yet")) << follow.output();
  support::query(database.admin_url(), "ALTER DATABASE " + database.name() + " ALLOW_CONNECTIONS false");
  support::query(database.admin_url(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" +
                                           database.name() + "' AND pid <> pg_backend_pid()");
  EXPECT_TRUE(follow.wait_for("not currently accepting connections")) << follow.output();
  EXPECT_THAT(follow.output(), HasSubstr("rowcall: reconnecting … ("));
  support::query(database.admin_url(), "ALTER DATABASE " + database.name() + " ALLOW_CONNECTIONS true");
  EXPECT_TRUE(follow.wait_for("rowcall: back")) << follow.output();
}

TEST(follow, of_a_session_without_updates_says_so) {
  rowcall_world world;
  running_rowcall follow{{"follow", "user-tpyo"}, world.environment()};
  EXPECT_TRUE(follow.wait_for("user-tpyo has no updates yet")) << follow.output();
  follow.signal(15);
  EXPECT_EQ(follow.wait(), 0);
  const auto once = world.run({"follow", "user-tpyo", "--once"});
  EXPECT_EQ(once.exit_code, 0);
  EXPECT_THAT(once.err, HasSubstr("user-tpyo has no updates yet"));
}

TEST(status, tells_the_engine_and_what_is_pending) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  ASSERT_EQ(world.run({"submit", "echo-1", "ping", "{}", "--wait"}).exit_code, 0);
  const auto run = world.run({"status", "--json"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(member(run.out, "sessions"), "1");
  EXPECT_EQ(member(run.out, "pending_commands"), "0");
  EXPECT_THAT(member(run.out, "nodes"), HasSubstr("echo"));
  EXPECT_THAT(world.run({"status"}).out, AllOf(HasSubstr("pending commands  0"), HasSubstr("engines")));
}

TEST(dead, is_listed_shown_redriven_and_dropped) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  EXPECT_EQ(world.run({"submit", "echo-1", "park", R"({"n":1})", "--wait"}).exit_code, 3);
  auto run = world.run({"dead", "list", "--json"});
  ASSERT_THAT(run.lines(), SizeIs(1)) << run.err;
  EXPECT_EQ(member(run.lines()[0], "type"), R"("park")");
  EXPECT_THAT(world.run({"dead", "show", "echo-1", "1"}).out, HasSubstr("told to fail"));
  run = world.run({"dead", "redrive", "echo-1", "1", "--json"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(member(run.out, "command_seq"), "2");
  EXPECT_EQ(world.run({"follow", "echo-1", "--count", "2"}).exit_code, 0);  // until the redriven one has failed as well
  EXPECT_EQ(world.run({"dead", "drop", "echo-1", "2"}).exit_code, 0);
  EXPECT_THAT(world.run({"dead", "list", "--json"}).lines(), SizeIs(0));
  EXPECT_THAT(world.run({"dead", "list", "--all", "--json"}).lines(), SizeIs(2));
  EXPECT_EQ(world.run({"dead", "show", "echo-1", "99"}).exit_code, 5);
  run = world.run({"dead", "redrive", "echo-1", "99"});
  EXPECT_EQ(run.exit_code, 5);
  EXPECT_THAT(run.err, EndsWith("there is no dead letter echo-1/99\n"));
  run = world.run({"dead", "drop", "echo-1", "1"});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_EQ(run.err, "rowcall: the dead letter echo-1/1 was redriven\n");
  run = world.run({"dead", "redrive", "echo-1", "2"});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_EQ(run.err, "rowcall: the dead letter echo-1/2 was dropped\n");
}

TEST(dead, list_has_a_title_over_each_column) {
  rowcall_world world;
  support::query(
      world.database().url(),
      "INSERT INTO rowcall.dead_letters (session_id, command_seq, type, data, error, attempts) VALUES "
      "('echo-1', 12, 'say', '{}', 'told to fail', 1), ('echo-a_name_that_is_longer_than_most', 3, 'say', '{}', "
      "'told to fail', 1)");
  const auto lines = world.run({"dead", "list"}).lines();
  ASSERT_THAT(lines, SizeIs(3));
  const auto& titles = lines[0];
  for (std::size_t i = 1; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].find("echo-"), titles.find("session")) << titles << "\n" << lines[i];
    EXPECT_EQ(lines[i].find("say "), titles.find("type")) << titles << "\n" << lines[i];
    EXPECT_EQ(lines[i].find("told to fail"), titles.find("error")) << titles << "\n" << lines[i];
  }
  EXPECT_EQ(titles.find("failed at"), 0u);
  EXPECT_EQ(lines[1].find(" 3 ") + 2, titles.find("command") + 7) << "numbers end where their title does";
}

/// Sessions of the kind mail, whose module is gone: mail-1 has a state of five updates in a snapshot, and three
/// commands that wait (the first of them was held by a failure); mail-2 has two.
void leave_a_kind_behind(const std::string& url) {
  support::query(url, R"(
      INSERT INTO rowcall.kinds (kind) VALUES ('mail');
      SELECT rowcall.submit('mail-1', 'post', jsonb_build_object('n', n)) FROM generate_series(1, 5) n;
      INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data)
        SELECT session_id, seq, seq, 'posted', data FROM rowcall.command_log;
      INSERT INTO rowcall.snapshots (session_id, seq, command_seq, state) VALUES ('mail-1', 5, 5, '{"posts":5}');
      SELECT rowcall.submit('mail-1', 'post', jsonb_build_object('n', n)) FROM generate_series(6, 8) n;
      SELECT rowcall.submit('mail-2', 'post', '{}') FROM generate_series(1, 2);
      INSERT INTO rowcall.retries (session_id, command_seq, attempts, next_at, last_error)
        VALUES ('mail-1', 6, 3, clock_timestamp() + interval '300 ms', 'no mail server');
      DELETE FROM rowcall.kinds WHERE kind = 'mail')");
}

TEST(dead, park_makes_dead_letters_of_what_waits_for_a_kind_that_is_gone) {
  rowcall_world world;
  const auto& url = world.database().url();
  leave_a_kind_behind(url);
  ASSERT_TRUE(world.start_engine({"--session-pending-max", "77"})) << world.engine().output();
  ASSERT_EQ(world.run({"submit", "echo-1", "ping", "{}", "--wait"}).exit_code, 0);
  EXPECT_THAT(world.run({"doctor"}).out, HasSubstr("rowcall dead park"));
  const auto admission = support::query(url, "SELECT session_pending_max, pending_max FROM rowcall.admission");

  auto run = world.run({"dead", "park", "--kind", "mail", "--json"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.out, "{\"kind\":\"mail\",\"parked\":5,\"more\":false}\n");
  run = world.run({"dead", "list", "--json"});
  ASSERT_THAT(run.lines(), SizeIs(5));
  for (const auto& line : run.lines())
    EXPECT_THAT(line, AllOf(HasSubstr("mail-"), HasSubstr("no engine serves this kind any more"))) << line;
  // Receipts like any other, numbered on; the states are as they were.
  EXPECT_EQ(support::query(url,
                           "SELECT session_id, min(seq), max(seq), max(command_seq), min(type) FROM rowcall.update_log "
                           "WHERE type = 'command_failed' GROUP BY 1 ORDER BY 1"),
            (support::rows{{"mail-1", "6", "8", "8", "command_failed"}, {"mail-2", "1", "2", "2", "command_failed"}}));
  EXPECT_EQ(support::query(url, "SELECT session_id, seq, state FROM rowcall.snapshots"),
            (support::rows{{"mail-1", "5", R"({"posts": 5})"}}));
  EXPECT_EQ(member(world.run({"status", "--json"}).out, "unserved_commands"), "0");
  EXPECT_EQ(member(world.run({"status", "--json"}).out, "retrying"), "0");
  // Nothing else is changed by it.
  EXPECT_EQ(support::query(url, "SELECT count(*) FROM rowcall.kinds WHERE kind = 'mail'"), (support::rows{{"0"}}));
  EXPECT_EQ(support::query(url, "SELECT session_pending_max, pending_max FROM rowcall.admission"), admission);
  EXPECT_EQ(world.run({"submit", "echo-1", "ping", "{}", "--wait"}).exit_code, 0);

  run = world.run({"dead", "park", "--kind", "mail"});
  EXPECT_EQ(run.out, "parked 0 commands of the kind mail\n") << run.err;
  run = world.run({"dead", "redrive", "mail-2", "1", "--json"});
  EXPECT_EQ(member(run.out, "command_seq"), "3") << run.err;
}

TEST(dead, park_leaves_alone_what_a_running_engine_serves) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  auto run = world.run({"dead", "park", "--kind", "echo"});
  EXPECT_EQ(run.exit_code, 8) << run.out;
  EXPECT_EQ(run.err, "rowcall: a running engine serves the kind echo: what waits is its work\n");
  EXPECT_EQ(world.run({"dead", "park", "--kind", "no-kind"}).exit_code, 2);
}

TEST(dead, park_leaves_alone_a_kind_that_is_registered) {
  rowcall_world world;
  const auto& url = world.database().url();
  support::query(url,
                 "INSERT INTO rowcall.kinds (kind) VALUES ('mail'); SELECT rowcall.submit('mail-1', 'post', '{}')");
  const auto run = world.run({"dead", "park", "--kind", "mail"});
  EXPECT_EQ(run.exit_code, 8) << run.out;
  EXPECT_THAT(run.err, HasSubstr("DELETE FROM rowcall.kinds WHERE kind = 'mail'"));
  EXPECT_EQ(support::query(url, "SELECT count(*) FROM rowcall.update_log"), (support::rows{{"0"}}));
}

TEST(dead, park_waits_for_a_retry_and_says_so_when_it_is_stopped_before) {
  rowcall_world world;
  const auto& url = world.database().url();
  leave_a_kind_behind(url);
  support::query(url, "UPDATE rowcall.retries SET next_at = clock_timestamp() + interval '1 h'");
  running_rowcall park{{"dead", "park", "--kind", "mail"}, world.environment()};
  ASSERT_TRUE(park.wait_for("held by a retry")) << park.output();
  ASSERT_TRUE(support::eventually(std::chrono::seconds{20}, [&] {
    return support::query(url, "SELECT count(*) FROM rowcall.dead_letters") == support::rows{{"2"}};
  }));
  park.signal(2);
  EXPECT_EQ(park.wait(), 1);
  EXPECT_THAT(park.output(), HasSubstr("parked 2 commands of the kind mail; stopped early, commands still wait"));
}

TEST(restored, is_refused_while_an_engine_runs) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine({"--node", "shop-1"}));
  const auto run = world.run({"restored"});
  EXPECT_EQ(run.exit_code, 8);
  EXPECT_EQ(run.err,
            "rowcall: engines are running: shop-1 HINT: Stop them: they may remember what is not true any more.\n");
}

TEST(status, names_the_session_that_a_failing_command_holds) {
  rowcall_world world;
  support::query(
      world.database().url(),
      "INSERT INTO rowcall.retries (session_id, command_seq, attempts, next_at, last_error)"
      " SELECT 'echo-' || n, 7, n, clock_timestamp() + interval '1 hour', 'told to fail' FROM generate_series(1, 6) n");
  EXPECT_THAT(world.run({"status"}).out,
              AllOf(HasSubstr("retrying          6\n                  echo-6 command 7: 6 attempts, again in "),
                    HasSubstr(", told to fail\n"), HasSubstr("and 1 more\n")));
  const auto named = member(world.run({"status", "--json"}).out, "retrying_sessions");
  EXPECT_THAT(named, AllOf(HasSubstr(R"("session":"echo-6")"), HasSubstr(R"("attempts":6)"),
                           HasSubstr(R"("error":"told to fail")")));
}

TEST(status, names_a_kind_that_is_gone_while_its_sessions_wait) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  support::query(world.database().url(),
                 "INSERT INTO rowcall.kinds (kind) VALUES ('mail'); SELECT rowcall.submit('mail-1', 'post', '{}');"
                 "DELETE FROM rowcall.kinds WHERE kind = 'mail'");
  EXPECT_EQ(world.run({"submit", "mail-1", "post", "{}"}).exit_code, 0)
      << "a session that is there is not asked for its kind";
  EXPECT_EQ(world.run({"submit", "mail-2", "post", "{}"}).exit_code, 3);
  EXPECT_THAT(world.run({"status"}).out, HasSubstr("2 of them wait for a kind that no running engine serves: mail\n"));
  const auto doctor = world.run({"doctor"});
  EXPECT_EQ(doctor.exit_code, 1);
  EXPECT_THAT(doctor.out, HasSubstr("no running engine serves the kinds mail; 2 commands wait for one"));
}

TEST(cleanup, tells_what_it_deleted) {
  rowcall_world world;
  const auto& url = world.database().url();
  fill_logs(url);
  auto run = world.run({"cleanup", "--older-than", "1d", "--chunk", "3", "--json"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.out,
            "{\"commands\":8,\"updates\":8,\"snapshots\":1,\"domain_rows\":0,\"more\":false,\"kept\":{"
            "\"without_snapshot\":{\"sessions\":1,\"commands\":9,\"updates\":9},"
            "\"above_snapshot\":{\"sessions\":1,\"commands\":1,\"updates\":1},\"is_exact\":true}}\n");
  const auto left_of = [&](const std::string& table) {
    return support::query(url,
                          "SELECT session_id, min(seq), max(seq) FROM rowcall." + table + " GROUP BY 1 ORDER BY 1");
  };
  const support::rows logs{{"echo-bare", "1", "10"}, {"echo-old", "9", "10"}, {"echo-young", "1", "10"}};
  EXPECT_EQ(left_of("command_log"), logs);
  EXPECT_EQ(left_of("update_log"), logs);
  EXPECT_EQ(left_of("snapshots"), (support::rows{{"echo-old", "8", "8"}, {"echo-young", "10", "10"}}));
  run = world.run({"cleanup", "--older-than", "1d"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(
      run.out,
      "deleted 0 commands, 0 updates, 0 snapshots and 0 domain rows older than 1d\n"
      "kept, though older: 9 commands and 9 updates of 1 session without a snapshot (the first is made after "
      "--snapshot-interval-updates)\n"
      "kept, though older: 1 command and 1 update of 1 session above the last snapshot (until the next one is made)\n");
  run = world.run({"cleanup", "--older-than", "3d"});
  EXPECT_EQ(run.out, "deleted 0 commands, 0 updates, 0 snapshots and 0 domain rows older than 3d\n");
}

TEST(serve, ends_with_exit_code_0_on_sigterm) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine()) << world.engine().output();
  EXPECT_EQ(world.stop_engine(), 0) << world.engine().output();
  EXPECT_THAT(world.engine().output(), HasSubstr("stopped"));
}

TEST(serve, does_not_start_with_the_name_of_an_engine_that_runs) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine({"--node", "shop-1"})) << world.engine().output();
  const auto run = world.run({"serve", "--node", "shop-1"});
  EXPECT_EQ(run.exit_code, 8);
  EXPECT_THAT(run.err, HasSubstr("rowcall: another engine with the name shop-1 is running"));
  EXPECT_EQ(run.err.find("Waiting for its end"), run.err.rfind("Waiting for its end"))
      << "said once, tried all the time\n"
      << run.err;
  EXPECT_EQ(world.stop_engine(), 0) << world.engine().output();
}

TEST(serve, starts_with_the_name_of_an_engine_that_has_just_been_killed) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine({"--node", "shop-1"})) << world.engine().output();
  running_rowcall next({"serve", "--node", "shop-1"}, world.environment());
  ASSERT_TRUE(next.wait_for("Waiting for its end")) << next.output();
  world.engine().signal(9);
  EXPECT_TRUE(next.wait_for(" ready")) << next.output();
  next.signal(15);
  EXPECT_EQ(next.wait(), 0) << next.output();
}

TEST(demo, finds_nothing_wrong) {
  rowcall_world world;
  ASSERT_TRUE(world.start_engine());
  const auto run = world.run({"demo", "--commands", "2000", "--sessions", "50"});
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("Hi Bob!"), HasSubstr("2,000 received by followers, 2,000 in the database"),
                             HasSubstr("lost 0, duplicated 0, reordered 0, gaps 0")));
}

TEST(demo, says_so_when_there_is_no_engine) {
  rowcall_world world;
  const auto run = world.run({"demo"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("rowcall serve"));
}

}  // namespace
}  // namespace rowcall::test
