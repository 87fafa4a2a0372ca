#include <gmock/gmock.h>
#include <signal.h>

#include "tests/operations/steady_load.hpp"
#include "tests/support/eventually.hpp"

/// Two versions side by side, and a migration while both are at work. The later versions are this program with further
/// migrations (tests/operations/next and break).
namespace rowcall::operations {
namespace {

using namespace std::chrono_literals;
using e2e::deployment;
using e2e::engine_process;
using support::eventually;
using ::testing::HasSubstr;

struct upgrade_e2e_test : testing::Test {
  support::database database = support::fresh_database();
  deployment d = deployment::shared(database);
  int version() const { return std::stoi(d.value("SELECT max(version) FROM rowcall.migrations")); }
  /// Updates go on being written, not only commands.
  bool is_served() const {
    const auto before = std::stol(d.value("SELECT count(*) FROM rowcall.update_log"));
    return eventually(20s,
                      [&] { return std::stol(d.value("SELECT count(*) FROM rowcall.update_log")) >= before + 100; });
  }
};

TEST_F(upgrade_e2e_test, a_rolling_upgrade_with_a_migration_under_load_loses_nothing) {
  const int old_version = version();
  auto a = std::make_unique<engine_process>(d);
  auto b = std::make_unique<engine_process>(d);
  a->wait_ready();
  b->wait_ready();
  steady_load load(d, 20);
  ASSERT_TRUE(load.goes_on(200));

  const auto migrated = e2e::run_program(ROWCALL_NEXT_PROGRAM, d, {"migrate", "up"});
  ASSERT_EQ(migrated.exit_code, 0) << migrated.output;
  ASSERT_EQ(version(), old_version + 1);
  EXPECT_TRUE(is_served()) << "the old engines go on over the new schema";

  // An old engine that has to be started again in the middle of the upgrade starts.
  engine_process late(d);
  late.wait_ready();

  engine_process next_a(d, {}, ROWCALL_NEXT_PROGRAM);
  next_a.wait_ready();
  a->process().signal(SIGTERM);
  EXPECT_EQ(a->process().wait(15s), 0) << a->log();
  ASSERT_TRUE(load.goes_on(200));
  EXPECT_TRUE(is_served()) << "two versions side by side";
  EXPECT_EQ(d.value("SELECT count(DISTINCT schema_version) FROM rowcall.nodes WHERE stopped_at IS NULL"), "2");

  engine_process next_b(d, {}, ROWCALL_NEXT_PROGRAM);
  next_b.wait_ready();
  b->process().kill9();  // not every old one ends well
  late.process().signal(SIGTERM);
  EXPECT_EQ(late.process().wait(15s), 0) << late.log();
  ASSERT_TRUE(load.goes_on(200));

  const auto history = load.finish();
  EXPECT_EQ(breaches(history), "");
  EXPECT_GE(history.submits.size(), 600u);
  EXPECT_TRUE(next_a.process().running() && next_b.process().running());
}

TEST_F(upgrade_e2e_test, a_migration_that_breaks_older_engines_is_refused_while_they_run) {
  ASSERT_EQ(e2e::run_program(ROWCALL_NEXT_PROGRAM, d, {"migrate", "up"}).exit_code, 0);
  engine_process old(d, {"--node", "the-old-one"});
  old.wait_ready();
  auto refused = e2e::run_program(ROWCALL_BREAK_PROGRAM, d, {"migrate", "up"});
  EXPECT_EQ(refused.exit_code, 8) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("the-old-one"));
  EXPECT_TRUE(old.process().running());

  // Forced all the same, the old engine notices and ends by itself instead of working on what it does not know.
  const auto forced = e2e::run_program(ROWCALL_BREAK_PROGRAM, d, {"migrate", "up", "--force"});
  EXPECT_EQ(forced.exit_code, 0) << forced.output;
  EXPECT_EQ(old.process().wait(20s), 1) << old.log();
  EXPECT_THAT(old.log(), HasSubstr("the schema has moved past this engine"));
  const auto again = e2e::run_rowcall(d, {"serve"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.output, HasSubstr("newer binary"));
  engine_process young(d, {}, ROWCALL_BREAK_PROGRAM);
  young.wait_ready();
}

TEST_F(upgrade_e2e_test, a_migration_does_not_queue_before_the_engines_when_somebody_holds_a_lock) {
  engine_process engine(d);
  engine.wait_ready();
  steady_load load(d, 5);
  ASSERT_TRUE(load.goes_on(100));
  support::sql_connection report(d.database_url);
  report.query("BEGIN; SELECT count(*) FROM rowcall.update_log");  // keeps a table from being altered
  support::process migrate({ROWCALL_NEXT_PROGRAM, "--database", d.database_url, "migrate", "up"}, {});
  support::sql_connection watcher(d.database_url);
  ASSERT_TRUE(eventually(10s, [&] {
    return watcher.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'") != "0";
  }));
  EXPECT_TRUE(load.goes_on(400)) << "it gives way every second";
  EXPECT_TRUE(is_served());
  report.query("COMMIT");
  EXPECT_EQ(migrate.wait(30s), 0);
  EXPECT_EQ(breaches(load.finish()), "");
}

}  // namespace
}  // namespace rowcall::operations
