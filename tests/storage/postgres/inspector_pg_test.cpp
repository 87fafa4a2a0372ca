#include "storage/postgres/inspector.hpp"

#include "storage/postgres/internal/schema_objects.hpp"
#include "tests/storage/postgres/postgres_test.hpp"
#include "tests/support/servers.hpp"

namespace rowcall::storage::postgres {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

struct inspector_test : postgres_test {};

TEST_F(inspector_test, misses_nothing_in_a_new_schema) {
  const auto seen = must(inspect(config(), std::chrono::seconds{300}));
  EXPECT_THAT(seen.missing, IsEmpty());
  EXPECT_THAT(seen.invalid, IsEmpty());
  EXPECT_GE(seen.version_num, 150000);
  EXPECT_GT(seen.connections_max, 0);
  EXPECT_LT(std::chrono::abs(seen.clock_ahead), std::chrono::seconds{1}) << "the same machine";
}

/// What the reader of migrations does not understand would be taken for whole.
TEST_F(inspector_test, expects_every_object_that_the_migrations_made) {
  const auto objects = sql_.query(
      "SELECT 'constraint', conname FROM pg_constraint WHERE connamespace = 'rowcall'::regnamespace AND conrelid <> 0"
      " AND conrelid <> 'rowcall.migrations'::regclass "
      "UNION ALL SELECT 'index', c.relname FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid "
      "WHERE c.relnamespace = 'rowcall'::regnamespace AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = "
      "c.oid)");
  std::vector<schema_object> expected;
  for (const auto& row : objects) expected.push_back({row[0], row[1]});
  ASSERT_GT(expected.size(), 20u);
  sql_.query(
      "DO $$ DECLARE r record; BEGIN "
      "FOR r IN SELECT conrelid::regclass AS t, conname FROM pg_constraint WHERE connamespace = 'rowcall'::regnamespace"
      " AND conrelid <> 0 AND conrelid <> 'rowcall.migrations'::regclass LOOP "
      "EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', r.t, r.conname); END LOOP; "
      "FOR r IN SELECT indexrelid::regclass AS i FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid "
      "WHERE c.relnamespace = 'rowcall'::regnamespace AND x.indrelid <> 'rowcall.migrations'::regclass LOOP "
      "EXECUTE format('DROP INDEX %s', r.i); END LOOP; END $$");
  const auto missing = must(inspect(config(), std::chrono::seconds{300})).missing;
  for (const auto& object : expected) EXPECT_THAT(missing, Contains(object)) << object.kind << " " << object.name;
}

TEST_F(inspector_test, tells_a_role_without_rights_by_the_code_of_the_error) {
  const auto role = "r" + support::unique_name();
  sql_.query("CREATE ROLE " + role + " LOGIN");
  auto c = config();
  c.url.replace(c.url.find("rowcall@"), 7, role);
  const auto refused = inspect(c, std::chrono::seconds{300});
  sql_.query("DROP ROLE " + role);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::not_permitted) << refused.error().message;
}

TEST_F(inspector_test, counts_what_retention_leaves_for_lack_of_a_snapshot) {
  // echo-bare: no snapshot; echo-cut: one after 4 of 10; echo-young: not older; echo-waits: 2 of 5 processed; echo-half:
  // 6 of 10 are older.
  sql_.query(R"(
      INSERT INTO rowcall.sessions (session_id) VALUES ('echo-bare'), ('echo-cut'), ('echo-young'), ('echo-waits'), ('echo-new'), ('echo-half');
      INSERT INTO rowcall.command_log (session_id, seq, type, data, created_at)
        SELECT s.session_id, n, 'say', '{}', now() - CASE
          WHEN s.session_id = 'echo-young' OR s.session_id = 'echo-half' AND n > 6 THEN interval '1 h' ELSE interval '2 d' END
        FROM rowcall.sessions s, generate_series(1, 10) n
        WHERE s.session_id <> 'echo-new' AND (s.session_id <> 'echo-waits' OR n <= 5);
      INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data, created_at)
        SELECT session_id, seq, seq, 'said', '{}', created_at FROM rowcall.command_log
        WHERE session_id <> 'echo-waits' OR seq <= 2;
      INSERT INTO rowcall.snapshots (session_id, seq, command_seq, state) VALUES ('echo-cut', 4, 4, '{}');)");
  const auto kept = must(find_kept_rows(config(), std::chrono::hours{24}));
  EXPECT_EQ(kept.without_snapshot, (kept_rows::part{3, 9 + 2 + 6, 9 + 1 + 6}));
  EXPECT_EQ(kept.above_snapshot, (kept_rows::part{1, 5, 5}));
  EXPECT_TRUE(kept.is_exact);
  EXPECT_EQ(must(find_kept_rows(config(), std::chrono::hours{72})).without_snapshot, kept_rows::part{});
}

