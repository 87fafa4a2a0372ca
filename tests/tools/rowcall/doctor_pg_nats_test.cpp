#include <gmock/gmock.h>

#include "engine/json.hpp"
#include "tests/support/database.hpp"
#include "tests/support/private_nats.hpp"
#include "tests/support/private_postgres.hpp"
#include "tests/tools/rowcall/running_engine.hpp"

/// `rowcall doctor` against servers that something is wrong with.
namespace rowcall::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct diagnosis {
  int exit_code = -1;
  std::string out;
  std::map<std::string, std::string> worst;  ///< by area
};

diagnosis consult(const std::vector<std::string>& environment) {
  const auto run = run_rowcall({"doctor", "--json"}, environment);
  diagnosis d{run.exit_code, run.out, {}};
  engine::json::parser parser;
  const auto object = parser.parse_object(run.out);
  EXPECT_TRUE(object) << run.out << run.err;
  if (!object) return d;
  simdjson::dom::array findings;
  EXPECT_FALSE(object->at_key("findings").get(findings));
  const auto rank = [](std::string_view s) { return s == "error" ? 2 : s == "warning" ? 1 : 0; };
  for (auto element : findings) {
    engine::json::object f;
    if (element.get(f)) continue;
    const std::string how{*engine::json::string_at(f, "severity")}, area{*engine::json::string_at(f, "area")};
    auto& worst = d.worst.try_emplace(area, how).first->second;
    if (rank(how) > rank(worst)) worst = how;
    if (how != "ok") {
      EXPECT_NE(engine::json::string_at(f, "text"), "") << run.out;
    }
  }
  return d;
}

/// A PostgreSQL of the test's own, as it should be, migrated.
struct clinic {
  explicit clinic(std::vector<std::string> settings = {}, std::string nats_configuration = "")
      : postgres({.durable = true, .settings = std::move(settings)}),
        nats({.configuration = std::move(nats_configuration), .arguments = {}}) {
    support::migrate(postgres.url());
  }
  std::vector<std::string> environment() const {
    return {"ROWCALL_DATABASE_URL=" + postgres.url(), "ROWCALL_NATS_URL=" + nats.url()};
  }
  void sql(const std::string& statement) { support::query(postgres.url(), statement); }
  support::private_postgres postgres;
  support::private_nats nats;
};

TEST(doctor, is_content_with_a_sound_deployment) {
  clinic c{{}, "authorization { users = [ { user: ann, password: sesame } ] }"};
  auto environment = c.environment();
  environment.push_back("ROWCALL_NATS_URL=nats://ann:sesame@127.0.0.1:" + std::to_string(c.nats.port()));
  environment.erase(environment.begin() + 1);
  running_rowcall engine({"serve"}, environment);
  ASSERT_TRUE(engine.wait_for(" ready")) << engine.output();
  const auto run = run_rowcall({"doctor"}, environment);
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  EXPECT_THAT(run.out, HasSubstr("0 errors, 0 warnings"));
  EXPECT_THAT(run.out, HasSubstr("1 engine is running"));
  EXPECT_THAT(run.out, HasSubstr("NATS 2."));
  EXPECT_THAT(run.out, Not(HasSubstr("sesame")));
}

TEST(doctor, finds_settings_that_lose_data) {
  clinic c({"fsync = off", "full_page_writes = off", "synchronous_commit = off"});
  const auto d = consult(c.environment());
  EXPECT_EQ(d.exit_code, 1) << d.out;
  EXPECT_EQ(d.worst.at("durability"), "error");
  EXPECT_THAT(d.out, HasSubstr("full_page_writes is off"));
  EXPECT_THAT(d.out, HasSubstr("synchronous_commit is off for new connections"));
}

TEST(doctor, ends_with_7_when_something_needs_attention_only) {
  clinic c;
  running_rowcall engine({"serve"}, c.environment());
  ASSERT_TRUE(engine.wait_for(" ready")) << engine.output();
  c.sql("CREATE ROLE reporting LOGIN; ALTER ROLE reporting SET synchronous_commit = off");
  const auto d = consult(c.environment());
  EXPECT_EQ(d.exit_code, 7) << d.out;
  EXPECT_EQ(d.worst.at("durability"), "warning");
  EXPECT_EQ(d.worst.at("nats_auth"), "warning");
  EXPECT_THAT(d.out, HasSubstr("role reporting"));
}

