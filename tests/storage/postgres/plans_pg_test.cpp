#include "storage/postgres/internal/sql.hpp"
#include "tests/storage/postgres/postgres_test.hpp"

namespace rowcall::storage::postgres {
namespace {

/// The hot queries must use the index that they are meant to, on a fresh database, on one whose statistics were taken
/// while it was tiny, and on a full one: a plan lives long in a connection.
enum class content { empty, tiny, full };

class plans_test : public postgres_test, public ::testing::WithParamInterface<content> {
 protected:
  plans_test() {
    const char* rows = GetParam() == content::empty ? "0" : GetParam() == content::tiny ? "3" : "20000";
    sql_.query(std::string{"INSERT INTO rowcall.command_log (session_id, seq, type, data) SELECT 'echo-' || n % 500, n, 'say', '{}' FROM generate_series(1, "} + rows + ") n;"
               "INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data) SELECT session_id, seq, seq, 'said', '{}' FROM rowcall.command_log;"
               "INSERT INTO rowcall.snapshots (session_id, seq, command_seq, state) SELECT session_id, seq, seq, '{}' FROM rowcall.command_log WHERE seq % 1000 < 500");
    if (GetParam() != content::empty) sql_.query("ANALYZE");
  }
  /// Rows of the logs that a statement reads, and how often it scans a log from end to end. Of this session only.
  struct reads {
    std::int64_t rows = 0, scans = 0;
  };
  reads counted() {
    const auto row = sql_.query("SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), sum(seq_scan) FROM pg_stat_xact_user_tables"
                                " WHERE relname IN ('command_log', 'update_log', 'snapshots')")[0];
    return {std::stoll(row[0]), std::stoll(row[1])};
  }
  reads reads_of(const std::string& sql) {
    sql_.query("BEGIN");
    const auto before = counted();
    sql_.query(sql);
    const auto after = counted();
    sql_.query("ROLLBACK");
    return {after.rows - before.rows, after.scans - before.scans};
  }
  std::string sweep_snapshot_sql() {
    for (const auto& q : internal::queries())
      if (q.name == "sweep_snapshot") return std::string{q.sql};
    return {};
  }