TEST_F(inspector_test, tells_who_holds_the_horizon) {
  support::sql_connection idle{database_.url()};
  idle.query("SET application_name = 'sleeper'; BEGIN; SELECT 1");
  const auto seen = must(inspect(config(), std::chrono::seconds{0}));
  ASSERT_THAT(seen.holders, ::testing::Not(IsEmpty()));
  EXPECT_THAT(seen.holders.front().name, ::testing::HasSubstr("sleeper"));
}

TEST_F(inspector_test, finds_sessions_whose_last_commands_were_deleted_by_hand) {
  for (const auto* session : {"echo-whole", "echo-cut", "echo-empty", "echo-new"})
    sql_.query("SELECT rowcall.submit('" + std::string{session} + "', 'say', '{}') FROM generate_series(1, 3)");
  sql_.query(
      "INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data)"
      " SELECT session_id, seq, seq, 'said', '{}' FROM rowcall.command_log WHERE session_id <> 'echo-new'");
  EXPECT_THAT(must(find_damaged_sessions(config())), IsEmpty());
  sql_.query(
      "DELETE FROM rowcall.command_log WHERE session_id = 'echo-empty' OR (session_id = 'echo-cut' AND seq > 1)"
      " OR (session_id = 'echo-whole' AND seq < 3)");
  const auto found = must(find_damaged_sessions(config()));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].session, "echo-cut");
  EXPECT_EQ(found[0].last_command, 1);
  EXPECT_EQ(found[0].processed, 3);
  EXPECT_EQ(found[1].session, "echo-empty");
  EXPECT_EQ(found[1].last_command, 0);
  // What the doctor advises.
  for (const auto& s : found)
    sql_.query("INSERT INTO rowcall.command_log (session_id, seq, type, data) VALUES ('" + s.session + "', " +
               std::to_string(s.processed) + ", 'filler', '{}')");
  EXPECT_THAT(must(find_damaged_sessions(config())), IsEmpty());
  EXPECT_EQ(sql_.value("SELECT rowcall.submit('echo-empty', 'say', '{}')"), "4");
}

TEST_F(inspector_test, finds_sessions_whose_commands_have_a_gap_where_the_engine_goes_on) {
  for (const auto* session : {"echo-gap", "echo-late", "echo-whole"})
    sql_.query("SELECT rowcall.submit('" + std::string{session} + "', 'say', '{}') FROM generate_series(1, 3)");
  sql_.query(
      "INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data)"
      " SELECT session_id, seq, seq, 'said', '{}' FROM rowcall.command_log WHERE session_id <> 'echo-whole'");
  sql_.query(
      "INSERT INTO rowcall.command_log (session_id, seq, type, data) VALUES ('echo-gap', 50, 'say', '{}'), "
      "('echo-gap', 51, 'say', '{}')");
  sql_.query("INSERT INTO rowcall.command_log (session_id, seq, type, data) VALUES ('echo-late', 4, 'say', '{}')");
  const auto found = must(find_damaged_sessions(config()));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].session, "echo-gap");
  EXPECT_EQ(found[0].processed, 3);
  EXPECT_EQ(found[0].next_command, 50);
  // What the doctor advises.
  sql_.query(
      "INSERT INTO rowcall.command_log (session_id, seq, type, data) SELECT 'echo-gap', n, 'filler', '{}' FROM "
      "generate_series(4, 49) n");
  EXPECT_THAT(must(find_damaged_sessions(config())), IsEmpty());
}

TEST(schema_objects, follows_what_is_made_and_dropped) {
  internal::schema_objects objects;
  objects.apply(
      "-- CREATE TABLE rowcall.no (a int);\n"
      "CREATE TABLE rowcall.a (x int, CONSTRAINT a_pk PRIMARY KEY (x), CONSTRAINT a_x CHECK (x > 0));\n"
      "COMMENT ON TABLE rowcall.a IS 'CREATE INDEX nothing';\n"
      "CREATE UNIQUE INDEX IF NOT EXISTS a_i ON rowcall.a (x);\n"
      "CREATE OR REPLACE FUNCTION rowcall.f() RETURNS void LANGUAGE sql AS $$ DROP TABLE rowcall.a; $$;\n"
      "CREATE TABLE rowcall.b (y int);");
  objects.apply(
      "ALTER TABLE rowcall.a DROP CONSTRAINT a_x, ADD CONSTRAINT a_y CHECK (x > 1); DROP TABLE rowcall.b, rowcall.c;");
  EXPECT_THAT(objects.all(), UnorderedElementsAre(schema_object{"table", "a"}, schema_object{"constraint", "a_pk"},
                                                  schema_object{"constraint", "a_y"}, schema_object{"index", "a_i"},
                                                  schema_object{"function", "f"}));
  objects.apply("DROP TABLE IF EXISTS rowcall.a; DROP FUNCTION rowcall.f;");
  EXPECT_THAT(objects.all(), IsEmpty());
}

}  // namespace
}  // namespace rowcall::storage::postgres
