#include <gmock/gmock.h>
#include <signal.h>

#include "storage/postgres/incarnation.hpp"
#include "storage/postgres/stores.hpp"
#include "tests/e2e/deployment.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/private_nats.hpp"
#include "tests/support/private_postgres.hpp"
#include "tests/support/servers.hpp"

/// docs/operations/roles.sql: each role does its work, and is refused what is not its own.
namespace rowcall::operations {
namespace {

using namespace std::chrono_literals;
using e2e::deployment;
using e2e::id;
using ::testing::HasSubstr;
using ::testing::Not;

/// One cluster for the tests of this file: roles belong to a cluster.
struct roles_e2e_test : testing::Test {
  static void SetUpTestSuite() {
    servers = std::make_unique<servers_t>();
    const auto owner = servers->postgres.url();
    support::migrate(owner);
    // Twice: it is to be run again after every migration.
    for (int run = 0; run < 2; ++run)
      support::run_to_end(
          {"psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", owner, "-f", ROWCALL_OPERATIONS_DOCS "/roles.sql"},
          {.output = support::make_directory() + "/psql.log"});
    support::query(
        owner,
        "CREATE ROLE an_engine LOGIN IN ROLE rowcall_engine; CREATE ROLE a_submitter LOGIN IN ROLE rowcall_submitter;"
        "CREATE ROLE a_follower LOGIN IN ROLE rowcall_follower; CREATE ROLE a_reader LOGIN IN ROLE rowcall_reader;"
        "CREATE ROLE a_gateway LOGIN IN ROLE rowcall_gateway; CREATE ROLE an_operator LOGIN IN ROLE rowcall_operator;"
        "CREATE ROLE a_stranger LOGIN");
  }
  static void TearDownTestSuite() { servers.reset(); }

  deployment as(const std::string& role) const {
    auto url = servers->postgres.url();
    url.replace(url.find("rowcall@"), 7, role);
    return {url, servers->nats.url(), "rowcall"};
  }
  deployment owner() const { return {servers->postgres.url(), servers->nats.url(), "rowcall"}; }