  /// The plan of a query file, EXPLAINed under the settings of a connection of the stores.
  std::string plan(const std::string& name, const std::string& arguments) {
    for (const auto& q : internal::queries())
      if (q.name == name) sql_.query("PREPARE " + name + " AS " + std::string{q.sql});
    std::string out;
    for (const auto& row : sql_.query("EXPLAIN (COSTS OFF) EXECUTE " + name + "(" + arguments + ")")) out += row[0] + "\n";
    return out;
  }
};

TEST_P(plans_test, readers_descend_the_primary_keys) {
  using ::testing::AllOf;
  using ::testing::HasSubstr;
  using ::testing::Not;
  sql_.query("SET enable_seqscan = off; SET enable_bitmapscan = off");
  EXPECT_THAT(plan("update_after", "'echo-1', 5, 100"), AllOf(HasSubstr("using update_log_pk"), Not(HasSubstr("Sort"))));
  EXPECT_THAT(plan("update_after_many", "'{echo-1,echo-2}', '{0,0}', 100"), AllOf(HasSubstr("using update_log_pk"), Not(HasSubstr("Sort"))));
  EXPECT_THAT(plan("update_last", "'echo-1'"), AllOf(HasSubstr("Backward using update_log_pk"), Not(HasSubstr("Sort"))));
  EXPECT_THAT(plan("snapshot_last", "'echo-1'"), AllOf(HasSubstr("Backward using snapshots_pk"), Not(HasSubstr("Sort"))));
  EXPECT_THAT(plan("sweep_probe", "'{echo-1}'"),
              AllOf(HasSubstr("using update_log_pk"), HasSubstr("using command_log_pk"), HasSubstr("using retries_pk"), Not(HasSubstr("Seq Scan"))));
}

TEST_P(plans_test, a_claim_reads_what_it_returns_and_little_more) {
  const std::string arguments = "'{echo-1,echo-2,echo-3}', '{1,2,3}', '{-1,-1,-1}', '{t,t,t}', 10, 30, 1000000)";
  for (int run = 0; run < 7; ++run) {  // the sixth would be the first generic plan
    const auto read = reads_of("SELECT * FROM rowcall.turn_claim('n1', " + arguments);
    EXPECT_EQ(read.scans, 0);
    EXPECT_LE(read.rows, 3 * (1 + 10 + 1 + 10));
  }
}

TEST_P(plans_test, a_submit_reads_one_row_for_each_session) {
  const std::string keyless = "SELECT * FROM rowcall.submit_batch('{echo-1,echo-2,echo-1}', '{a,a,a}', '{\"{}\",\"{}\",\"{}\"}')";
  const std::string keyed = "SELECT * FROM rowcall.submit_batch('{echo-1,echo-2,echo-1}', '{a,a,a}', '{\"{}\",\"{}\",\"{}\"}', '{x,y,z}')";
  for (const auto& sql : {std::string{"SELECT rowcall.submit('echo-1', 'say', '{}')"}, keyless, keyed})
    for (int run = 0; run < 7; ++run) {
      const auto read = reads_of(sql);
      EXPECT_EQ(read.scans, 0) << sql;
      EXPECT_LE(read.rows, 3) << sql;
    }
}

TEST_P(plans_test, the_bound_of_a_session_costs_a_look_with_every_64th_command_only) {
  sql_.query("UPDATE rowcall.admission SET session_pending_max = 100");
  const auto submit = [&](const std::string& session) { return reads_of("SELECT * FROM rowcall.submit_batch('{" + session + "}', '{a}', '{\"{}\"}')"); };
  sql_.query("INSERT INTO rowcall.command_log (session_id, seq, type, data) SELECT 'echo-gate', n, 'say', '{}' FROM generate_series(1, 63) n;"
             "INSERT INTO rowcall.command_log (session_id, seq, type, data) SELECT 'echo-free', n, 'say', '{}' FROM generate_series(1, 64) n;"
             "INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data) SELECT 'echo-gate', n, n, 'said', '{}' FROM generate_series(1, 60) n");
  for (int run = 0; run < 7; ++run) {
    const auto free = submit("echo-free"), gate = submit("echo-gate");
    EXPECT_EQ(free.scans + gate.scans, 0);
    EXPECT_LE(free.rows, 1);
    EXPECT_LE(gate.rows, 2);
  }
}

TEST_P(plans_test, a_sweep_reads_what_was_written_since_the_last_one_whoever_has_a_transaction_open) {
  sql_.query("VACUUM rowcall.command_log");  // sums up the pages of a bulk insert, as autosummarize does bit by bit
  support::sql_connection open(database_.url());
  open.query("BEGIN; SELECT pg_current_xact_id()");
  sql_.query("INSERT INTO rowcall.command_log (session_id, seq, type, data) SELECT 'echo-n' || n, n, 'say', '{}' FROM generate_series(1, 20000) n");
  sql_.query("VACUUM rowcall.command_log");
  const auto seen = sql_.query(sweep_snapshot_sql())[0];
  EXPECT_LT(std::stoll(seen[0]), std::stoll(seen[1])) << "the long transaction is open";
  const auto read = reads_of("SELECT rowcall.sweep_open(" + seen[1] + ", '" + seen[2] + "'); FETCH ALL FROM sweep_rows");
  EXPECT_EQ(read.scans, 0);
  EXPECT_LE(read.rows, 4'000) << "of more than 20,000";
  const auto late = sql_.query("INSERT INTO rowcall.command_log (session_id, seq, type, data) VALUES ('echo-late', 1, 'say', '{}');"
                               "BEGIN; SELECT rowcall.sweep_open(" + seen[1] + ", '" + seen[2] + "'); FETCH ALL FROM sweep_rows");
  EXPECT_EQ(late.size(), 1u);
  sql_.query("ROLLBACK");
}

TEST_P(plans_test, what_is_pending_is_counted_without_reading_the_logs) {
  sql_.query("VACUUM rowcall.command_log");
  sql_.query(
      "UPDATE rowcall.sweep_watermark SET settled_xid = (SELECT coalesce(max(xid), 0) + 1 FROM rowcall.command_log)");
  sql_.query(
      "INSERT INTO rowcall.command_log (session_id, seq, type, data) VALUES ('echo-late', 1, 'say', '{}'), "
      "('echo-late', 2, 'say', '{}');"
      "INSERT INTO rowcall.sweep_leftovers (session_id) SELECT 'echo-' || n FROM generate_series(1, 10) n");
  const auto read = reads_of("SELECT * FROM rowcall.pending_sessions(1000)");
  EXPECT_EQ(read.scans, 0);
  EXPECT_LE(read.rows, 4'000) << "of 20,000: the pages of one range of the index, and a few rows for each session";
}

TEST_P(plans_test, the_updates_of_a_command_are_found_without_reading_the_log) {
  sql_.query("INSERT INTO rowcall.update_log (session_id, seq, command_seq, type, data) SELECT 'echo-long', n, (n + 1) / 2, 'said', '{}' FROM generate_series(1, 20000) n");
  const auto read = reads_of("SELECT * FROM rowcall.updates_of('echo-long', 3000)");
  EXPECT_EQ(read.scans, 0);
  EXPECT_LE(read.rows, 30);
}

INSTANTIATE_TEST_SUITE_P(each_size, plans_test, ::testing::Values(content::empty, content::tiny, content::full));

}  // namespace
}  // namespace rowcall::storage::postgres
