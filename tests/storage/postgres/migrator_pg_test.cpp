#include "tests/storage/postgres/postgres_test.hpp"
#include "tests/support/servers.hpp"

namespace rowcall::storage::postgres {
namespace {

class migrator_test : public ::testing::Test {
 protected:
  migrator make() const {
    store_config c;
    c.url = database_.url();
    return migrator{c};
  }
  std::string objects() {
    return sql_.value(
        "SELECT count(*) FROM (SELECT oid FROM pg_class WHERE relnamespace = 'rowcall'::regnamespace AND relname NOT LIKE 'migrations%'"
        " UNION ALL SELECT oid FROM pg_proc WHERE pronamespace = 'rowcall'::regnamespace) x");
  }
  support::database database_ = support::fresh_database(support::schema::empty);
  support::sql_connection sql_{database_.url()};
};

TEST_F(migrator_test, goes_up_down_and_up_again) {
  EXPECT_EQ(must(make().up()), migrator::newest());
  must(make().check());
  const auto whole = objects();
  EXPECT_EQ(must(make().up()), 0) << "nothing is left to apply";
  EXPECT_EQ(must(make().down(0)), migrator::newest());
  EXPECT_EQ(objects(), "0") << "down leaves nothing behind";
  EXPECT_EQ(must(make().up()), migrator::newest());
  EXPECT_EQ(objects(), whole);
  must(make().check());
}

TEST_F(migrator_test, refuses_a_database_in_which_texts_would_be_lost) {
  const auto name = "ascii" + support::unique_name();
  sql_.query("CREATE DATABASE " + name + " TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'");
  store_config c;
  c.url = support::with_database(database_.url(), name);
  const auto made = migrator{c}.up();
  sql_.query("DROP DATABASE " + name + " WITH (FORCE)");
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, ::testing::HasSubstr("SQL_ASCII"));
}

TEST_F(migrator_test, undoes_only_what_is_above_the_target) {
  must(make().up());
  EXPECT_EQ(must(make().down(migrator::newest() - 1)), 1);
  const auto checked = make().check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, errc::schema_mismatch);
  EXPECT_THAT(checked.error().message, ::testing::HasSubstr("rowcall migrate up"));
  EXPECT_FALSE(must(make().status()).back().applied);
}

TEST_F(migrator_test, says_what_to_do_about_an_empty_database) {
  const auto checked = make().check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, errc::schema_mismatch);
  EXPECT_THAT(checked.error().message, ::testing::HasSubstr("rowcall migrate up"));
}

TEST_F(migrator_test, refuses_a_schema_that_is_newer_than_the_binary) {
  must(make().up());
  sql_.query("INSERT INTO rowcall.migrations (version, name, checksum) VALUES (9999, 'future', 'x')");
  for (const auto& error : {make().check().error(), make().up().error(), make().down(0).error()}) {
    EXPECT_EQ(error.code, errc::schema_mismatch);
    EXPECT_THAT(error.message, ::testing::HasSubstr("newer binary"));
  }
}

TEST_F(migrator_test, starts_on_a_newer_schema_that_says_it_goes_with_this_binary_but_changes_nothing_of_it) {
  must(make().up());
  const auto newest = std::to_string(migrator::newest());
  sql_.query("INSERT INTO rowcall.migrations (version, name, checksum, compatible_from) VALUES (9998, 'additive', 'x', " + newest + ")");
  must(make().check());
  EXPECT_EQ(make().up().error().code, errc::schema_mismatch);
  EXPECT_EQ(make().down(0).error().code, errc::schema_mismatch);
  sql_.query("INSERT INTO rowcall.migrations (version, name, checksum, compatible_from) VALUES (9999, 'break', 'x', 9999)");
  EXPECT_EQ(make().check().error().code, errc::schema_mismatch);
}

TEST_F(migrator_test, does_not_break_an_engine_that_runs) {
  must(make().up());
  must(make().down(migrator::newest() - 1));
  // Heard of just now, of a binary that knows nothing of this schema.
  const auto has_column = sql_.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'rowcall.nodes'::regclass AND attname = 'schema_version'") == "1";
  sql_.query("INSERT INTO rowcall.nodes (node) VALUES ('old one')");
  sql_.query("ALTER TABLE rowcall.nodes ADD COLUMN IF NOT EXISTS schema_version integer NOT NULL DEFAULT 0");
  const auto refused = make().up();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::busy);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("old one"));
  sql_.query("UPDATE rowcall.nodes SET heartbeat_at = now() - interval '1 minute'");
  if (!has_column) sql_.query("ALTER TABLE rowcall.nodes DROP COLUMN schema_version");
  EXPECT_EQ(must(make().up()), 1) << "it is not heard of any more";
}

TEST_F(migrator_test, brings_a_table_of_migrations_up_to_date_that_an_older_binary_made) {
  must(make().up());
  sql_.query("ALTER TABLE rowcall.migrations DROP COLUMN compatible_from");
  must(make().check());
  EXPECT_EQ(must(make().up()), 0);
  EXPECT_EQ(sql_.value("SELECT count(compatible_from) FROM rowcall.migrations"), "0");
}

TEST_F(migrator_test, refuses_a_migration_that_was_applied_with_another_text) {
  must(make().up());
  sql_.query("UPDATE rowcall.migrations SET checksum = 'other' WHERE version = 1");
  EXPECT_EQ(make().check().error().code, errc::schema_mismatch);
  EXPECT_EQ(make().up().error().code, errc::schema_mismatch);
  EXPECT_TRUE(must(make().status()).front().changed);
}

TEST_F(migrator_test, applies_each_migration_once_when_two_run_at_the_same_time) {
  result<int> a = 0, b = 0;
  std::thread first([&] { a = make().up(); });
  std::thread second([&] { b = make().up(); });
  first.join();
  second.join();
  EXPECT_EQ(must(a) + must(b), migrator::newest());
}

TEST_F(migrator_test, names_every_constraint_and_explains_every_table_and_index) {
  must(make().up());
  EXPECT_EQ(sql_.value("SELECT coalesce(string_agg(relname, ', '), '') FROM pg_class c WHERE relnamespace = 'rowcall'::regnamespace AND relkind IN ('r', 'v')"
                       " AND obj_description(c.oid, 'pg_class') IS NULL"), "");
  EXPECT_EQ(sql_.value("SELECT coalesce(string_agg(c.relname, ', '), '') FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid"
                       " WHERE relnamespace = 'rowcall'::regnamespace AND NOT i.indisprimary AND obj_description(c.oid, 'pg_class') IS NULL"), "");
  EXPECT_EQ(sql_.value("SELECT coalesce(string_agg(conname, ', '), '') FROM pg_constraint WHERE connamespace = 'rowcall'::regnamespace"
                       " AND (conname ~ '_check[0-9]*$' OR conname ~ '_pkey$' OR conname ~ '_key$')"), "");
}

}  // namespace
}  // namespace rowcall::storage::postgres