  struct servers_t {
    support::private_postgres postgres;
    support::private_nats nats;
  };
  static inline std::unique_ptr<servers_t> servers;
};

TEST_F(roles_e2e_test, each_does_its_work) {
  const auto engines = as("an_engine"), submitters = as("a_submitter"), followers = as("a_follower");
  e2e::engine_process engine(engines, {"--snapshot-interval-updates", "2", "--retention", "1s", "--retention-interval",
                                       "100ms", "--retry-attempts-max", "2", "--retry-base", "10ms"});
  engine.wait_ready();
  auto bus = owner().connect();
  e2e::recorder recorder(followers, *bus);
  recorder.follow(id("chat-1"));
  recorder.follow(id("echo-a"));
  auto submitter = e2e::make_submitter(submitters, *bus);
  const auto submit = [&](const std::string& session, const std::string& type, const std::string& data,
                          std::optional<std::string> key = {}) {
    const auto o = submitter->submit(engine::command_request{id(session), type, data, std::move(key)});
    ASSERT_TRUE(o) << o.error().message;
  };
  submit("user-ann", "create_chat", R"({"chat_id":"chat-1","name":"One"})");
  ASSERT_TRUE(recorder.wait_for(id("chat-1"), 1)) << engine.log();
  submit("user-ann", "post_message", R"({"chat_id":"chat-1","text":"hello"})", "key");
  submit("user-ann", "post_message", R"({"chat_id":"chat-1","text":"hello"})", "key");
  submit("echo-a", "fail", "{}");
  submit("echo-a", "park", "{}");
  for (int i = 0; i < 10; ++i) submit("echo-a", "say", "{}");
  ASSERT_TRUE(recorder.wait_for(id("echo-a"), 12)) << engine.log();
  ASSERT_TRUE(e2e::drained(owner()));
  EXPECT_EQ(owner().value("SELECT count(*) FROM rowcall.messages"), "1");
  EXPECT_EQ(owner().value("SELECT count(*) FROM rowcall.dead_letters"), "2");
  EXPECT_TRUE(support::eventually(
      20s,
      [&] {
        return std::stoi(owner().value("SELECT min(seq) FROM rowcall.update_log WHERE session_id = 'echo-a'")) > 1;
      }))
      << "retention: " << engine.log();

  for (const auto* command : {"submit", "follow", "status"}) {
    const auto d = std::string{command} == "submit"   ? submitters
                   : std::string{command} == "follow" ? followers
                                                      : as("a_reader");
    const auto run =
        e2e::run_rowcall(d, std::string{command} == "submit" ? std::vector<std::string>{"submit", "echo-b", "say", "{}"}
                            : std::string{command} == "follow" ? std::vector<std::string>{"follow", "chat-1", "--once"}
                                                               : std::vector<std::string>{"status"});
    EXPECT_EQ(run.exit_code, 0) << command << ": " << run.output;
  }
  const auto doctor = e2e::run_rowcall(as("a_reader"), {"doctor"});
  EXPECT_THAT(doctor.output, HasSubstr("every table, index, constraint and function is there"));
  EXPECT_THAT(doctor.output, HasSubstr("1 engine is running"));

  engine.process().signal(SIGTERM);
  EXPECT_EQ(engine.process().wait(15s), 0);
  EXPECT_THAT(engine.log(), Not(HasSubstr("permission denied")));
}

TEST_F(roles_e2e_test, an_operator_reads_what_the_console_shows_and_deals_with_dead_letters) {
  const auto operators = as("an_operator");
  support::query(owner().database_url,
                 "INSERT INTO rowcall.sessions (session_id) VALUES ('echo-dead') ON CONFLICT DO NOTHING;"
                 "INSERT INTO rowcall.dead_letters (session_id, command_seq, attempts, type, error, data)"
                 " SELECT 'echo-dead', n, 3, 'say', 'broken', '{}' FROM generate_series(1, 4) n");
  storage::postgres::store_config config;
  config.url = operators.database_url;
  const auto console = storage::postgres::make_console_store(config);
  const auto allowed = [](const auto& answer, const char* what) {
    EXPECT_TRUE(answer) << what << ": " << (answer ? "" : answer.error().message);
  };
  const auto dead = id("echo-dead");
  allowed(console->overview(), "overview");
  allowed(console->hottest(0, 10), "hottest");
  allowed(console->stuck(10), "stuck");
  allowed(console->held("", "", 10), "held");
  allowed(console->head_of(dead), "head_of");
  allowed(console->updates_after(dead, {}, 10, 100), "updates_after");
  allowed(console->updates_before(dead, {10}, 10, 100), "updates_before");
  allowed(console->commands_from(dead, {1}, 10, 100), "commands_from");
  allowed(console->snapshot_at(dead, {10}), "snapshot_at");
  allowed(console->letters({}, {engine::db_time{24h * 365 * 100}, "~", 1}, 10), "letters");
  allowed(console->letter_of(dead, {1}), "letter_of");
  const auto admin = storage::postgres::make_admin_store(config);
  allowed(admin->status(), "status");
  const auto redriven = admin->redrive(dead, {1});
  ASSERT_TRUE(redriven) << redriven.error().message;
  EXPECT_EQ(redriven->value, 1);
  EXPECT_EQ(admin->redrive(dead, {1}).value(), *redriven) << "again: the same command";
  allowed(admin->drop(dead, {2}), "drop");
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"dead", "list"},
                                             {"dead", "show", "echo-dead", "3"},
                                             {"dead", "redrive", "echo-dead", "3"},
                                             {"dead", "drop", "echo-dead", "4"}}) {
    const auto run = e2e::run_rowcall(operators, command);
    EXPECT_EQ(run.exit_code, 0) << command[1] << ": " << run.output;
  }
  EXPECT_EQ(owner().value("SELECT string_agg(resolution, ' ' ORDER BY command_seq) FROM rowcall.dead_letters WHERE "
                          "session_id = 'echo-dead'"),
            "redriven dropped redriven dropped");
  EXPECT_EQ(owner().value("SELECT string_agg(type, ' ') FROM rowcall.command_log WHERE session_id = 'echo-dead'"),
            "say say");
}