TEST(doctor, misses_what_was_dropped) {
  clinic c;
  c.sql(
      "DROP INDEX rowcall.command_log_xid; ALTER TABLE rowcall.update_log DROP CONSTRAINT update_log_pk;"
      "DROP TRIGGER commands_insert ON rowcall.commands; ALTER TABLE rowcall.messages SET (autovacuum_enabled = "
      "false)");
  const auto d = consult(c.environment());
  EXPECT_EQ(d.exit_code, 1);
  EXPECT_EQ(d.worst.at("objects"), "error");
  EXPECT_THAT(d.out, HasSubstr("index command_log_xid"));
  EXPECT_THAT(d.out, HasSubstr("constraint update_log_pk"));
  EXPECT_THAT(d.out, HasSubstr("trigger commands_insert"));
  EXPECT_EQ(d.worst.at("autovacuum"), "warning");
}

TEST(doctor, finds_an_index_that_is_not_valid) {
  clinic c;
  c.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'rowcall.command_log_idempotency'::regclass");
  const auto d = consult(c.environment());
  EXPECT_EQ(d.worst.at("objects"), "error");
  EXPECT_THAT(d.out, HasSubstr("not valid: index command_log_idempotency"));
}

TEST(doctor, finds_an_old_schema_and_none) {
  clinic c;
  ASSERT_EQ(run_rowcall({"migrate", "down"}, c.environment()).exit_code, 0);
  auto d = consult(c.environment());
  EXPECT_EQ(d.exit_code, 1);
  EXPECT_EQ(d.worst.at("schema"), "error");
  EXPECT_EQ(d.worst.at("objects"), "ok") << "what an old schema has is whole";
  ASSERT_EQ(run_rowcall({"migrate", "down", "--to", "0"}, c.environment()).exit_code, 0);
  c.sql("DROP SCHEMA rowcall CASCADE");
  d = consult(c.environment());
  EXPECT_EQ(d.worst.at("schema"), "error");
  EXPECT_THAT(d.out, HasSubstr("rowcall migrate up"));
}

TEST(doctor, does_not_mind_a_transaction_that_has_just_begun) {
  clinic c;
  support::sql_connection idle{c.postgres.url()};
  idle.query("BEGIN; SELECT 1");
  const auto d = consult(c.environment());
  EXPECT_EQ(d.worst.at("horizon"), "ok") << "an old one: storage/postgres, tells_who_holds_the_horizon";
}

TEST(doctor, sees_a_forgotten_slot_missing_engines_and_letters) {
  clinic c;
  c.sql(
      "INSERT INTO rowcall.kinds (kind) VALUES ('echo'); INSERT INTO rowcall.sessions (session_id) VALUES ('echo-1');"
      "INSERT INTO rowcall.dead_letters (command_seq, attempts, session_id, type, data) VALUES (1, 1, 'echo-1', 'say', "
      "'{}')");
  c.sql("SELECT pg_create_physical_replication_slot('forgotten', true)");
  const auto d = consult(c.environment());
  EXPECT_EQ(d.exit_code, 1);
  EXPECT_EQ(d.worst.at("engines"), "error");
  EXPECT_EQ(d.worst.at("dead_letters"), "warning");
  EXPECT_EQ(d.worst.at("horizon"), "warning");
  EXPECT_THAT(d.out, HasSubstr("forgotten"));
}

TEST(doctor, tells_what_it_can_when_a_server_is_away) {
  clinic c;
  c.nats.stop();
  auto d = consult(c.environment());
  EXPECT_EQ(d.worst.at("nats"), "error");
  EXPECT_EQ(d.worst.at("postgresql"), "ok");
  c.postgres.stop();
  d = consult(c.environment());
  EXPECT_EQ(d.exit_code, 1);
  EXPECT_EQ(d.worst.at("postgresql"), "error");
}

TEST(doctor, compares_the_largest_payload_of_nats_with_a_notice) {
  clinic c{{}, "max_payload: 4096"};
  EXPECT_EQ(consult(c.environment()).worst.at("nats_payload"), "warning");
}

}  // namespace
}  // namespace rowcall::test
