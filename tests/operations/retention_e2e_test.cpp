#include <gmock/gmock.h>

#include "storage/postgres/stores.hpp"
#include "tests/e2e/deployment.hpp"
#include "tests/support/eventually.hpp"

/// Retention as a task of the engines: one at a time, as fast as it has to be.
namespace rowcall::operations {
namespace {

using namespace std::chrono_literals;
using e2e::deployment;
using e2e::id;
using support::eventually;

struct retention_e2e_test : testing::Test {
  support::database database = support::fresh_database();
  deployment d = deployment::shared(database);
  storage::postgres::store_config config() const {
    storage::postgres::store_config c;
    c.url = d.database_url;
    return c;
  }
};

TEST_F(retention_e2e_test, one_process_at_a_time) {
  const auto store = storage::postgres::make_node_store(config());
  support::sql_connection other(d.database_url);
  other.query("BEGIN; SELECT pg_advisory_xact_lock(1919120994, 0)");
  const auto refused = store->cleanup({0s, 100});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, engine::errc::busy);
  const auto run = e2e::run_rowcall(d, {"cleanup", "--older-than", "1d"});
  EXPECT_EQ(run.exit_code, 8) << run.output;
  other.query("COMMIT");
  EXPECT_TRUE(store->cleanup({0s, 100}));
}

TEST_F(retention_e2e_test, keeps_up_with_more_than_a_chunk_each_heartbeat) {
  // 60,000 updates and their commands, old and below a snapshot: at one chunk of 2,000 a heartbeat it would take a
  // minute.
  d.sql(
      "INSERT INTO rowcall.kinds VALUES (default, 'echo'); INSERT INTO rowcall.sessions (session_id) SELECT 'echo-' || "
      "s FROM generate_series(1, 20) s;"
      "INSERT INTO rowcall.command_log (session_id, seq, type, data, created_at) SELECT 'echo-' || s, n, 'say', '{}', "
      "now() - interval '1 h'"
      " FROM generate_series(1, 20) s, generate_series(1, 3000) n;"
      "INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data, created_at) SELECT session_id, seq, "
      "seq, 'echo', '{}', created_at FROM rowcall.command_log;"
      "INSERT INTO rowcall.snapshots (session_id, seq, command_seq, state) SELECT 'echo-' || s, 3000, 3000, '{}' FROM "
      "generate_series(1, 20) s");
  e2e::engine_process a(d, {"--retention", "1m", "--heartbeat-interval", "1s", "--dead-after", "3s"});
  e2e::engine_process b(d, {"--retention", "1m", "--heartbeat-interval", "1s", "--dead-after", "3s"});
  EXPECT_TRUE(eventually(30s, [&] { return d.value("SELECT count(*) FROM rowcall.update_log") == "20"; })) << a.log();
  EXPECT_TRUE(eventually(5s, [&] { return d.value("SELECT count(*) FROM rowcall.command_log") == "20"; }))
      << "the last of each stays";
}

}  // namespace
}  // namespace rowcall::operations