TEST_F(roles_e2e_test, each_is_refused_what_is_not_its_own) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> forbidden = {
      {"an_engine",
       {"UPDATE rowcall.command_log SET type = 'x'", "UPDATE rowcall.update_log SET type = 'x'",
        "UPDATE rowcall.snapshots SET seq = 1", "DELETE FROM rowcall.sessions", "DELETE FROM rowcall.dead_letters",
        "UPDATE rowcall.incarnation SET incarnation = 'x'",
        "INSERT INTO rowcall.migrations (version, name, checksum) VALUES (99, 'x', 'x')", "TRUNCATE rowcall.retries",
        "CREATE TABLE rowcall.mine (a int)", "DROP TABLE rowcall.messages", "DELETE FROM rowcall.shards",
        "TRUNCATE rowcall.nodes", "SELECT rowcall.mark_restored()"}},
      {"a_submitter",
       {"SELECT data FROM rowcall.command_log", "SELECT * FROM rowcall.commands", "SELECT * FROM rowcall.update_log",
        "SELECT * FROM rowcall.snapshots",
        "INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data) VALUES ('echo-x', 1, 1, 't', '{}')",
        "INSERT INTO rowcall.command_log (session_id, seq, type, data, created_at) VALUES ('echo-x', 1, 't', '{}', "
        "now())",
        "INSERT INTO rowcall.command_log (session_id, seq, type, data, xid) VALUES ('echo-x', 1, 't', '{}', 0)",
        "UPDATE rowcall.command_log SET type = 'x'", "DELETE FROM rowcall.command_log",
        "INSERT INTO rowcall.kinds (kind) VALUES ('mine')", "SELECT * FROM rowcall.dead_letters",
        "SELECT * FROM rowcall.shards FOR NO KEY UPDATE", "SELECT * FROM rowcall.messages",
        "SELECT rowcall.redrive('echo-a', 1)", "SELECT * FROM rowcall.cleanup_chunk('', interval '0', 10, 10)"}},
      {"a_follower",
       {"SELECT * FROM rowcall.command_log", "SELECT * FROM rowcall.commands", "SELECT * FROM rowcall.messages",
        "SELECT * FROM rowcall.dead_letters", "SELECT rowcall.submit('echo-a', 'say', '{}')",
        "INSERT INTO rowcall.commands (session_id, type, data) VALUES ('echo-a', 'say', '{}')",
        "DELETE FROM rowcall.update_log",
        "INSERT INTO rowcall.snapshots (session_id, seq, command_seq, state) VALUES ('echo-a', 1, 1, '{}')",
        "SELECT * FROM rowcall.turn_claim('n', '{echo-a}', '{1}', '{-1}', '{t}', 1, 1, 1)"}},
      {"a_reader",
       {"SELECT rowcall.submit('echo-a', 'say', '{}')", "UPDATE rowcall.nodes SET version = 'x'",
        "DELETE FROM rowcall.update_log", "UPDATE rowcall.dead_letters SET resolution = 'dropped'",
        "SELECT rowcall.drop_dead_letter('echo-a', 1)",
        "SELECT * FROM rowcall.turn_claim('n', '{echo-a}', '{1}', '{-1}', '{t}', 1, 1, 1)"}},
      {"a_gateway",
       {"SELECT data FROM rowcall.command_log", "SELECT * FROM rowcall.messages", "SELECT * FROM rowcall.dead_letters",
        "INSERT INTO rowcall.members (chat_id, user_id) VALUES ('chat-1', 'me')", "DELETE FROM rowcall.members",
        "SELECT rowcall.redrive('echo-a', 1)", "SELECT rowcall.drop_dead_letter('echo-a', 1)"}},
      {"an_operator",
       {"SELECT rowcall.submit('echo-a', 'say', '{}')",
        "INSERT INTO rowcall.commands (session_id, type, data) VALUES ('echo-a', 'say', '{}')",
        "INSERT INTO rowcall.command_log (session_id, seq, type, data) VALUES ('echo-x', 1, 't', '{}')",
        "INSERT INTO rowcall.sessions (session_id) VALUES ('echo-x')",
        "DELETE FROM rowcall.command_log",
        "INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data) VALUES ('echo-x', 1, 1, 't', '{}')",
        "DELETE FROM rowcall.update_log",
        "DELETE FROM rowcall.snapshots",
        "DELETE FROM rowcall.retries",
        "INSERT INTO rowcall.dead_letters (session_id, command_seq, attempts, type, data) VALUES ('echo-x', 1, 1, 't', "
        "'{}')",
        "UPDATE rowcall.dead_letters SET data = '{}'",
        "UPDATE rowcall.dead_letters SET resolution = NULL",
        "DELETE FROM rowcall.dead_letters",
        "SELECT * FROM rowcall.dead_letters FOR UPDATE",
        "SELECT * FROM rowcall.shards FOR NO KEY UPDATE",
        "UPDATE rowcall.nodes SET version = 'x'",
        "SELECT * FROM rowcall.messages",
        "SELECT * FROM rowcall.members",
        "SELECT rowcall.mark_restored()",
        "SELECT rowcall.set_overload(1)",
        "SELECT * FROM rowcall.turn_claim('n', '{echo-a}', '{1}', '{-1}', '{t}', 1, 1, 1)"}},
      {"an_engine", {"SELECT rowcall.redrive('echo-a', 1)", "SELECT rowcall.drop_dead_letter('echo-a', 1)"}},
      {"a_stranger",
       {"SELECT * FROM rowcall.update_log", "SELECT rowcall.submit('echo-a', 'say', '{}')",
        "SELECT rowcall.redrive('echo-a', 1)", "SELECT * FROM rowcall.migrations"}},
  };
  for (const auto& [role, statements] : forbidden) {
    support::sql_connection connection(as(role).database_url);
    for (const auto& statement : statements) try {
        connection.query(statement);
        ADD_FAILURE() << role << " may: " << statement;
      } catch (const std::runtime_error& refused) {
        EXPECT_THAT(refused.what(), testing::AnyOf(HasSubstr("permission denied"), HasSubstr("must be owner")))
            << role << ": " << statement;
      }
  }
}

TEST_F(roles_e2e_test, an_engines_role_is_enough_to_park_what_waits_for_a_kind_that_is_gone) {
  support::query(owner().database_url,
                 "INSERT INTO rowcall.kinds (kind) VALUES ('mail'); SELECT rowcall.submit('mail-1', 'post', '{}');"
                 "DELETE FROM rowcall.kinds WHERE kind = 'mail'");
  const auto run = e2e::run_rowcall(as("an_engine"), {"dead", "park", "--kind", "mail"});
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, HasSubstr("parked 1 command of the kind mail"));
}

TEST_F(roles_e2e_test, the_command_line_says_who_may_not) {
  const auto submit = e2e::run_rowcall(as("a_follower"), {"submit", "echo-a", "say", "{}"});
  EXPECT_EQ(submit.exit_code, 1);
  EXPECT_THAT(submit.output, HasSubstr("permission denied"));
  for (const std::vector<std::string>& reading :
       std::vector<std::vector<std::string>>{{"follow", "echo-a", "--once"}, {"follow", "echo-a"}}) {
    const auto run = e2e::run_rowcall(as("a_submitter"), reading);
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_THAT(run.output, HasSubstr("permission denied"));
  }
  EXPECT_EQ(e2e::run_rowcall(as("a_reader"), {"restored"}).exit_code, 1);
}

}  // namespace
}  // namespace rowcall::operations
